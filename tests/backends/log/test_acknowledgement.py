"""When an append returns: not before everything is durable, and never for ever."""

import asyncio
from pathlib import Path

import pytest

from backends.errors import StorageFull, StoreClosed, StoreUnavailable
from backends.log import AppendLog
from support.fake_disk import FakeDisk
from support.gated_disk import GatedDisk
from support.logs import DAY, Clock, lines, reopened, shown


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
