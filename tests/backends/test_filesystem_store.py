"""What is peculiar to the filesystem store: its files, and what it makes of files that were damaged."""

import asyncio
import errno
import re
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import product
from pathlib import Path

import pytest

from backends.base import Event, Outcome, Query, Status
from backends.errors import StorageFull, StoreError, StoreUnavailable
from backends.filesystem import FilesystemStore
from support.events import make_event, new_uuid, position_of, records_of
from support.faulty_disk import FaultyDisk
from support.gated_disk import GatedDisk
from support.paging import find_all, tail_all


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Where the store lies; not there yet."""
    return tmp_path / "root"


@asynccontextmanager
async def opened(root: Path, disk: FaultyDisk | None = None) -> AsyncIterator[FilesystemStore]:
    """Open a store with small segments and memory tables."""
    async with FilesystemStore(root, disk=disk, segment_bytes=2000, memory_rows=8) as store:
        yield store


def files(root: Path) -> dict[str, bytes]:
    """Return all files below a directory, days written as DAY."""
    return {
        re.sub(r"\d{4}-\d\d-\d\d", "DAY", str(path.relative_to(root))): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file()
    }


def segments(root: Path) -> list[Path]:
    """Return the segments of the log, in order."""
    return sorted(root.glob("events/*/*.ndjson"), key=lambda path: path.name)


def some(count: int) -> list[Event]:
    """Return events whose instants run against their order."""
    return [make_event(at=f"2017-02-16T16:36:{59 - number:02}.082000000Z", message=number) for number in range(count)]


def overwrite(path: Path, offset: int, data: bytes) -> None:
    """Change a file where it stands."""
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)


async def assert_holds(store: FilesystemStore, events: list[Event]) -> None:
    """Every way of reading gives exactly these events."""
    assert [await store.get(event.uuid) for event in events] == records_of(events)
    assert await find_all(store) == records_of(sorted(events, key=position_of))
    assert sorted(records_of(await tail_all(store))) == sorted(records_of(events))


def figure(store: FilesystemStore, name: str) -> float:
    """Return what the store counts under a name."""
    (value,) = [statistic.value for statistic in store.statistics() if statistic.name == name]
    assert isinstance(value, int | float)
    return value


# files


async def test_the_files_are_these_and_no_others(root: Path) -> None:
    """The log is the records, one a line, in segments of a day; beside it only the index."""
    events = some(12)
    async with opened(root) as store:
        await store.put(events[:5])
        assert {name for name in files(root) if not name.startswith("index/")} == {"events/DAY/00000001.ndjson"}
        await store.put(events[5:])
    found = files(root)
    log = {name: content for name, content in found.items() if name.startswith("events/")}
    assert log == {
        "events/DAY/00000001.ndjson": b"".join(event.record + b"\n" for event in events[:5]),
        "events/DAY/00000002.ndjson": b"".join(event.record + b"\n" for event in events[5:]),
    }
    others = found.keys() - log.keys()
    assert "index/manifest.json" in others
    assert all(re.fullmatch(r"index/(manifest\.json|\d{8}\.run)", name) for name in others)


async def test_opening_and_closing_makes_no_segments(root: Path) -> None:
    """A server that is started and stopped leaves no empty files behind."""
    events = some(3)
    async with opened(root) as store:
        await store.put(events)
    before = files(root)
    for _ in range(3):
        async with opened(root) as store:
            await assert_holds(store, events)
    assert files(root) == before


async def test_a_second_store_reads_beside_the_first(root: Path) -> None:
    """A read-only store shows what was there when it was opened, refuses to write and changes nothing."""
    events = some(20)
    async with opened(root) as store:
        await store.put(events)
        before = segments(root)
        async with FilesystemStore(root, read_only=True) as reader:
            await assert_holds(reader, events)
            with pytest.raises(StoreError):
                await reader.put([make_event()])
        assert segments(root) == before
        assert (await store.put([make_event()]))[0].status is Status.STORED


# void groups


@pytest.mark.parametrize("kind", ["write", "sync", "create", "sync_directory", "make_one_directory"])
async def test_a_void_group_is_never_shown(root: Path, kind: str) -> None:
    """The n-th operation fails, other content is put under the same uuid: after a restart that one is there."""
    for number, times in product(range(5), (1, 2, 3)):
        disk = FaultyDisk()
        directory = root / f"{number}-{times}"
        async with opened(directory, disk) as store:
            disk.fail({kind}, after=number, times=times)
            acknowledged = [await put_until_stored(store, new_uuid()) for _ in range(8)]
            disk.mend()
            await assert_holds(store, acknowledged)
        async with opened(directory) as store:
            await assert_holds(store, acknowledged)
        shutil.rmtree(directory / "index")
        async with opened(directory) as store:
            await assert_holds(store, acknowledged)


async def put_until_stored(store: FilesystemStore, uuid: str) -> Event:
    """Put other content each time until it is stored."""
    for number in range(10):
        event = make_event(uuid, message={"n": number, "p": "x" * 200})
        try:
            assert await store.put([event]) == [Outcome(Status.STORED)]
        except StoreUnavailable:
            continue
        return event
    raise AssertionError


# the index is derived


def remove_index(root: Path) -> None:
    """Remove it."""
    shutil.rmtree(root / "index")


def empty_manifest(root: Path) -> None:
    """Leave an empty file."""
    (root / "index" / "manifest.json").write_bytes(b"")


def foreign_manifest(root: Path) -> None:
    """Put something else there."""
    (root / "index" / "manifest.json").write_bytes(b'{"layout":99}')


def remove_runs(root: Path) -> None:
    """Remove what the manifest names."""
    for path in (root / "index").glob("*.run"):
        path.unlink()


def shorten_runs(root: Path) -> None:
    """Cut off the last byte."""
    for path in (root / "index").glob("*.run"):
        path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.parametrize("damage", [remove_index, empty_manifest, foreign_manifest, remove_runs, shorten_runs])
async def test_an_index_that_is_lost_is_made_again(root: Path, damage: Callable[[Path], None]) -> None:
    """Deleting or breaking it is harmless: it is read from the log again, telling how far it is."""
    events = some(40)
    async with opened(root) as store:
        await store.put(events)
    damage(root)
    told: list[tuple[int, int]] = []
    size = sum(path.stat().st_size for path in segments(root))
    async with FilesystemStore(root, memory_rows=8, progress=lambda done, total: told.append((done, total))) as store:
        await assert_holds(store, events)
        assert [outcome.status for outcome in await store.put(events)] == [Status.DUPLICATE] * 40
    assert told[-1] == (size, size)
    told.clear()
    async with FilesystemStore(root, progress=lambda done, total: told.append((done, total))) as store:
        await assert_holds(store, events)
    assert told == [], "what was made again is there at the next start"


async def test_an_index_that_is_ahead_of_the_log_is_made_again(root: Path) -> None:
    """When the log was put back from an older copy, the index knows places that are not there."""
    events = some(30)
    async with opened(root) as store:
        await store.put(events[:10])
    shutil.copytree(root / "events", root / "copy")
    async with opened(root) as store:
        await store.put(events[10:])
    shutil.rmtree(root / "events")
    (root / "copy").rename(root / "events")
    async with opened(root) as store:
        await assert_holds(store, events[:10])
        assert [outcome.status for outcome in await store.put(events)] == [Status.DUPLICATE] * 10 + [Status.STORED] * 20


async def test_only_the_tail_is_read_again_after_a_crash(root: Path, tmp_path: Path) -> None:
    """A copy of the running store's files is what a kill leaves: all is there, and only the newest is read again."""
    events = some(50)
    async with opened(root) as store:
        for event in events:
            await store.put([event])
        async with asyncio.timeout(20):
            while figure(store, "index_memory_rows") > 16:  # noqa: ASYNC110 - a thread writes it; there is no event
                await asyncio.sleep(0.01)
        await asyncio.to_thread(shutil.copytree, root, tmp_path / "killed")
    told: list[int] = []
    async with FilesystemStore(tmp_path / "killed", progress=lambda _, total: told.append(total)) as store:
        await assert_holds(store, events)
    assert 0 < told[-1] <= sum(len(event.record) + 1 for event in events[-16:])


async def test_everything_is_the_same_after_a_restart(root: Path) -> None:
    """Lists, tokens, records: after a restart, and after the index was made again, nothing differs."""

    async def everything(store: FilesystemStore) -> list[object]:
        return [
            [await store.get(event.uuid) for event in events],
            await find_all(store),
            await find_all(store, Query(descending=True)),
            await find_all(store, Query(event_type_id="sl_test_event", event_type_version=1)),
            [arrival async for arrival in store.tail()],
        ]

    events = some(50)
    async with opened(root) as store:
        await store.put(events[:30])
        await store.put(events[20:])
        before = await everything(store)
    async with opened(root) as store:
        assert await everything(store) == before
    remove_index(root)
    async with opened(root) as store:
        assert await everything(store) == before


# the log was damaged


async def test_a_torn_tail_is_left_out_and_counted(root: Path) -> None:
    """Half a record at the end of the log is nobody's; putting the event again stores it."""
    events = some(4)
    async with opened(root) as store:
        await store.put(events[:3])
    torn = events[3].record[:100]
    with segments(root)[-1].open("ab") as file:
        file.write(torn)
    async with opened(root) as store:
        await assert_holds(store, events[:3])
        assert figure(store, "log_torn_bytes") == len(torn)
        assert (await store.put([events[3]]))[0].status is Status.STORED
    for _ in range(2):
        async with opened(root) as store:
            await assert_holds(store, events)


DAMAGES = {
    "a digit": (30, b"#"),
    "the uuid": (60, b"00"),
    "a line end in the middle": (100, b"\n"),
    "zeros": (0, bytes(200)),
    "the checksum": (-3, b"z"),
    "the start": (0, b"x"),
}


@pytest.mark.parametrize("index", [True, False], ids=["with index", "without"])
@pytest.mark.parametrize(("offset", "data"), DAMAGES.values(), ids=DAMAGES.keys())
async def test_a_damaged_line_is_reported_and_healed(
    root: Path, caplog: pytest.LogCaptureFixture, offset: int, data: bytes, *, index: bool
) -> None:
    """The rest is served, the line is kept as it was found, and putting the event again heals it for good."""
    events = some(9)
    async with opened(root) as store:
        await store.put(events[:3])
        await store.put(events[3:])
    path = segments(root)[0]
    start = len(events[0].record) + 1
    overwrite(path, start + offset % len(events[1].record), data)
    damaged = path.read_bytes()[start : start + len(events[1].record)]
    if not index:
        remove_index(root)
    rest = [event for event in events if event is not events[1]]
    async with opened(root) as store:
        assert await store.get(events[1].uuid) is None
        await assert_holds(store, rest)
        assert "damaged record in segment 1" in caplog.text
        assert figure(store, "damaged_records") > 0
        kept = [content for name, content in files(root).items() if name.startswith("damaged/")]
        assert damaged in kept or set(damaged.split(b"\n")) <= set(kept)
        assert await store.put([events[1]]) == [Outcome(Status.STORED)]
        await assert_holds(store, events)
    for again in range(2):
        async with opened(root) as store:
            await assert_holds(store, events)
            assert [outcome.status for outcome in await store.put(events)] == [Status.DUPLICATE] * 9
        if not again:
            remove_index(root)


async def test_a_line_that_is_damaged_while_the_store_is_open(root: Path) -> None:
    """It is found out when it is read; the event can be put again at once, other content under its uuid too."""
    events = some(5)
    async with opened(root) as store:
        await store.put(events)
        overwrite(segments(root)[0], len(events[0].record) + 1 + 30, b"#")
        rest = [event for event in events if event is not events[1]]
        await assert_holds(store, rest)
        other = make_event(events[1].uuid, message="other", at="2020-01-01T00:00:00.000000000Z")
        assert await store.put([other]) == [Outcome(Status.STORED)]
        await assert_holds(store, [*rest, other])
    for again in range(2):
        async with opened(root) as store:
            await assert_holds(store, [*rest, other])
        if not again:
            remove_index(root)


async def test_two_lines_that_became_one(root: Path) -> None:
    """Where a line end is gone, both records are damaged; both can be put again."""
    events = some(5)
    async with opened(root) as store:
        await store.put(events)
    overwrite(segments(root)[0], len(events[0].record), b" ")
    remove_index(root)
    async with opened(root) as store:
        await assert_holds(store, events[2:])
        assert [outcome.status for outcome in await store.put(events)] == [Status.STORED] * 2 + [Status.DUPLICATE] * 3
        await assert_holds(store, events)


async def test_pages_step_over_damaged_records(root: Path) -> None:
    """Where records are damaged a page is filled with the next ones, and the list goes on to its end."""
    events = sorted(some(30), key=position_of)
    async with opened(root) as store:
        for event in events:
            await store.put([event])
        places = {place.offset: place for place, _ in store.log.scan()}
        assert places
        good = []
        for number, event in enumerate(events):
            if number % 3 == 1 or number > 26:
                (place,) = [place for place, line in store.log.scan() if line == event.record]
                overwrite(segments(root)[place.segment - 1], place.offset + 30, b"#")
            else:
                good.append(event)
        for limit in (1, 2, 7, 30):
            found, query = [], Query()
            while True:
                page = await store.find(query, limit=limit, max_bytes=1 << 20)
                found += page.records
                assert len(page.records) == limit or page.next is None
                if page.next is None:
                    break
                query = query._replace(after=page.next)
            assert found == records_of(good)


@pytest.mark.parametrize("token", ["0-1", "1-5", "1-0005", "2-0", "1-99999", "7-0", "1-", "-1-5", "1-5-5"])
async def test_a_token_from_nowhere_is_refused(root: Path, token: str) -> None:
    """Only the ends of lines are tokens: anything else would show parts of records."""
    async with opened(root) as store:
        await store.put(some(3))
        with pytest.raises(ValueError, match="token"):
            await tail_all(store, token)
    assert not any(name.startswith("damaged") for name in files(root))


# a disk that is full, or slow


async def test_a_disk_that_is_full_from_the_start(root: Path) -> None:
    """On a full disk the store opens, reads, says that it is full, and works when there is room again."""
    events = some(20)
    async with opened(root) as store:
        await store.put(events)
    remove_index(root)
    disk = FaultyDisk()
    disk.fail({"write"}, error=errno.ENOSPC)
    async with opened(root, disk) as store:
        await assert_holds(store, events)
        with pytest.raises(StorageFull):
            await store.ping()
        with pytest.raises(StorageFull):
            await store.put([make_event()])
        await assert_holds(store, events)
        disk.mend()
        await store.ping()
        more = make_event()
        assert (await store.put([more]))[0].status is Status.STORED
        await assert_holds(store, [*events, more])


async def test_a_full_disk_without_an_index(root: Path) -> None:
    """When an index must be made and there is no room for it, opening says so instead of waiting for ever."""
    events = some(55)
    async with opened(root) as store:
        await store.put(events)
    remove_index(root)
    disk = FaultyDisk()
    disk.fail({"write"}, error=errno.ENOSPC)
    with pytest.raises(StorageFull):
        await FilesystemStore(root, disk=disk, memory_rows=8).__aenter__()
    disk.mend()
    async with opened(root, disk) as store:
        await assert_holds(store, events)


async def test_a_disk_that_is_too_full_for_the_index(root: Path) -> None:
    """Where only the index finds no room, puts go on until memory has its fill, then they say that the disk is full."""
    disk = FaultyDisk()
    stored: list[Event] = []
    async with opened(root, disk) as store:
        disk.fail({"rename"}, error=errno.ENOSPC)
        for event in some(59):
            try:
                await store.put([event])
            except StorageFull:
                break
            stored.append(event)
        assert 8 < len(stored) < 59
        with pytest.raises(StorageFull):
            await store.ping()
        await assert_holds(store, stored)
        disk.mend()
        await store.ping()
        stored.append(make_event())
        await store.put(stored)
        await assert_holds(store, stored)


async def test_little_room_is_said_before_a_write_fails(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ping warns while writes still work."""
    disk = FaultyDisk()
    async with opened(root, disk) as store:
        monkeypatch.setattr(disk, "free_bytes", lambda _: 1_000_000)
        with pytest.raises(StorageFull):
            await store.ping()
        assert (await store.put([make_event()]))[0].status is Status.STORED


async def test_a_disk_that_does_not_answer(root: Path) -> None:
    """A put fails in time; what it was about shows when the disk answers, and all agree on it."""
    disk = GatedDisk("sync")
    disk.open_gate()
    event = make_event(message={"n": 0})
    other = make_event(event.uuid, message={"n": 1})
    async with FilesystemStore(Path("/data/root"), disk=disk, timeout=0.2) as store:
        await store.put([make_event()])
        disk.close_gate()
        with pytest.raises(StoreUnavailable):
            await store.put([event])
        with pytest.raises(StoreUnavailable):
            await store.put([other])
        disk.open_gate()
        (outcome,) = await store.put([other])
        assert outcome == Outcome(Status.CONFLICT, event.record)
        assert await store.get(event.uuid) == event.record


async def test_a_root_that_can_not_be_made(tmp_path: Path) -> None:
    """It is an error of the contract."""
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreUnavailable):
        await FilesystemStore(tmp_path / "file" / "root").__aenter__()
