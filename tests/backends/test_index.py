"""The index with its thread, on real files."""

import asyncio
import errno
import gc
import json
import sys
import time
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path
from zlib import crc32

import pytest

from backends.base import Event, Position, Query
from backends.disk import Disk
from backends.filesystem.index import Entry, Index
from backends.filesystem.maintenance import RUNS_TO_MERGE
from backends.log import LogPosition, Place
from support.events import AT, OTHER_SYSTEM, SYSTEM, make_event, new_uuid
from support.faulty_disk import WRITES, FaultyDisk
from support.index_model import SYSTEMS, UUIDS, IndexModel

MEMORY_ROWS = 20
BEGINNING = LogPosition(0, 0)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Where the index lies; not there yet."""
    return tmp_path / "index"


@pytest.fixture
def disk() -> FaultyDisk:
    """A real disk that can fail."""
    return FaultyDisk()


@pytest.fixture
def index(directory: Path, disk: FaultyDisk) -> Iterator[Index]:
    """An open, empty index that writes a run for every 20 events."""
    opened = Index(directory, disk=disk, memory_rows=MEMORY_ROWS)
    assert opened.open() == BEGINNING
    yield opened
    opened.close()


def place_of(number: int) -> Place:
    """Return the place of the n-th event of a log."""
    return Place(1, number * 100, 99)


def fill(index: Index, count: int, *, start: int = 0) -> list[Event]:
    """Add events, each a group of its own, and return them."""
    events = [make_event(at=f"2017-02-16T16:36:21.{number:09}Z") for number in range(start, start + count)]
    for number, event in enumerate(events, start):
        index.add(event, place_of(number))
        index.mark_complete(LogPosition(1, (number + 1) * 100))
    return events


def until(condition: Callable[[], bool]) -> None:
    """Wait for the index's thread."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def is_settled(index: Index) -> bool:
    """Tell whether no full memory table waits and nothing is to be merged."""
    assert index._maintenance is not None
    snapshot = index._shared.current
    levels = Counter(index._maintenance._level_of(run) for run in snapshot.written)
    return not snapshot.frozen and not snapshot.packed and all(count < RUNS_TO_MERGE for count in levels.values())


def assert_complete(index: Index, events: list[Event]) -> None:
    """Assert that exactly these events, the first ones of the log, are found and listed."""
    assert [list(index.find_places(event.uuid)) for event in events] == [[place_of(n)] for n in range(len(events))]
    uuids = [event.uuid for event in events] + [new_uuid() for _ in range(300)]
    together = index.find_all_places(uuids, index.digests(uuids))
    assert {uuid: list(places) for uuid, places in together.items()} == {
        event.uuid: [place_of(number)] for number, event in enumerate(events)
    }
    entries = index.list_entries(Query(), limit=len(events) + 1)
    assert [(entry.uuid, entry.place) for entry in entries] == [
        (event.uuid, place_of(number)) for number, event in enumerate(events)
    ]
    assert list(index.verify()) == []


def test_events_are_found_while_they_move_from_memory_to_files(index: Index) -> None:
    """At each moment each event is found once, wherever it is then; another is not."""
    events: list[Event] = []
    for _ in range(20):
        events += fill(index, 13, start=len(events))
        assert_complete(index, events)
        assert list(index.find_places(new_uuid())) == []
    until(lambda: is_settled(index))
    assert_complete(index, events)
    assert index.statistics().merges > 0


def test_a_clean_stop_leaves_nothing_to_read_again(index: Index, directory: Path, disk: FaultyDisk) -> None:
    """Closing writes what is in memory; opening gives the last position and everything is there."""
    events = fill(index, 33)
    index.close()
    again = Index(directory, disk=disk)
    assert again.open() == LogPosition(1, 3300)
    assert_complete(again, events)
    assert again.statistics().memory_rows == 0
    again.close()


def test_a_position_without_events_is_kept_too(index: Index, directory: Path, disk: FaultyDisk) -> None:
    """A position that was marked last is kept, also when no event came with it (damaged lines, say)."""
    fill(index, 3)
    index.mark_complete(LogPosition(7, 0))
    index.close()
    index.open()
    index.mark_complete(LogPosition(8, 0))
    index.close()
    assert Index(directory, disk=disk).open(read_only=True) == LogPosition(8, 0)


def test_a_closed_index_is_empty_and_closing_twice_is_fine(index: Index) -> None:
    """Closing lets go of all files."""
    events = fill(index, 50)
    index.close()
    index.close()
    assert list(index.find_places(events[0].uuid)) == []
    assert index.statistics().runs == 0


def test_exactly_the_named_files_are_there(index: Index, directory: Path, disk: FaultyDisk) -> None:
    """The directory holds the manifest and the runs that it names; opening removes everything else."""
    fill(index, 100)
    index.close()
    for name in ("00000999.run", "manifest.json.tmp", "what.is.this"):
        (directory / name).write_bytes(b"left over")
    again = Index(directory, disk=disk)
    again.open()
    again.close()
    manifest = json.loads(json.loads((directory / "manifest.json").read_bytes())["content"])
    assert {path.name for path in directory.iterdir()} == {"manifest.json", *(run["name"] for run in manifest["runs"])}


def remove_manifest(directory: Path) -> None:
    """Take the manifest away."""
    (directory / "manifest.json").unlink()


def remove_run(directory: Path) -> None:
    """Take a run away."""
    next(directory.glob("*.run")).unlink()


def shorten_run(directory: Path) -> None:
    """Take a run's last byte away."""
    path = next(directory.glob("*.run"))
    path.write_bytes(path.read_bytes()[:-1])


def tear_manifest(directory: Path) -> None:
    """Leave half of the manifest."""
    path = directory / "manifest.json"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def change_manifest(directory: Path) -> None:
    """Let a bit of the manifest rot."""
    path = directory / "manifest.json"
    path.write_bytes(path.read_bytes().replace(b"3300", b"3200"))


def write_something_else(directory: Path) -> None:
    """Put other JSON in the manifest's place."""
    (directory / "manifest.json").write_bytes(b"[]")


def write_newer_layout(directory: Path) -> None:
    """Let a newer release have written the manifest."""
    text = json.dumps({"layout": 2})
    (directory / "manifest.json").write_text(json.dumps({"crc32": crc32(text.encode()), "content": text}))


@pytest.mark.parametrize(
    "damage",
    [
        remove_manifest,
        remove_run,
        shorten_run,
        tear_manifest,
        change_manifest,
        write_something_else,
        write_newer_layout,
    ],
)
def test_what_is_not_whole_is_begun_anew(
    index: Index, directory: Path, disk: FaultyDisk, damage: Callable[[Path], None]
) -> None:
    """An index with anything missing, damaged or unknown is discarded, and asks for everything again."""
    fill(index, 33)
    index.close()
    damage(directory)
    again = Index(directory, disk=disk, memory_rows=MEMORY_ROWS)
    assert again.open() == BEGINNING
    assert again.list_entries(Query(), limit=10) == []
    events = fill(again, 41)
    assert_complete(again, events)
    again.close()


def test_rotten_bits_are_told_by_verify(index: Index, directory: Path, disk: FaultyDisk) -> None:
    """Verify names the file whose checksum is wrong, and the table that is out of order."""
    fill(index, 40)
    index.close()
    path = next(directory.glob("*.run"))
    data = bytearray(path.read_bytes())
    data[-40:-28] = bytes(12)
    path.write_bytes(data)
    again = Index(directory, disk=disk)
    again.open()
    problems = list(again.verify())
    again.close()
    assert problems[0] == f"{path.name}: the checksum is wrong"
    assert problems[1].startswith(f"{path.name}: table by_time is not in order near row ")


def test_the_newest_place_of_a_uuid_wins(index: Index) -> None:
    """An event that was stored again after damage is found at its newest place first and listed once, there."""
    event = make_event()
    for number in range(4):
        index.add(event, place_of(number))
        fill(index, MEMORY_ROWS, start=100 + number * MEMORY_ROWS)
        assert index.find_places(event.uuid)[0] == place_of(number)
        query = Query(from_at=AT)
        assert [entry.place for entry in index.list_entries(query, limit=5)] == [place_of(number)]
    until(lambda: is_settled(index))
    index.close()
    index.open()
    assert index.find_places(event.uuid)[0] == place_of(3)


def test_a_uuid_with_other_keys_is_listed_for_each(index: Index) -> None:
    """Both are listed where their keys say; the record decides which is true."""
    uuid = new_uuid()
    index.add(make_event(uuid, smrtlink_id=SYSTEM), place_of(0))
    index.add(make_event(uuid, smrtlink_id=OTHER_SYSTEM), place_of(1))
    assert [entry.place for entry in index.list_entries(Query(smrtlink_id=SYSTEM), limit=5)] == [place_of(0)]
    assert [entry.place for entry in index.list_entries(Query(smrtlink_id=OTHER_SYSTEM), limit=5)] == [place_of(1)]
    assert [entry.place for entry in index.list_entries(Query(), limit=5)] == [place_of(1)]


def test_a_rare_type_is_found_in_a_large_system(directory: Path) -> None:
    """A list of one type in one system goes on looking until it has enough, in both directions."""
    index = Index(directory, disk=Disk(), memory_rows=5000)
    index.open()
    rare = []
    for number in range(9000):
        event_type_id = "sl_rare" if number % 1000 == 500 else "sl_test_event"
        event = make_event(at=f"2017-02-16T16:36:21.{number:09}Z", event_type_id=event_type_id)
        index.add(event, place_of(number))
        index.mark_complete(LogPosition(1, number))
        rare += [event.uuid] if event_type_id == "sl_rare" else []
    query = Query(smrtlink_id=SYSTEM, event_type_id="sl_rare")
    assert [entry.uuid for entry in index.list_entries(query, limit=20)] == rare
    assert [entry.uuid for entry in index.list_entries(query, limit=2)] == rare[:2]
    backwards = query._replace(descending=True, after=Position(f"2017-02-16T16:36:21.{7000:09}Z", new_uuid()))
    assert [entry.uuid for entry in index.list_entries(backwards, limit=3)] == rare[6:3:-1]
    index.close()


@pytest.mark.parametrize("limit", [1, 2, 7])
@pytest.mark.parametrize("descending", [False, True])
def test_pages_follow_one_another(index: Index, limit: int, *, descending: bool) -> None:
    """Going on behind the last entry of a page shows each event exactly once, whichever the list."""
    model = IndexModel()
    for number in range(len(UUIDS)):
        for event, place in model.append([number]):
            index.add(event, place)
        index.mark_complete(model.end)
    for system, kind, version in product([None, *SYSTEMS], [None, "sl_a", "sl_b"], [None, 1, 2]):
        query = Query(system, kind, version if kind else None, descending=descending)
        found: list[Entry] = []
        while page := index.list_entries(query, limit=limit):
            found += page
            assert len(found) <= len(UUIDS)
            query = query._replace(after=Position(page[-1].at, page[-1].uuid))
        assert found == model.select(query._replace(after=None), len(UUIDS))


@pytest.mark.parametrize("descending", [False, True])
def test_lists_of_a_type_in_a_system_have_every_length(index: Index, *, descending: bool) -> None:
    """However the events of a type lie among others, a list holds the first ones, as many as asked for."""
    wanted = []
    for number in range(300):
        event_type_id = "sl_wanted" if number * number % 11 in {3, 4} or 100 < number < 120 else "sl_test_event"
        event = make_event(at=f"2017-02-16T16:36:21.{number:09}Z", event_type_id=event_type_id)
        index.add(event, place_of(number))
        wanted += [event.uuid] if event_type_id == "sl_wanted" else []
    query = Query(smrtlink_id=SYSTEM, event_type_id="sl_wanted", event_type_version=1, descending=descending)
    for limit in range(1, len(wanted) + 2):
        found = [entry.uuid for entry in index.list_entries(query, limit=limit)]
        assert found == wanted[:: -1 if descending else 1][:limit]


def test_the_record_is_not_kept(index: Index) -> None:
    """Adding an event does not keep its record in memory."""
    record = bytes(1000)
    before = sys.getrefcount(record)
    index.add(make_event()._replace(record=record), place_of(0))
    assert sys.getrefcount(record) == before


def test_runs_are_let_go_when_they_were_merged(index: Index) -> None:
    """A run that was replaced is freed, and its file unmapped, without help from the garbage collector."""
    gc.disable()
    try:
        events = fill(index, MEMORY_ROWS)
        until(lambda: index.statistics().flushes == 1)
        watch = weakref.ref(index._shared.current.written[0].tables["identity"])
        fill(index, 4 * MEMORY_ROWS, start=len(events))
        until(lambda: index.statistics().merges > 0 and is_settled(index))
        assert watch() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("operation", sorted(WRITES - {"make_one_directory", "remove"}))
def test_a_failing_disk_harms_nothing_and_is_told(index: Index, disk: FaultyDisk, operation: str) -> None:
    """While nothing can be written everything is found in memory, ``problem`` says why, and it heals by itself."""
    events = fill(index, 5)
    disk.fail({operation}, error=errno.ENOSPC)
    events += fill(index, 3 * MEMORY_ROWS, start=len(events))
    until(lambda: index.problem is not None)
    assert "No space left on device" in str(index.problem)
    assert_complete(index, events)
    disk.mend()
    until(lambda: index.problem is None and is_settled(index))
    assert_complete(index, events)


def test_a_run_that_could_not_be_written_takes_no_room(index: Index, disk: FaultyDisk, directory: Path) -> None:
    """On a full disk the part that was written is removed at once."""
    disk.fail({"write"}, error=errno.ENOSPC)
    fill(index, MEMORY_ROWS)
    until(lambda: index.problem is not None)
    assert list(directory.iterdir()) == []


async def test_it_asks_to_wait_when_it_falls_behind(index: Index, disk: FaultyDisk) -> None:
    """Behind a disk that is full memory stays bounded: the index is behind, until there is room again."""
    assert not index.is_behind
    disk.fail(error=errno.ENOSPC)
    count = 0
    while index.statistics().memory_rows < 4 * MEMORY_ROWS:
        if not index.is_behind:
            count += len(fill(index, MEMORY_ROWS, start=count))
        await asyncio.sleep(0.001)
    assert index.is_behind
    assert count == 4 * MEMORY_ROWS
    with pytest.raises(OSError, match="No space left on device"):
        await asyncio.wait_for(index.wait_until_caught_up(), 20)
    disk.mend()
    await asyncio.wait_for(index.wait_until_caught_up(), 20)
    assert not index.is_behind


def test_what_could_not_be_written_at_the_stop_is_asked_for_again(
    index: Index, directory: Path, disk: FaultyDisk
) -> None:
    """A stop on a full disk says so, and the next start begins where the written part ends."""
    events = fill(index, MEMORY_ROWS)
    until(lambda: index.statistics().flushes == 1)
    fill(index, 7, start=MEMORY_ROWS)
    disk.fail(error=errno.ENOSPC)
    index.close()
    assert "No space left on device" in str(index.problem)
    disk.mend()
    again = Index(directory, disk=disk)
    assert again.open() == LogPosition(1, MEMORY_ROWS * 100)
    assert_complete(again, events)
    again.close()


def test_a_reader_beside_the_owner_writes_nothing(index: Index, directory: Path) -> None:
    """Opened read-only it reads what the manifest names, keeps what is added in memory and changes no file."""
    events = fill(index, 2 * MEMORY_ROWS)
    until(lambda: index.statistics().flushes == 2)
    (directory / "00000999.run").write_bytes(b"being written by the owner")
    before = {path.name: path.read_bytes() for path in directory.iterdir()}
    disk = FaultyDisk()
    reader = Index(directory, disk=disk, memory_rows=MEMORY_ROWS)
    assert reader.open(read_only=True) == LogPosition(1, 2 * MEMORY_ROWS * 100)
    events += fill(reader, 2 * MEMORY_ROWS, start=len(events))
    assert_complete(reader, events)
    reader.close()
    assert {path.name: path.read_bytes() for path in directory.iterdir()} == before
    assert not {operation for operation, _ in disk.calls} & WRITES


def test_a_reader_reads_the_manifest_again_when_runs_were_merged_meanwhile(index: Index, directory: Path) -> None:
    """The owner removes files that an older manifest names; the reader then takes the newer one."""
    events = fill(index, MEMORY_ROWS)
    until(lambda: index.statistics().flushes == 1)

    class SlowDisk(Disk):
        """A disk on which the owner is faster than the reader."""

        def map(self, path: Path, length: int):  # noqa: ANN202 - as Disk's
            if not events[MEMORY_ROWS:]:
                events.extend(fill(index, 4 * MEMORY_ROWS, start=len(events)))
                until(lambda: index.statistics().merges > 0 and is_settled(index))
            return super().map(path, length)

    reader = Index(directory, disk=SlowDisk())
    assert reader.open(read_only=True) == LogPosition(1, 5 * MEMORY_ROWS * 100)
    assert_complete(reader, events)
    reader.close()


def test_lists_are_whole_while_events_are_added(index: Index) -> None:
    """A list in another thread holds all that was added before it began, in order, while the index grows and merges."""
    added = 0

    def read() -> int:
        lists = 0
        while added < 2000:
            before = added
            entries = index.list_entries(Query(), limit=5000)
            assert [entry.place for entry in entries] == [place_of(number) for number in range(len(entries))]
            assert len(entries) >= before
            lists += 1
        return lists

    with ThreadPoolExecutor(2) as readers:
        running = [readers.submit(read) for _ in range(2)]
        while added < 2000 and not any(future.done() for future in running):
            added += len(fill(index, 10, start=added))
            time.sleep(0.001)
        assert all(future.result(60) > 0 for future in running)


def test_the_digests_differ_between_indexes(tmp_path: Path) -> None:
    """Each new index has a secret of its own, so that a sender can't make uuids that meet in one digest."""
    secrets = set()
    for name in ("a", "b"):
        index = Index(tmp_path / name, disk=Disk())
        index.open()
        fill(index, 1)
        index.close()
        secrets.add(json.loads(json.loads((tmp_path / name / "manifest.json").read_bytes())["content"])["secret"])
    assert len(secrets) == 2
