"""The spool is bounded, and so is the disk under it."""

import asyncio
from pathlib import Path

import pytest

from backends.base import Outcome, Status
from backends.errors import StorageFull
from backends.spool import Sizes
from support.events import make_event, records_of
from support.faulty_disk import FaultyDisk
from support.spool import SPOOLED, STORED, figure, files, opened, some, until_empty
from support.wayward_store import AWAY, WaywardStore


async def test_a_full_spool_refuses_and_recovers(tmp_path: Path) -> None:
    """It takes what fits, then refuses and is not ready; what it knows is still judged; drained, it takes more."""
    sizes = Sizes(max_bytes=5000, segment_bytes=1000, memory_rows=8)
    async with opened(store := WaywardStore(), tmp_path, sizes=sizes) as spool:
        store.error = AWAY
        events = [make_event(message="x" * 100) for _ in range(20)]
        answers = [(await asyncio.gather(spool.put([event]), return_exceptions=True))[0] for event in events]
        taken = events[: answers.count([SPOOLED])]
        assert {type(answer) for answer in answers[len(taken) :]} == {StorageFull}
        assert 8 < len(taken) < 15
        assert spool.state().bytes <= 5000
        with pytest.raises(StorageFull):
            await spool.ping()
        answers = await asyncio.gather(*(spool.put([make_event()]) for _ in range(20)), return_exceptions=True)
        assert {type(answer) for answer in answers} <= {StorageFull, list}
        assert await spool.put(taken[:1]) == [Outcome(Status.DUPLICATE, taken[0].record)]
        assert figure(spool, "spool_refused_total") > 0
        store.mend()
        await spool.ping()
        await until_empty(spool)
        store.error = AWAY
        assert await spool.put(some(3)) == [SPOOLED] * 3
        await spool.ping()
    assert store.all_records()[: len(taken)] == records_of(taken)


async def test_puts_at_the_same_time_do_not_pass_the_bound(tmp_path: Path) -> None:
    """What is on its way counts."""
    sizes = Sizes(max_bytes=5000, segment_bytes=100_000)
    async with opened(store := WaywardStore(), tmp_path, sizes=sizes) as spool:
        store.error = AWAY
        await spool.put([make_event()])
        await asyncio.gather(*(spool.put([make_event()]) for _ in range(200)), return_exceptions=True)
        assert 4000 < spool.state().bytes <= 5000


async def test_a_full_disk_under_the_spool(tmp_path: Path) -> None:
    """507 and not ready while both can't; then it recovers without a restart."""
    disk = FaultyDisk()
    async with opened(store := WaywardStore(), tmp_path, disk=disk) as spool:
        store.error = AWAY
        await spool.put(events := some(3))
        disk.fail({"make_one_directory", "create", "write"}, error=28)
        for _ in range(3):
            with pytest.raises(StorageFull):
                await spool.put([make_event()])
            with pytest.raises(StorageFull):
                await spool.ping()
        assert [await spool.get(event.uuid) for event in events] == records_of(events)
        disk.mend()
        await spool.ping()
        assert await spool.put(more := [make_event()]) == [SPOOLED]
        store.mend()
        await until_empty(spool)
    assert store.all_records() == records_of([*events, *more])


async def test_a_full_disk_does_not_stop_the_drain(tmp_path: Path) -> None:
    """It frees room; what it can't write down is only how far it is."""
    disk = FaultyDisk()
    async with opened(store := WaywardStore(), tmp_path, disk=disk) as spool:
        store.error = AWAY
        events = some(40)
        for event in events:
            await spool.put([event])
        disk.fail({"make_one_directory", "create", "write"}, error=28)
        store.mend()
        await spool.ping()
        await until_empty(spool)
        assert store.all_records() == records_of(events)
        assert len(files(tmp_path, "*.ndjson")) == 1


async def test_some_stored_and_some_nowhere(tmp_path: Path) -> None:
    """When the backend took a part and the spool has no room for the rest, the rest is unavailable, not the whole."""
    async with opened(store := WaywardStore(), tmp_path, sizes=Sizes(max_bytes=10)) as spool:
        events = some(4)
        store.refuses = lambda event: event is events[1]
        answer = await spool.put(events)
        assert answer == [STORED, Outcome(Status.UNAVAILABLE), STORED, STORED]
        with pytest.raises(StorageFull):
            await spool.put(events[1:2])
        store.mend()
        assert await spool.put(events[1:2]) == [STORED]
