"""A disk that takes its time: what is on its way into the spool is known, though nobody waits for it any more."""

import asyncio
from pathlib import Path

import pytest

from backends.base import Outcome, Status
from backends.errors import StoreUnavailable
from support.events import make_event
from support.gated_disk import GatedDisk
from support.spool import SPOOLED, opened, until, until_empty
from support.wayward_store import AWAY, WaywardStore

DIRECTORY = Path("/data/spool")


async def test_what_lands_when_the_backend_is_back_is_drained() -> None:
    """The backend comes back while an event is on its way to the disk, and there is nothing to drain yet."""
    disk = GatedDisk("write")
    async with opened(store := WaywardStore(), DIRECTORY, disk=disk) as spool:
        store.error = AWAY
        disk.open_gate()
        await spool.put([make_event()])
        store.mend()
        await spool.ping()
        await until_empty(spool)
        await asyncio.sleep(0.05)
        store.error = AWAY
        await spool.put([make_event()])
        disk.close_gate()
        task = asyncio.create_task(spool.put([make_event()]))
        await disk.reached()
        store.mend()
        await spool.ping()
        await until(lambda: spool.state().is_up)
        disk.open_gate()
        assert await task == [SPOOLED]
        await until_empty(spool)
        assert len(store.all_records()) == 3


async def test_an_event_that_nobody_waits_for_any_more() -> None:
    """Its put has failed, it lands all the same: another one with its uuid waits for that, and is judged against it."""
    disk = GatedDisk("write")
    first = make_event(message={"n": 0})
    other = make_event(first.uuid, message={"n": 1})
    async with opened(store := WaywardStore(), DIRECTORY, disk=disk, timeout=1.0) as spool:
        store.error = AWAY
        with pytest.raises(StoreUnavailable):
            await spool.put([first])
        store.mend()
        await spool.ping()
        await until(lambda: spool.state().is_up)
        task = asyncio.create_task(spool.put([other]))
        await asyncio.sleep(0.05)
        assert not task.done()
        disk.open_gate()
        assert await task == [Outcome(Status.CONFLICT, first.record)]
        await until_empty(spool)
        assert store.all_records() == [first.record]
