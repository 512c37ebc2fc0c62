"""What the log makes of what a crash has left, or of what another process is just writing."""

import asyncio
from pathlib import Path
from zlib import crc32

import pytest

from backends.errors import StoreClosed, StoreUnavailable
from backends.log import AppendLog, LogPosition
from support.logs import DAY, Clock, files, lines, reopened, shown

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
        with pytest.raises(StoreUnavailable, match="open for reading only"):
            await reader.append([b"{}"])
        with pytest.raises(StoreUnavailable, match="open for reading only"):
            await reader.probe()
        assert files(directory) == before
        await log.append(lines(1, first=13))
        assert shown(reader) == lines(12)
    with pytest.raises(StoreClosed):
        await reader.append([b"{}"])
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
