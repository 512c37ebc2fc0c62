"""The log on a disk that does not answer: closing it takes no longer than its time limit, and nothing is promised."""

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from backends.errors import StoreUnavailable
from backends.log import AppendLog
from support.gated_disk import GatedDisk
from support.logs import lines, shown

DIRECTORY = Path("/data/events")
TIMEOUT = 0.3


@pytest.fixture
async def disk() -> AsyncIterator[GatedDisk]:
    """A disk on which the next sync of a file does not return before the gate is opened."""
    disk = GatedDisk("sync")
    yield disk
    disk.open_gate()


async def test_closing_leaves_a_disk_that_does_not_answer(disk: GatedDisk, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever waits gets StoreUnavailable, a line of the log says how much was left, and closing again does nothing."""
    log = AppendLog(DIRECTORY, disk=disk, timeout=TIMEOUT)
    await log.__aenter__()
    tasks = [asyncio.create_task(log.append(lines(2)))]
    await disk.reached()
    tasks += [asyncio.create_task(log.append([text])) for text in lines(3, first=3)]
    await asyncio.sleep(0)
    with caplog.at_level(logging.ERROR):
        await asyncio.wait_for(log.__aexit__(None, None, None), 5)
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(answer) for answer in answers] == [StoreUnavailable] * 4
    assert log.hung
    assert "unsynced lines: 5, none was acknowledged" in caplog.text
    await log.__aexit__(None, None, None)


async def test_a_disk_that_owed_an_answer_before_is_not_given_its_time_again(disk: GatedDisk) -> None:
    """The time limit counts from when the disk was asked: what it had then is not added to a stop."""
    log = AppendLog(DIRECTORY, disk=disk, timeout=4)
    await log.__aenter__()
    task = asyncio.create_task(log.append(lines(1)))
    await asyncio.sleep(3.5)
    started = time.monotonic()
    await log.__aexit__(None, None, None)
    assert time.monotonic() - started < 3
    with pytest.raises(StoreUnavailable):
        await task


async def test_a_slow_disk_is_waited_for(disk: GatedDisk) -> None:
    """What answers within the limit is acknowledged, though the log closes."""
    async with AppendLog(DIRECTORY, disk=disk, timeout=10) as log:
        task = asyncio.create_task(log.append(lines(1)))
        await disk.reached()
        asyncio.get_running_loop().call_later(0.2, disk.open_gate)
    assert len(await task) == 1
    assert not log.hung


async def test_a_writer_that_was_left_touches_nothing_more(disk: GatedDisk) -> None:
    """When the disk answers at last, only the sync that was under way ends: the directory may have another owner."""
    disk.open_gate()
    log = AppendLog(DIRECTORY, disk=disk, timeout=TIMEOUT)
    await log.__aenter__()
    await log.append(lines(1))
    disk.close_gate()
    tasks = [asyncio.create_task(log.append([text])) for text in lines(1, first=2)]
    await disk.reached()
    tasks += [asyncio.create_task(log.append([text])) for text in lines(1, first=3)]
    await asyncio.sleep(0)
    await log.__aexit__(None, None, None)
    await asyncio.gather(*tasks, return_exceptions=True)
    assert log._writer is not None
    before = list(disk.calls)
    disk.fail({"sync"})  # after a failed sync a writer that is not left would mark the segment
    disk.open_gate()
    await asyncio.to_thread(log._writer._thread.join, 5)
    assert not log._writer._thread.is_alive()
    assert disk.calls[len(before) :] == [("sync", "00000001.ndjson")]
    disk.mend()
    async with AppendLog(DIRECTORY, disk=disk) as again:
        assert shown(again) in (lines(1), lines(2)), "not acknowledged: it may be there, as after a kill"


def test_a_writer_that_was_left_tells_nobody() -> None:
    """When the disk answers at last the loop is closed: the thread ends without a word."""
    disk = GatedDisk("sync")
    log = AppendLog(DIRECTORY, disk=disk, timeout=TIMEOUT)

    async def leave() -> None:
        await log.__aenter__()
        task = asyncio.create_task(log.append(lines(1)))
        await disk.reached()
        await log.__aexit__(None, None, None)
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(leave())
    assert log._writer is not None
    raised: list[threading.ExceptHookArgs] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threading, "excepthook", raised.append)
        disk.open_gate()
        log._writer._thread.join(5)
    assert not log._writer._thread.is_alive()
    assert raised == []


async def test_a_marker_that_hangs_holds_up_no_closing(disk: GatedDisk) -> None:
    """After a failure closing marks what is void; where that hangs it is left too."""
    disk.open_gate()
    log = AppendLog(DIRECTORY, disk=disk, timeout=TIMEOUT)
    await log.__aenter__()
    await log.append(lines(1))
    disk.fail({"write"})
    with pytest.raises(StoreUnavailable):
        await log.append(lines(1, first=2))
    disk.close_gate()
    await asyncio.wait_for(log.__aexit__(None, None, None), 5)
    assert log.hung
    await disk.reached()


async def test_a_probe_tells_of_a_disk_that_owes_an_answer(disk: GatedDisk) -> None:
    """While a write is late no line could be written; before that, and when it was answered, one could."""
    async with AppendLog(DIRECTORY, disk=disk, timeout=TIMEOUT) as log:
        task = asyncio.create_task(log.append(lines(1)))
        await disk.reached()
        await log.probe()
        await asyncio.sleep(TIMEOUT + 0.1)
        with pytest.raises(StoreUnavailable):
            await log.probe()
        disk.open_gate()
        await task
        await log.probe()


async def test_a_stop_while_the_directory_is_read_does_not_wait_for_it() -> None:
    """An opening that hangs can be cancelled, and leaves nothing that would write later."""
    disk = GatedDisk("make_one_directory")
    log = AppendLog(DIRECTORY, disk=disk, timeout=TIMEOUT)
    opening = asyncio.create_task(log.__aenter__())
    await disk.reached()
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(opening, 5)
    await log.__aexit__(None, None, None)
    disk.open_gate()
    await asyncio.sleep(0.2)
    assert log._writer is None


async def test_a_log_can_be_opened_again_when_the_disk_answers() -> None:
    """The same object, closed on a hanging disk, takes lines again once it is opened anew."""
    disk = GatedDisk("sync")
    log = AppendLog(DIRECTORY, disk=disk, timeout=TIMEOUT)
    await log.__aenter__()
    task = asyncio.create_task(log.append(lines(1)))
    await disk.reached()
    await log.__aexit__(None, None, None)
    await asyncio.gather(task, return_exceptions=True)
    disk.open_gate()
    await log.__aenter__()
    assert not log.hung
    await log.append(lines(1, first=2))
    assert shown(log)[-1:] == lines(1, first=2)
    await log.__aexit__(None, None, None)
