"""The filesystem store on a disk that is full, or does not answer."""

import errno
from pathlib import Path

import pytest

from backends.base import Event, Outcome, Status
from backends.errors import StorageFull, StoreUnavailable
from backends.filesystem import FilesystemStore
from support.events import make_event
from support.faulty_disk import FaultyDisk
from support.filesystem import assert_holds, opened, remove_index, some
from support.gated_disk import GatedDisk


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
