"""The quarantine: what was refused is kept as it was received, counted, found, dropped, and there after a restart."""

import asyncio
import errno
import json
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from zlib import crc32

import pytest

from backends.disk import Disk
from backends.errors import StorageFull, StoreClosed, StoreError, StoreUnavailable
from backends.quarantine import Entry, Filter, Group, Quarantine, Refused
from support.fake_disk import FakeDisk

DIRECTORY = Path("/data/quarantine")
RECEIVED = "2026-11-24T11:22:33.123456Z"
LATER = "2026-11-25T00:00:00.000000Z"
REFUSED = Refused(b'{"a":', "malformed_json", "it ends too early", RECEIVED, "10.0.0.7")


@pytest.fixture
async def quarantine(tmp_path: Path) -> AsyncIterator[Quarantine]:
    """Return an open quarantine."""
    async with Quarantine(tmp_path / "quarantine") as opened:
        yield opened


def numbered(number: int, code: str = "schema_violation", event_type_id: str | None = "sl_test_event") -> Refused:
    """Return one of many that differ."""
    return Refused(b'{"n":%d}' % number, code, f"number {number}", RECEIVED, "10.0.0.7", event_type_id, 1)


def oldest_segment(directory: Path) -> Path:
    """Return the file of a quarantine that was begun first."""
    return min(directory.rglob("*.ndjson"))


async def details(quarantine: Quarantine, condition: Filter = Filter(), **options: bool) -> list[str]:  # noqa: B008
    """Return the details of all entries, page by page."""
    found: list[str] = []
    cursor = None
    while True:
        page = await quarantine.find(condition, limit=3, cursor=cursor, **options)
        found += [entry.detail for entry in page.entries]
        cursor = page.next
        if cursor is None:
            return found


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b'{"a":"\\u00e9"}\r\n',
        "ünï漢\u2028".encode(),
        b"\x00\xff\xfe",
        b"\xef\xbb\xbf{}",
        b"\n" * 50,
        bytes(range(256)),
    ],
)
async def test_a_body_comes_back_as_it_was_received(tmp_path: Path, body: bytes) -> None:
    """Whatever bytes were sent, also after a restart."""
    async with Quarantine(tmp_path) as quarantine:
        id_ = await quarantine.keep(REFUSED._replace(body=body))
        before = await quarantine.get(id_)
    async with Quarantine(tmp_path) as quarantine:
        after = await quarantine.get(id_)
    assert before is not None
    assert before.body == body
    assert before == after


async def test_an_entry_tells_all_that_was_known(quarantine: Quarantine) -> None:
    """Reason, type, peer and time are kept with the body."""
    id_ = await quarantine.keep(Refused(b"{}", "schema_violation", "no", RECEIVED, "::1", "sl_test_event", 2))
    kept = await quarantine.get(id_)
    assert kept is not None
    assert kept.entry == Entry(
        id_, "schema_violation", "no", "sl_test_event", 2, "::1", RECEIVED, RECEIVED, arrivals=1, size=2
    )


async def test_the_files_can_be_read_by_others() -> None:
    """Each line is one JSON object that ends in its checksum; a body that is text stands there as text."""
    disk = FakeDisk()
    async with Quarantine(DIRECTORY, disk=disk) as quarantine:
        await quarantine.keep(REFUSED)
        await quarantine.keep(REFUSED)
    [text] = disk.contents().values()
    entry, again = text.splitlines()
    assert json.loads(entry)["body"] == REFUSED.body.decode()
    assert json.loads(again)["arrivals"] == 2
    for line in (entry, again):
        content, _, _ = line.partition(b',"@crc"')
        assert json.loads(line)["@crc"] == f"{crc32(content):08x}"


async def test_the_same_bytes_again_raise_a_count(tmp_path: Path) -> None:
    """One body, however often it comes, in one call, in many at once, or later; the last moment is the latest."""
    async with Quarantine(tmp_path) as quarantine:
        await quarantine.keep_many([REFUSED, REFUSED])
        await asyncio.gather(*(quarantine.keep(REFUSED) for _ in range(10)))
        await quarantine.keep(REFUSED._replace(received=LATER))
        [before] = (await quarantine.find()).entries
        assert quarantine.statistics.kept == {"malformed_json": 1}
        assert quarantine.statistics.repeated == {"malformed_json": 12}
    async with Quarantine(tmp_path) as quarantine:
        [after] = (await quarantine.find()).entries
    assert before == after
    assert (after.arrivals, after.received, after.last_received) == (13, RECEIVED, LATER)


async def test_the_same_bytes_under_another_code_are_another_entry(quarantine: Quarantine) -> None:
    """An event that is unknown today may be in conflict tomorrow."""
    await quarantine.keep(REFUSED)
    await quarantine.keep(REFUSED._replace(code="event_conflict"))
    assert quarantine.entries == 2


async def test_callers_that_wait_share_a_sync() -> None:
    """Group commit: a hundred calls at once take a handful of syncs."""
    disk = FakeDisk()
    async with Quarantine(DIRECTORY, disk=disk) as quarantine:
        disk.calls.clear()
        ids = await asyncio.gather(*(quarantine.keep(numbered(number)) for number in range(100)))
    assert len(set(ids)) == 100
    assert sum(operation == "sync" for operation, _ in disk.calls) <= 2


async def test_keep_returns_only_when_it_is_synced() -> None:
    """When the power is cut right after the answer, the entry is there."""
    disk = FakeDisk()
    async with Quarantine(DIRECTORY, disk=disk) as quarantine:
        id_ = await quarantine.keep(REFUSED)
        left = disk.after_power_cut(disk._random)
    async with Quarantine(DIRECTORY, disk=left) as quarantine:
        assert await quarantine.get(id_) is not None


@pytest.mark.parametrize(("error", "expected"), [(errno.ENOSPC, StorageFull), (errno.EIO, StoreUnavailable)])
async def test_what_cannot_be_kept_is_said_to_all_that_wait(error: int, expected: type[StoreError]) -> None:
    """A full or failing disk fails the calls, nothing of them is there, and the next call works again."""
    disk = FakeDisk()
    async with Quarantine(DIRECTORY, disk=disk) as quarantine:
        await quarantine.keep(numbered(0))
        disk.fail({"write", "sync"}, error=error)
        answers = await asyncio.gather(
            *(quarantine.keep(numbered(number)) for number in range(1, 4)), return_exceptions=True
        )
        assert [type(answer) for answer in answers] == [expected] * 3
        assert quarantine.entries == 1
        await quarantine.keep(numbered(4))
        assert await details(quarantine) == ["number 4", "number 0"]


async def test_a_list_shows_the_newest_first_and_each_once(quarantine: Quarantine) -> None:
    """Page by page, in the order of keeping, or turned around."""
    await quarantine.keep_many([numbered(number) for number in range(10)])
    expected = [f"number {number}" for number in range(10)]
    assert await details(quarantine, oldest_first=True) == expected
    assert await details(quarantine) == expected[::-1]


async def test_what_arrives_while_one_turns_pages_is_not_shown_twice(quarantine: Quarantine) -> None:
    """A cursor is a place in the list, whatever comes or goes."""
    await quarantine.keep_many([numbered(number) for number in range(4)])
    first = await quarantine.find(limit=2)
    await quarantine.keep(numbered(4))
    await quarantine.drop([first.entries[-1].id])
    second = await quarantine.find(limit=2, cursor=first.next)
    assert [entry.detail for entry in (*first.entries, *second.entries)] == [f"number {n}" for n in (3, 2, 1, 0)]


@pytest.mark.parametrize("cursor", ["", "x", "-1", "9" * 30, "٣"])
async def test_a_cursor_of_somebody_else_is_refused(quarantine: Quarantine, cursor: str) -> None:
    """Rather than taken as the beginning."""
    with pytest.raises(ValueError, match="no cursor"):
        await quarantine.find(cursor=cursor)


async def test_a_list_can_be_filtered(quarantine: Quarantine) -> None:
    """By code, event type and peer; all of them must fit."""
    await quarantine.keep_many(
        [
            numbered(1),
            numbered(2, code="event_conflict"),
            numbered(3, event_type_id="eula_signed"),
            numbered(4)._replace(peer="10.0.0.8"),
            numbered(5, event_type_id=None),
        ]
    )
    assert await details(quarantine, Filter(code="event_conflict")) == ["number 2"]
    assert await details(quarantine, Filter(event_type_id="eula_signed")) == ["number 3"]
    assert await details(quarantine, Filter(peer="10.0.0.8")) == ["number 4"]
    assert await details(quarantine, Filter("schema_violation", "sl_test_event", "10.0.0.7")) == ["number 1"]
    assert await details(quarantine, Filter(code="never_seen")) == []


async def test_groups_tell_how_much_there_is_for_each_reason_and_type(quarantine: Quarantine) -> None:
    """The largest first; a type that could not be read is None."""
    assert await quarantine.groups() == []
    await quarantine.keep_many([numbered(1), numbered(2), numbered(2), REFUSED])
    first, second = await quarantine.groups()
    assert first[:4] == Group("schema_violation", "sl_test_event", 2, 3, 0)[:4]
    assert second[:4] == Group("malformed_json", None, 1, 1, 0)[:4]
    assert first.bytes + second.bytes == quarantine.bytes


async def test_what_was_dropped_is_gone_also_after_a_restart(tmp_path: Path) -> None:
    """By id, counted once; an unknown id, or what is none, drops nothing."""
    async with Quarantine(tmp_path) as quarantine:
        first, second = await quarantine.keep_many([numbered(1), numbered(2)])
        assert await quarantine.drop([first, first, "0" * 32, "x", ""]) == 1
        assert await quarantine.get(first) is None
        assert quarantine.statistics.dropped == {"schema_violation": 1}
    async with Quarantine(tmp_path) as quarantine:
        assert await details(quarantine) == ["number 2"]
        assert await quarantine.drop([first]) == 0
        assert await quarantine.drop([second]) == 1


async def test_what_fits_a_filter_can_be_dropped_at_once(tmp_path: Path) -> None:
    """And the rest stays."""
    async with Quarantine(tmp_path) as quarantine:
        await quarantine.keep_many([numbered(number, "a" if number % 3 else "b") for number in range(30)])
        assert await quarantine.drop_all(Filter(code="a")) == 20
    async with Quarantine(tmp_path) as quarantine:
        assert [group[:3] for group in await quarantine.groups()] == [("b", "sl_test_event", 10)]


async def test_what_was_dropped_can_be_kept_anew(tmp_path: Path) -> None:
    """It begins at one arrival, and an old drop does not take it away after a restart."""
    async with Quarantine(tmp_path) as quarantine:
        await quarantine.keep_many([REFUSED, REFUSED])
        [entry] = (await quarantine.find()).entries
        await quarantine.drop([entry.id])
        assert await quarantine.keep(REFUSED) == entry.id
    async with Quarantine(tmp_path) as quarantine:
        [entry] = (await quarantine.find()).entries
        assert entry.arrivals == 1


async def test_the_reason_can_change_and_the_rest_stays(tmp_path: Path) -> None:
    """After a replay that was refused again: the new reason, the old times, count and peer."""
    async with Quarantine(tmp_path) as quarantine:
        await quarantine.keep_many([numbered(1, code="unknown_event_type"), numbered(2)])
        await quarantine.keep(numbered(1, code="unknown_event_type")._replace(received=LATER))
        old = (await quarantine.find(Filter(code="unknown_event_type"))).entries[0]
        tried = Refused(b"", "schema_violation", "too short", LATER, None, "sl_test_event", 1)
        id_ = await quarantine.refuse_again(old.id, tried)
        assert id_ is not None
        assert await quarantine.get(old.id) is None
    async with Quarantine(tmp_path) as quarantine:
        assert quarantine.entries == 2
        kept = await quarantine.get(id_)
        assert kept is not None
        assert kept.entry == old._replace(id=id_, code="schema_violation", detail="too short")
        assert kept.body == numbered(1).body


async def test_a_changed_reason_under_the_same_code_keeps_the_id(quarantine: Quarantine) -> None:
    """Only the sentence is another one."""
    id_ = await quarantine.keep(numbered(1))
    assert await quarantine.refuse_again(id_, numbered(1)._replace(detail="other")) == id_
    assert await details(quarantine) == ["other"]
    assert await quarantine.refuse_again("0" * 32, numbered(1)) is None


async def test_a_changed_reason_joins_the_entry_that_has_it(quarantine: Quarantine) -> None:
    """Two entries of one body that are now refused for one reason become one."""
    await quarantine.keep(numbered(1))
    id_ = await quarantine.keep(numbered(1, code="unknown_event_type"))
    joined = await quarantine.refuse_again(id_, numbered(1))
    [entry] = (await quarantine.find()).entries
    assert (entry.id, entry.arrivals) == (joined, 2)


async def test_a_conflict_after_acknowledgement_stays_one(quarantine: Quarantine) -> None:
    """It was acknowledged once, so no replay makes it something that may be evicted."""
    id_ = await quarantine.keep(numbered(1, code="conflict_after_ack"))
    assert await quarantine.refuse_again(id_, numbered(1, code="event_conflict")) == id_


async def test_a_damaged_line_is_counted_and_the_rest_is_served() -> None:
    """Bits rot; what was damaged stays on the disk as it is."""
    disk = FakeDisk()
    async with Quarantine(DIRECTORY, disk=disk) as quarantine:
        await quarantine.keep_many([numbered(number) for number in range(3)])
    [(path, text)] = disk.contents().items()
    disk.overwrite(Path(path), text.index(b"number 1"), b"number 7")
    async with Quarantine(DIRECTORY, disk=disk) as quarantine:
        assert quarantine.statistics.damaged_lines == 1
        assert await details(quarantine) == ["number 2", "number 0"]


async def test_names_from_senders_are_cut_and_made_clean(quarantine: Quarantine) -> None:
    """A type name of a megabyte or of half a character does no harm."""
    await quarantine.keep(Refused(b"{}", "unknown_event_type", "d\udc00" * 9999, RECEIVED, "p" * 999, "\ud800" * 999))
    [entry] = (await quarantine.find()).entries
    assert (len(entry.detail), entry.peer, entry.event_type_id) == (1000, "p" * 100, "?" * 100)
    assert await details(quarantine, Filter(event_type_id="?" * 100)) == [entry.detail]


async def test_it_can_be_read_beside_a_running_server(tmp_path: Path) -> None:
    """What was there when it was opened; nothing can be changed."""
    async with Quarantine(tmp_path) as quarantine:
        await quarantine.keep(REFUSED)
        async with Quarantine(tmp_path, read_only=True) as other:
            assert await details(other) == ["it ends too early"]
            with pytest.raises(StoreUnavailable):
                await other.keep(REFUSED)
            with pytest.raises(StoreUnavailable):
                await other.drop_all(Filter())


async def test_it_can_be_opened_while_a_running_server_frees_room(tmp_path: Path) -> None:
    """A segment that goes between the listing and the reading of it is no fault: it is looked at anew."""

    class Freeing(Disk):
        """Loses a segment, whose entries were dropped, at the moment when its size is asked for."""

        def size(self, path: Path) -> int:
            if path == going:
                path.unlink(missing_ok=True)
            return super().size(path)

    async with Quarantine(tmp_path, segment_bytes=200) as quarantine:
        for number in range(4):
            await quarantine.keep(numbered(number))
    going = oldest_segment(tmp_path)
    async with Quarantine(tmp_path, read_only=True, disk=Freeing()) as other:
        assert not going.exists()
        assert await details(other, oldest_first=True) == ["number 1", "number 2", "number 3"]


async def test_it_can_be_read_while_a_file_goes(tmp_path: Path) -> None:
    """Nobody is sent to a file that is being removed, however long the disk takes for it."""
    removing, go_on = threading.Event(), threading.Event()

    class Slow(Disk):
        """Waits before it removes a file."""

        def remove(self, path: Path) -> None:
            removing.set()
            assert go_on.wait(10)
            super().remove(path)

    async with Quarantine(tmp_path, segment_bytes=200, disk=Slow()) as quarantine:
        ids = [await quarantine.keep(numbered(number)) for number in range(4)]
        dropping = asyncio.create_task(quarantine.drop(ids[:1]))
        await asyncio.to_thread(removing.wait, 10)
        try:
            assert await quarantine.get(ids[0]) is None
            assert await details(quarantine, oldest_first=True) == ["number 1", "number 2", "number 3"]
        finally:
            go_on.set()
        assert await dropping == 1


async def test_what_was_there_at_the_opening_can_be_read_to_the_end(tmp_path: Path) -> None:
    """Also when the server beside it has removed the file since."""
    async with Quarantine(tmp_path, segment_bytes=200) as quarantine:
        ids = [await quarantine.keep(numbered(number)) for number in range(4)]
        async with Quarantine(tmp_path, read_only=True) as other:
            assert await quarantine.drop(ids[:2]) == 2
            oldest_segment(tmp_path).unlink(missing_ok=True)
            assert len(await details(other)) == 4
            kept = await other.get(ids[0])
            assert kept is not None
            assert kept.body == numbered(0).body


async def test_it_is_used_only_while_it_is_open(tmp_path: Path) -> None:
    """Before and after, each method says so; closing twice is fine."""
    quarantine = Quarantine(tmp_path)
    with pytest.raises(StoreClosed):
        await quarantine.keep(REFUSED)
    async with quarantine:
        kept = asyncio.create_task(quarantine.keep(REFUSED))
        await asyncio.sleep(0)
    assert await kept
    await quarantine.__aexit__(None, None, None)
    for work in (quarantine.find(), quarantine.get("0" * 32), quarantine.groups(), quarantine.drop([])):
        with pytest.raises(StoreClosed):
            await work
