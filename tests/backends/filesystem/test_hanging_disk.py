"""The filesystem store on a disk that does not answer: it closes in time, and the process ends."""

import asyncio
import logging
import shutil
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from backends.disk import Disk
from backends.errors import DirectoryInUse, StoreUnavailable
from backends.filesystem import FilesystemStore
from backends.lock import DirectoryLock, holder_of
from backends.log import AppendLog, LogPosition, Place
from support.events import make_event, records_of
from support.gated_disk import GatedDisk
from support.paging import tail_all

TIMEOUT = 0.3
PATIENCE = 10


class StuckDisk(Disk):
    """A real disk on which one operation hangs from a moment on."""

    def __init__(self) -> None:
        self.operation = ""
        self.go_on = threading.Event()

    def sync(self, descriptor: int) -> None:
        """Hang, or do it."""
        self._hang("sync")
        super().sync(descriptor)

    def read(self, descriptor: int, length: int, offset: int) -> bytes:
        """Hang, or do it."""
        self._hang("read")
        return super().read(descriptor, length, offset)

    def read_cached(self, descriptor: int, length: int, offset: int) -> bytes | None:
        """Have nothing in the cache where reading hangs."""
        return None if self.operation == "read" else super().read_cached(descriptor, length, offset)

    def create(self, path: Path) -> int:
        """Hang where a run is written, or do it."""
        self._hang(f"create {path.suffix}")
        return super().create(path)

    def _hang(self, operation: str) -> None:
        if operation == self.operation:
            assert self.go_on.wait(60)


@pytest.fixture
async def disk() -> AsyncIterator[StuckDisk]:
    """A disk that does not hang yet."""
    disk = StuckDisk()
    yield disk
    disk.operation = ""
    disk.go_on.set()


async def close(store: FilesystemStore) -> None:
    """Close it, in time."""
    await asyncio.wait_for(store.__aexit__(None, None, None), PATIENCE)


async def test_closing_leaves_what_could_not_be_synced(
    root: Path, disk: StuckDisk, caplog: pytest.LogCaptureFixture
) -> None:
    """A put in flight fails, the log says what was left, and what was acknowledged is there at the next start."""
    events = [make_event() for _ in range(20)]
    store = await FilesystemStore(root, disk=disk, timeout=TIMEOUT).__aenter__()
    await store.put(events)
    disk.operation = "sync"
    tasks = [asyncio.create_task(store.put([make_event()])) for _ in range(3)]
    tasks.append(asyncio.create_task(store.put([make_event(), make_event()])))
    await asyncio.sleep(0.05)
    with caplog.at_level(logging.WARNING):
        await close(store)
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(answer) for answer in answers] == [StoreUnavailable] * 4
    assert "unsynced lines: 5, none was acknowledged" in caplog.text
    disk.operation = ""
    disk.go_on.set()
    async with FilesystemStore(root) as again:
        assert records_of(await tail_all(again))[:20] == records_of(events)


async def test_closing_leaves_an_index_that_hangs(
    root: Path, disk: StuckDisk, caplog: pytest.LogCaptureFixture
) -> None:
    """The log is closed, the index is not waited for: what it lacks is read again."""
    events = [make_event() for _ in range(20)]
    store = await FilesystemStore(root, disk=disk, timeout=TIMEOUT).__aenter__()
    await store.put(events)
    disk.operation = "create .run"
    with caplog.at_level(logging.WARNING):
        await close(store)
    assert "the index was not written in time; what it lacks is read from the log at the next start" in caplog.text
    async with FilesystemStore(root) as again:
        assert [await again.get(event.uuid) for event in events] == records_of(events)


async def test_a_lock_is_kept_while_something_may_still_reach_the_disk(tmp_path: Path, disk: StuckDisk) -> None:
    """Where a thread was left nobody else becomes the owner before the process ends."""
    root = tmp_path / "root"
    store = await FilesystemStore(root, disk=disk, timeout=TIMEOUT, lock=DirectoryLock(root, "me")).__aenter__()
    disk.operation = "sync"
    task = asyncio.create_task(store.put([make_event()]))
    await asyncio.sleep(0.05)
    await close(store)
    await asyncio.gather(task, return_exceptions=True)
    assert holder_of(root) == "me"
    with pytest.raises(DirectoryInUse):
        await FilesystemStore(root, lock=DirectoryLock(root, "you")).__aenter__()


async def test_a_stop_while_the_reading_of_the_log_hangs(
    tmp_path: Path, disk: StuckDisk, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is closed under a thread that still fills the index: it is left, the lock is kept, a line says so."""
    root = tmp_path / "root"
    async with FilesystemStore(root) as store:
        await store.put([make_event()])
    shutil.rmtree(root / "index")
    scan = AppendLog.scan

    def hanging_scan(log: AppendLog, *arguments: LogPosition) -> Iterator[tuple[Place, bytes]]:
        disk.operation = "read"
        return scan(log, *arguments)

    monkeypatch.setattr(AppendLog, "scan", hanging_scan)
    store = FilesystemStore(root, disk=disk, timeout=TIMEOUT, lock=DirectoryLock(root, "me"))
    opening = asyncio.create_task(store.__aenter__())
    async with asyncio.timeout(PATIENCE):
        while disk.operation != "read":  # noqa: ASYNC110 - a thread sets it; there is no event
            await asyncio.sleep(0.01)
    opening.cancel()
    with caplog.at_level(logging.ERROR), pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(opening, PATIENCE)
    assert "was closed while it opened, since the disk does not answer" in caplog.text
    assert holder_of(root) == "me"


async def test_a_stop_while_an_opening_hangs() -> None:
    """A start that hangs can be stopped."""
    disk = GatedDisk("make_one_directory")
    opening = asyncio.create_task(FilesystemStore(Path("/data/root"), disk=disk, timeout=TIMEOUT).__aenter__())
    await disk.reached()
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(opening, PATIENCE)
    disk.open_gate()


READING = """
import asyncio, os, sys
from pathlib import Path
from backends.base import Query
from backends.disk import Disk
from backends.errors import StoreUnavailable
from backends.filesystem import FilesystemStore

async def main():
    disk = Disk()
    async with FilesystemStore(Path(sys.argv[1]), disk=disk, timeout=0.3) as store:
        disk.read = lambda descriptor, length, offset: os.read(os.pipe()[0], 1)
        for _ in range(2):
            try:
                await store.find(Query(), limit=1, max_bytes=1)
            except StoreUnavailable:
                print("too late")

asyncio.run(main())
"""


async def test_a_read_that_never_returns_does_not_keep_the_process(root: Path) -> None:
    """A thread in a system call that hangs ends with the process, whose exit code is what it would have been."""
    async with FilesystemStore(root) as store:
        await store.put([make_event()])
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", READING, str(root)], capture_output=True, timeout=30, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"too late\ntoo late\n", b"")
