"""The filesystem store on a disk that is full, or does not answer."""

import errno
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from backends.base import Event, Outcome, Status
from backends.errors import StorageFull, StoreUnavailable
from backends.filesystem import FilesystemStore
from backends.filesystem.index import Index
from backends.filesystem.memory_table import MemoryTable
from backends.filesystem.run import Run
from backends.filesystem.run_file import pack_run
from backends.log import LogPosition, Place
from support.events import make_event
from support.faulty_disk import FaultyDisk
from support.filesystem import assert_holds, figure, opened, remove_index, some
from support.gated_disk import GatedDisk


def until(condition: Callable[[], bool]) -> None:
    """Wait for the index's thread."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


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


@pytest.mark.parametrize(
    "operations", [{"write"}, {"make_one_directory", "create", "write"}], ids=["no room for data", "no room for names"]
)
async def test_a_full_disk_without_an_index(root: Path, operations: set[str]) -> None:
    """An index for which there is no room is made in memory; when there is room it is written, and events are taken."""
    events = some(59)
    async with opened(root) as store:
        await store.put(events)
    remove_index(root)
    disk = FaultyDisk()
    disk.fail(operations, error=errno.ENOSPC)
    async with opened(root, disk) as store:
        for _ in range(2):
            await assert_holds(store, events)
            with pytest.raises(StorageFull):
                await store.ping()
            with pytest.raises(StorageFull):
                await store.put([make_event()])
        assert figure(store, "index_runs") == 59 // 8, "what waits is packed"
        disk.mend()
        await store.ping()
        events.append(make_event())
        assert (await store.put(events[-1:]))[0].status is Status.STORED
        await assert_holds(store, events)
    told: list[tuple[int, int]] = []
    async with FilesystemStore(root, progress=lambda done, total: told.append((done, total))) as store:
        await assert_holds(store, events)
    assert told == [], "what was made in memory is there at the next start"


async def test_a_full_disk_and_an_index_too_large_for_memory(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a start keeps in memory is bounded: beyond that it says what there is no room for."""
    events = some(59)
    async with opened(root) as store:
        await store.put(events)
    remove_index(root)
    disk = FaultyDisk()
    disk.fail({"write"}, error=errno.ENOSPC)
    monkeypatch.setattr("backends.filesystem.index.MOST_WAITING_ON_A_FULL_DISK", 6)
    with pytest.raises(StorageFull, match=r"no room on the disk for the index, and with 4[0-9] events of it memory"):
        await FilesystemStore(root, disk=disk, memory_rows=8).__aenter__()
    disk.mend()
    async with opened(root, disk) as store:
        await assert_holds(store, events)


def test_on_a_full_disk_only_what_is_packed_piles_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that are not packed take more room: for these a start waits on a full disk too."""
    go_on, disk = threading.Event(), FaultyDisk()
    go_on.set()

    def pack_slowly(memory: MemoryTable) -> Run:
        assert go_on.wait(20)
        return pack_run(memory)

    monkeypatch.setattr("backends.filesystem.maintenance.pack_run", pack_slowly)
    index = Index(tmp_path / "index", disk=disk, memory_rows=1)
    index.open()
    disk.fail({"write"}, error=errno.ENOSPC)

    def add(number: int) -> None:
        index.add(make_event(), Place(1, number, 1))
        index.mark_complete(LogPosition(1, number + 1))

    for number in range(4):
        add(number)
    until(lambda: index.problem is not None and index.takes_more())
    go_on.clear()
    for number in range(4, 6):
        add(number)
    assert index.is_behind
    assert not index.takes_more()
    go_on.set()
    until(index.takes_more)
    index.close()


async def test_an_index_that_can_not_be_written_for_another_reason(root: Path) -> None:
    """Only for lack of room memory takes the index: a disk that fails is said, instead of waiting for ever."""
    events = some(59)
    async with opened(root) as store:
        await store.put(events)
    remove_index(root)
    disk = FaultyDisk()
    disk.fail({"write"}, error=errno.EIO)
    with pytest.raises(StoreUnavailable):
        await FilesystemStore(root, disk=disk, memory_rows=8).__aenter__()


async def test_a_directory_of_the_index_that_is_removed_comes_back(root: Path) -> None:
    """Removed under a running store it is made again: nobody is refused, and the next start makes the index anew."""
    async with opened(root) as store:
        stored = some(20)
        await store.put(stored)
        remove_index(root)
        for _ in range(8):
            stored += [make_event() for _ in range(8)]
            await store.put(stored[-8:])
        await assert_holds(store, stored)
    async with opened(root) as store:
        await assert_holds(store, stored)


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
