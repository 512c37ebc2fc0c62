"""The append-only log: what it writes, when it acknowledges, and what it finds again."""

import asyncio
import errno
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from zlib import crc32

import pytest

from backends.errors import StorageFull, StoreClosed, StoreUnavailable
from backends.log import AppendLog, LogPosition, Place
from support.events import line
from support.fake_disk import FakeDisk
from support.gated_disk import GatedDisk

DAY = "2026-11-24"


class Clock:
    """A day that the test turns."""

    def __init__(self) -> None:
        self.day = DAY

    def __call__(self) -> str:
        """Return the day."""
        return self.day


@pytest.fixture
def clock() -> Clock:
    """The day of new segments."""
    return Clock()


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Where the log lies; not there yet."""
    return tmp_path / "events"


@pytest.fixture
async def log(directory: Path, clock: Clock) -> AsyncIterator[AppendLog]:
    """An open log on a real disk, with segments of 1,000 bytes."""
    async with AppendLog(directory, segment_bytes=1000, today=clock) as log:
        yield log


@asynccontextmanager
async def reopened(log: AppendLog, clock: Clock, *, read_only: bool = False) -> AsyncIterator[AppendLog]:
    """Close a log and open its directory again."""
    await log.__aexit__(None, None, None)
    async with AppendLog(log.directory, segment_bytes=1000, today=clock, read_only=read_only) as again:
        yield again


def lines(count: int, first: int = 1) -> list[bytes]:
    """Return numbered lines of 99 bytes, so that ten of them with their ends fill a segment."""
    return [line(1000 + number, 64) for number in range(first, first + count)]


def files(directory: Path) -> dict[str, bytes]:
    """Return all files below a directory."""
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def shown(log: AppendLog) -> list[bytes]:
    """Return the lines of a log."""
    return [text for _, text in log.scan()]


async def test_lines_are_files_of_lines(log: AppendLog, directory: Path) -> None:
    """A segment is the lines, each with a line end, and nothing else."""
    await log.append([b'{"a":1}', b'{"b":2}'])
    await log.append([b'{"c":3}'])
    assert files(directory) == {f"{DAY}/00000001.ndjson": b'{"a":1}\n{"b":2}\n{"c":3}\n'}


async def test_a_place_leads_to_its_line(log: AppendLog) -> None:
    """Append gives the places of its lines, in order; reading one gives the line."""
    assert await log.append([b'{"a":1}', b'{"bb":2}']) == [Place(1, 0, 7), Place(1, 8, 8)]
    (place,) = await log.append([b'{"c":3}'])
    assert place == Place(1, 17, 7)
    assert log.read(place) == b'{"c":3}'
    assert log.read_cached(place) in (b'{"c":3}', None)


async def test_a_place_stays_over_restarts(log: AppendLog, clock: Clock) -> None:
    """Places and the order of a scan are the same after the log was opened again."""
    appended = lines(30)
    places = await log.append(appended[:20]) + await log.append(appended[20:])
    async with reopened(log, clock) as again:
        assert [again.read(place) for place in places] == appended
        assert list(again.scan()) == list(zip(places, appended, strict=True))


async def test_a_place_of_no_segment_can_not_be_read(log: AppendLog) -> None:
    """It is an error of the contract."""
    with pytest.raises(StoreUnavailable):
        log.read(Place(7, 0, 1))
    assert log.read_cached(Place(7, 0, 1)) is None


async def test_nothing_is_written_before_the_first_line(log: AppendLog, directory: Path) -> None:
    """A log that is opened and closed leaves no segment, nor does an append of nothing leave a line."""
    assert files(directory) == {}
    assert await log.append([]) == []
    assert shown(log) == []


async def test_a_segment_is_sealed_by_size(log: AppendLog, directory: Path) -> None:
    """No segment grows over its limit; it may reach it exactly."""
    for text in lines(25):
        await log.append([text])
    sizes = [len(content) for _, content in sorted(files(directory).items())]
    assert sizes == [1000, 1000, 500]
    assert [segment.valid for segment in log.segments()] == sizes
    assert [segment.number for segment in log.segments()] == [1, 2, 3]
    assert shown(log) == lines(25)


async def test_a_segment_may_be_filled_to_its_last_byte(log: AppendLog) -> None:
    """What fits exactly goes in, the next byte does not."""
    await log.append([b"x" * 499])
    await log.append([b"y" * 499])
    await log.append([b""])
    assert [segment.valid for segment in log.segments()] == [1000, 1]


async def test_a_group_that_is_larger_than_a_segment_has_one_of_its_own(log: AppendLog) -> None:
    """Lines of one append are never torn apart."""
    await log.append(lines(1))
    places = await log.append(lines(30, first=2))
    await log.append(lines(1, first=32))
    assert {place.segment for place in places} == {2}
    assert shown(log) == lines(32)


async def test_a_segment_is_sealed_at_the_end_of_its_day(log: AppendLog, clock: Clock, directory: Path) -> None:
    """Each day has its directory; numbers grow over all of them, whatever a clock does."""
    for number, day in enumerate(["2026-11-24", "2026-11-25", "2026-12-01", "2026-11-30", "2026-11-30"], 1):
        clock.day = day
        await log.append(lines(1, first=number))
    assert sorted(files(directory)) == [
        "2026-11-24/00000001.ndjson",
        "2026-11-25/00000002.ndjson",
        "2026-11-30/00000004.ndjson",
        "2026-12-01/00000003.ndjson",
    ]
    assert shown(log) == lines(5)
    async with reopened(log, clock) as again:
        assert shown(again) == lines(5)


async def test_each_start_begins_a_segment(log: AppendLog, clock: Clock) -> None:
    """What an earlier process wrote is never written again."""
    await log.append(lines(1))
    async with reopened(log, clock) as again:
        (place,) = await again.append(lines(1, first=2))
        assert place == Place(2, 0, len(lines(1)[0]))
        assert shown(again) == lines(2)


async def test_a_scan_begins_anywhere(log: AppendLog) -> None:
    """From the position of a line it yields that line and all behind it; from the end, nothing."""
    places = [place for text in lines(25) for place in await log.append([text])]
    for number, place in enumerate(places):
        found = list(log.scan(LogPosition(place.segment, place.offset)))
        assert [at for at, _ in found] == places[number:]
    assert list(log.scan(log.end)) == []
    assert log.end == LogPosition(3, places[-1].offset + places[-1].length + 1)


async def test_the_end_of_an_empty_log_is_its_beginning(log: AppendLog) -> None:
    """Nothing is before it."""
    assert log.end == LogPosition(0, 0)


async def test_other_files_are_left_alone(directory: Path, clock: Clock) -> None:
    """Only what is named as a segment is one."""
    strangers = {
        f"{DAY}/00000001.ndjson.tmp": b"x",
        f"{DAY}/1.ndjson": b"x",
        "not-a-day/00000001.ndjson": b"x",
        "README": b"x",
    }
    for name, content in strangers.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_bytes(content)
    async with AppendLog(directory, today=clock) as log:
        await log.append(lines(1))
        assert shown(log) == lines(1)
    assert files(directory) == {**strangers, f"{DAY}/00000001.ndjson": lines(1)[0] + b"\n"}


async def test_old_segments_can_be_removed(log: AppendLog, directory: Path, clock: Clock) -> None:
    """Those that are asked for go, the one that is written stays, places of the others stay good."""
    places = [place for text in lines(25) for place in await log.append([text])]
    await log.remove_segments([1, 3, 9])
    assert sorted(files(directory)) == [f"{DAY}/00000002.ndjson", f"{DAY}/00000003.ndjson"]
    assert shown(log) == lines(25)[10:]
    assert log.read(places[10]) == lines(25)[10]
    async with reopened(log, clock) as again:
        (place,) = await again.append([b"{}"])
        assert place.segment == 4


# a crash has left something


async def test_a_torn_tail_is_left_out(log: AppendLog, directory: Path, clock: Clock) -> None:
    """A last line without its end never counted; the file stays as it is and the next segment says how much counts."""
    await log.append(lines(3))
    await log.__aexit__(None, None, None)
    torn = directory / DAY / "00000001.ndjson"
    before = torn.read_bytes() + lines(1, first=4)[0][:-1]
    torn.write_bytes(before)
    async with reopened(log, clock) as again:
        assert shown(again) == lines(3)
        assert again.statistics.torn_bytes == len(lines(1)[0]) - 1
        await again.append(lines(1, first=5))
        assert shown(again) == [*lines(3), *lines(1, first=5)]
    found = files(directory)
    body = b'{"@log":{"previous":1,"valid":%d}' % (3 * (len(lines(1)[0]) + 1))
    assert found[f"{DAY}/00000001.ndjson"] == before
    assert found[f"{DAY}/00000002.ndjson"] == b'%b,"@crc":"%08x"}\n%b\n' % (body, crc32(body), lines(1, first=5)[0])
    async with reopened(log, clock) as again:
        assert shown(again) == [*lines(3), *lines(1, first=5)]


async def test_a_damaged_line_is_shown_as_it_is(log: AppendLog, directory: Path, clock: Clock) -> None:
    """The log does not know what is in a line: its caller checks, and all others are where they were."""
    places = await log.append(lines(5))
    await log.__aexit__(None, None, None)
    path = directory / DAY / "00000001.ndjson"
    damaged = bytearray(path.read_bytes())
    damaged[places[2].offset + 10] ^= 1
    path.write_bytes(damaged)
    async with reopened(log, clock) as again:
        assert [place for place, _ in again.scan()] == places
        assert [number for number, text in enumerate(shown(again)) if text not in lines(5)] == [2]


async def test_a_marker_that_is_damaged_is_none(log: AppendLog, directory: Path, clock: Clock) -> None:
    """A marker whose checksum is wrong hides nothing."""
    await log.append(lines(3))
    await log.__aexit__(None, None, None)
    marker = b'{"@log":{"previous":1,"valid":0},"@crc":"00000000"}\n'
    (directory / DAY / "00000002.ndjson").write_bytes(marker)
    async with reopened(log, clock) as again:
        assert shown(again) == lines(3)


async def test_an_empty_segment_holds_nothing(log: AppendLog, directory: Path, clock: Clock) -> None:
    """A process that dies after it made a file leaves an empty one."""
    await log.append(lines(3))
    await log.__aexit__(None, None, None)
    (directory / DAY / "00000002.ndjson").write_bytes(b"")
    async with reopened(log, clock) as again:
        assert shown(again) == lines(3)
        (place,) = await again.append(lines(1, first=4))
        assert place.segment == 3


@pytest.mark.parametrize("begun", [b"", b'{"@log":{"previous":1,"va', bytes(60)], ids=["empty", "torn marker", "zeros"])
async def test_a_torn_tail_behind_which_a_segment_was_begun_in_vain(
    log: AppendLog, directory: Path, clock: Clock, begun: bytes
) -> None:
    """A process may die once more before it could say how much of a torn segment counts; the next one says it."""
    await log.append(lines(3))
    await log.__aexit__(None, None, None)
    with (directory / DAY / "00000001.ndjson").open("ab") as file:
        file.write(lines(1, first=4)[0][:-1])
    (directory / DAY / "00000002.ndjson").write_bytes(begun)
    for number in range(5, 8):
        async with reopened(log, clock) as again:
            before = [*lines(3), *lines(number - 5, first=5)]
            assert shown(again) == before
            await again.append(lines(1, first=number))
            assert shown(again) == [*before, *lines(1, first=number)]
    head = files(directory)[f"{DAY}/00000003.ndjson"].split(b"\n")
    assert head[0].startswith(b'{"@log":{"previous":1,"valid":300}')
    assert head[1].startswith(b'{"@log":{"previous":2,"valid":0}') == bool(begun)


async def test_a_long_line_can_be_torn_off(directory: Path, clock: Clock) -> None:
    """The end of the last whole line is found however far back it lies."""
    path = directory / DAY / "00000001.ndjson"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"{}\n" + b"x" * 3_000_000)
    async with AppendLog(directory, today=clock) as log:
        assert shown(log) == [b"{}"]
        assert log.end == LogPosition(1, 3)


# reading beside a writer


async def test_a_reader_beside_a_writer(log: AppendLog, directory: Path, clock: Clock) -> None:
    """A log opened read-only shows what was there when it was opened, takes no lines and changes nothing."""
    await log.append(lines(12))
    before = files(directory)
    async with AppendLog(directory, read_only=True) as reader:
        assert shown(reader) == lines(12)
        with pytest.raises(StoreClosed):
            await reader.append([b"{}"])
        assert files(directory) == before
        await log.append(lines(1, first=13))
        assert shown(reader) == lines(12)
    async with AppendLog(directory, read_only=True) as reader:
        assert shown(reader) == lines(13)


async def test_a_reader_leaves_out_what_is_half_written(log: AppendLog, directory: Path) -> None:
    """A line that the writer is just writing is not there yet."""
    await log.append(lines(2))
    with (directory / DAY / "00000001.ndjson").open("ab") as file:
        file.write(b'{"n":3')
    async with AppendLog(directory, read_only=True) as reader:
        assert shown(reader) == lines(2)


async def test_a_reader_of_nothing(directory: Path) -> None:
    """A directory that is missing is an empty log, and stays missing."""
    async with AppendLog(directory, read_only=True) as reader:
        assert shown(reader) == []
        assert reader.end == LogPosition(0, 0)
    assert files(directory.parent) == {}


async def test_reading_while_lines_are_written(log: AppendLog) -> None:
    """Threads that read see each line that was acknowledged, whole, and in order."""
    done = asyncio.Event()

    def read() -> int:
        found = shown(log)
        assert found == lines(len(found))
        for place, text in log.scan():
            assert log.read(place) == text
        return len(found)

    async def read_on() -> int:
        while not done.is_set():
            await asyncio.to_thread(read)
        return await asyncio.to_thread(read)

    readers = [asyncio.create_task(read_on()) for _ in range(3)]
    for number in range(1, 101):
        await log.append(lines(1, first=number))
    done.set()
    assert await asyncio.gather(*readers) == [100] * 3


# when it acknowledges


async def test_lines_that_arrive_together_share_a_sync() -> None:
    """Appends of one turn of the loop are one write and one sync."""
    disk = FakeDisk()
    async with AppendLog(Path("/data/events"), disk=disk) as log:
        places = await asyncio.gather(*(log.append([text]) for text in lines(50)))
        assert [name for name, _ in disk.calls].count("write") == 1
        assert [name for name, _ in disk.calls].count("sync") == 1
        assert [place for (place,) in places] == [place for place, _ in log.scan()]
        assert log.statistics.groups == 1
        assert log.statistics.lines == 50


async def test_lines_that_arrive_during_a_sync_share_the_next_one() -> None:
    """While the device is busy all that come wait, and then go together; none is shown before it is synced."""
    disk = GatedDisk("sync")
    async with AppendLog(Path("/data/events"), disk=disk) as log:
        first = asyncio.create_task(log.append(lines(1)))
        await disk.reached()
        others = [asyncio.create_task(log.append([text])) for text in lines(20, first=2)]
        await asyncio.sleep(0)
        assert not first.done()
        assert shown(log) == []
        disk.open_gate()
        await asyncio.gather(first, *others)
        assert [name for name, _ in disk.calls].count("sync") == 2
        assert shown(log) == lines(21)


async def test_a_line_is_acknowledged_after_its_sync() -> None:
    """The answer comes when data, the file's name and its directories' names are durable, in this order or another."""
    disk = FakeDisk()
    async with AppendLog(Path("/data/events"), disk=disk, today=lambda: DAY) as log:
        assert disk.calls[:3] == [
            ("sync_directory", ""),
            ("make_one_directory", "events"),
            ("sync_directory", "data"),
        ]
        disk.calls.clear()
        await log.append(lines(1))
        assert disk.calls == [
            ("sync_directory", "data"),
            ("make_one_directory", DAY),
            ("sync_directory", "events"),
            ("create", "00000001.ndjson"),
            ("sync_directory", DAY),
            ("write", "00000001.ndjson"),
            ("sync", "00000001.ndjson"),
        ]
        disk.calls.clear()
        await log.append(lines(1, first=2))
        assert disk.calls == [("write", "00000001.ndjson"), ("sync", "00000001.ndjson")]


@pytest.mark.parametrize("operation", ["make_one_directory", "create", "sync_directory", "write", "sync"])
async def test_no_line_is_acknowledged_before_each_step(operation: str) -> None:
    """While any step of a new segment has not returned, the append has not either."""
    disk = FakeDisk()
    async with AppendLog(Path("/data/events"), disk=disk):
        pass
    disk = GatedDisk(operation, disk)
    async with AppendLog(Path("/data/events"), disk=disk) as log:
        disk.close_gate()
        task = asyncio.create_task(log.append(lines(1)))
        await disk.reached()
        for _ in range(10):
            await asyncio.sleep(0)
        assert not task.done()
        assert shown(log) == []
        disk.open_gate()
        await task
        assert shown(log) == lines(1)


# cancelling and closing


@pytest.mark.parametrize("turns", [0, 1, 2, 3, 10])
async def test_a_cancelled_append_may_take_effect(log: AppendLog, turns: int, clock: Clock) -> None:
    """Its lines are all there or none is, those of others are there, and the log goes on."""
    task = asyncio.create_task(log.append(lines(2)))
    beside = asyncio.create_task(log.append(lines(1, first=3)))
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await beside
    await log.append(lines(1, first=4))
    assert shown(log) in (lines(4), lines(2, first=3))
    before = list(log.scan())
    async with reopened(log, clock) as again:
        assert list(again.scan()) == before


async def test_closing_waits_for_what_was_appended() -> None:
    """Lines that were appended before the log closed are synced and acknowledged."""
    disk = GatedDisk("sync")
    log = AppendLog(Path("/data/events"), disk=disk)
    await log.__aenter__()
    tasks = [asyncio.create_task(log.append(lines(1)))]
    await disk.reached()
    tasks.append(asyncio.create_task(log.append(lines(1, first=2))))
    await asyncio.sleep(0)
    closing = asyncio.create_task(log.__aexit__(None, None, None))
    await asyncio.sleep(0)
    with pytest.raises(StoreClosed):
        await log.append(lines(1, first=3))
    disk.open_gate()
    await closing
    assert [len(await task) for task in tasks] == [1, 1]
    async with AppendLog(Path("/data/events"), disk=disk) as again:
        assert shown(again) == lines(2)


async def test_a_log_that_is_not_open_takes_no_lines(directory: Path) -> None:
    """Before it is opened and after it was closed an append raises StoreClosed; closing again does nothing."""
    log = AppendLog(directory)
    with pytest.raises(StoreClosed):
        await log.append([b"{}"])
    async with log:
        await log.append([b"{}"])
    with pytest.raises(StoreClosed):
        await log.append([b"{}"])
    await log.__aexit__(None, None, None)
    await AppendLog(directory).__aexit__(None, None, None)


async def test_a_directory_that_can_not_be_made_is_an_error_of_the_contract(tmp_path: Path) -> None:
    """Opening raises StoreUnavailable, or StorageFull."""
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreUnavailable):
        await AppendLog(tmp_path / "file" / "events").__aenter__()
    disk = FakeDisk()
    disk.fail({"make_one_directory"}, error=28)
    with pytest.raises(StorageFull):
        await AppendLog(Path("/data/events"), disk=disk).__aenter__()


# a disk that fails


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.EIO, StoreUnavailable),
        (errno.EROFS, StoreUnavailable),
        (errno.ENOSPC, StorageFull),
        (errno.EDQUOT, StorageFull),
        (errno.EFBIG, StorageFull),
    ],
)
@pytest.mark.parametrize("operation", ["create", "write", "sync", "sync_directory"])
async def test_a_failure_is_an_error_of_the_contract(operation: str, number: int, kind: type[Exception]) -> None:
    """All that wait for one group fail alike, none of their lines is there, and the next group is written."""
    disk = FakeDisk(2)
    async with AppendLog(Path("/data/events"), disk=disk) as log:
        disk.fail({operation}, error=number)
        answers = await asyncio.gather(*(log.append([text]) for text in lines(5)), return_exceptions=True)
        assert [type(answer) for answer in answers] == [kind] * 5
        assert log.failing
        assert shown(log) == []
        await log.append(lines(1, first=6))
        assert not log.failing
        assert shown(log) == lines(1, first=6)


async def test_a_void_group_is_marked_before_anything_else_is_acknowledged() -> None:
    """The next segment begins with what of the failed one counts, synced before a line follows."""
    disk = FakeDisk(3)
    async with AppendLog(Path("/data/events"), disk=disk, today=lambda: DAY) as log:
        await log.append(lines(2))
        disk.fail({"sync"})
        with pytest.raises(StoreUnavailable):
            await log.append(lines(1, first=3))
        before = len(disk.calls)
        await log.append(lines(1, first=4))
        assert disk.calls[before:] == [
            ("sync_directory", "events"),
            ("create", "00000002.ndjson"),
            ("write", "00000002.ndjson"),
            ("sync", "00000002.ndjson"),
            ("sync_directory", DAY),
            ("write", "00000002.ndjson"),
            ("sync", "00000002.ndjson"),
        ]
        body = b'{"@log":{"previous":1,"valid":200}'
        content = disk.contents()[f"/data/events/{DAY}/00000002.ndjson"]
        assert content == b'%b,"@crc":"%08x"}\n%b\n' % (body, crc32(body), lines(1, first=4)[0])
        assert disk.contents()[f"/data/events/{DAY}/00000001.ndjson"] == b"\n".join([*lines(3), b""])
        assert shown(log) == [*lines(2), *lines(1, first=4)]


async def test_a_disk_that_goes_on_failing_is_not_littered() -> None:
    """However often it is tried in vain, no files pile up."""
    disk = FakeDisk()
    async with AppendLog(Path("/data/events"), disk=disk) as log:
        await log.append(lines(1))
        disk.fail({"write"}, times=None, error=errno.ENOSPC)
        for number in range(2, 30):
            with pytest.raises(StorageFull):
                await log.append(lines(1, first=number))
        assert len(disk.contents()) == 1
        disk.mend()
        await log.append(lines(1, first=30))
        assert shown(log) == [*lines(1), *lines(1, first=30)]
        assert len(disk.contents()) == 2


async def test_a_probe_finds_out_whether_the_disk_is_well_again() -> None:
    """After a failure it tries to begin a segment; as long as nothing failed it writes nothing."""
    disk = FakeDisk()
    async with AppendLog(Path("/data/events"), disk=disk) as log:
        await log.append(lines(1))
        before = list(disk.calls)
        await log.probe()
        assert disk.calls == before
        disk.fail(times=None)
        with pytest.raises(StoreUnavailable):
            await log.append(lines(1, first=2))
        with pytest.raises(StoreUnavailable):
            await log.probe()
        disk.mend()
        await log.probe()
        assert not log.failing
        assert shown(log) == lines(1)
    with pytest.raises(StoreClosed):
        await log.probe()


async def test_a_writer_that_meets_the_unexpected_lives_on() -> None:
    """Whatever is raised below it, those who wait are told, and the next lines are written."""

    class Broken(FakeDisk):
        broken = True

        def write(self, descriptor: int, data: bytes) -> None:
            if self.broken:
                raise RuntimeError
            super().write(descriptor, data)

    disk = Broken()
    async with AppendLog(Path("/data/events"), disk=disk) as log:
        with pytest.raises(StoreUnavailable):
            await log.append(lines(1))
        disk.broken = False
        await log.append(lines(1, first=2))
        assert shown(log) == lines(1, first=2)


async def test_a_segment_that_can_not_be_read_is_an_error_of_the_contract() -> None:
    """Reading and scanning raise StoreUnavailable, and work when the disk does."""
    disk = FakeDisk()
    async with AppendLog(Path("/data/events"), disk=disk) as log:
        (place,) = await log.append(lines(1))
        disk.fail({"open", "read"}, times=None)
        with pytest.raises(StoreUnavailable):
            log.read(place)
        with pytest.raises(StoreUnavailable):
            shown(log)
        disk.mend()
        assert log.read(place) == lines(1)[0]
        assert shown(log) == lines(1)
