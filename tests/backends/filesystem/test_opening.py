"""What may happen while a store opens: a stop, another owner, a reader beside it."""

import asyncio
import threading
from pathlib import Path

import pytest

from backends import open_store
from backends.errors import DirectoryInUse
from backends.filesystem import FilesystemStore
from backends.log import AppendLog, Place
from support.events import make_event


async def test_a_stop_while_the_log_is_read_again_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The index is closed only when nobody fills it any more: it says nothing of what it had not got."""
    events = [make_event() for _ in range(5000)]
    async with FilesystemStore(tmp_path) as store:
        await store.put(events)
    for file in (tmp_path / "index").iterdir():
        file.unlink()
    reading, go_on = threading.Event(), threading.Event()
    scan = AppendLog.scan

    def slow_scan(log: AppendLog, *arguments: object) -> object:
        for number, item in enumerate(scan(log, *arguments)):  # type: ignore[arg-type]
            if number == 2500:
                reading.set()
                go_on.wait(10)
            yield item

    monkeypatch.setattr(AppendLog, "scan", slow_scan)
    opening = asyncio.create_task(FilesystemStore(tmp_path).__aenter__())
    await asyncio.to_thread(reading.wait, 10)
    opening.cancel()
    await asyncio.sleep(0.05)
    assert not opening.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await opening
    monkeypatch.undo()
    async with FilesystemStore(tmp_path) as store:
        assert [await store.get(event.uuid) for event in events] == [event.record for event in events]


async def test_a_log_elsewhere_has_one_owner(tmp_path: Path) -> None:
    """Two servers with roots of their own can't share one log by its URL."""
    url = f"file://{tmp_path}/log"
    async with open_store(url, root=tmp_path / "one") as store:
        await store.put([make_event()])
        with pytest.raises(DirectoryInUse):
            await open_store(url, root=tmp_path / "two").__aenter__()
        async with open_store(url, root=tmp_path / "three", read_only=True) as reader:
            assert [arrival async for arrival in reader.tail()]
    async with open_store(url, root=tmp_path / "two"):
        pass


async def test_many_threads_read_a_segment_for_the_first_time(tmp_path: Path) -> None:
    """A file that two threads open at once is closed under neither."""
    async with AppendLog(tmp_path / "events") as log:
        places: list[Place] = await log.append([b'{"n":%d}' % number for number in range(50)])
    for _ in range(30):
        async with AppendLog(tmp_path / "events", read_only=True) as log:
            lines = await asyncio.gather(*(asyncio.to_thread(log.read, place) for place in places))
            assert lines == [b'{"n":%d}' % number for number in range(50)]
