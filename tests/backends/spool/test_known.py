"""What waits is known: to put, to get and to lists; and of what can't be known, nothing is said."""

import asyncio
from pathlib import Path

import pytest

from backends.base import Outcome, Query, Status
from backends.errors import StoreUnavailable
from support.events import NO_LIMIT, make_event, new_uuid, records_of
from support.paging import find_all, tail_all
from support.spool import SPOOLED, opened, some, until, until_empty
from support.wayward_store import AWAY, FULL, WaywardStore


async def test_identity_within_the_spool(tmp_path: Path) -> None:
    """A uuid that waits is judged against what waits, without the backend."""
    async with opened(store := WaywardStore(), tmp_path) as spool:
        store.error = AWAY
        first = make_event(message={"n": 0})
        other = make_event(first.uuid, message={"n": 1})
        new = make_event()
        assert await spool.put([first, first, other]) == [
            SPOOLED,
            Outcome(Status.DUPLICATE, first.record),
            Outcome(Status.CONFLICT, first.record),
        ]
        assert await spool.put([other, new, first]) == [
            Outcome(Status.CONFLICT, first.record),
            SPOOLED,
            Outcome(Status.DUPLICATE, first.record),
        ]
        store.mend()
        await until_empty(spool)
        assert store.all_records() == records_of([first, new])
        assert await spool.put([other]) == [Outcome(Status.CONFLICT, first.record)]


async def test_a_put_waits_for_one_with_its_uuid(tmp_path: Path) -> None:
    """One is on its way to a backend that hangs: fifty others are judged against it when it is spooled."""
    async with opened(store := WaywardStore(), tmp_path, timeout=1.0) as spool:
        store.hangs = True
        first = make_event(message={"n": 0})
        others = [make_event(first.uuid, message={"n": 1 + number}) for number in range(50)]
        answers = await asyncio.gather(*(spool.put([event]) for event in (first, *others)))
        assert answers == [[SPOOLED]] + [[Outcome(Status.CONFLICT, first.record)]] * 50
        assert sum(event.uuid == first.uuid for events in store.puts for event in events) == 1
        store.mend()
        await until_empty(spool)
        assert store.all_records() == [first.record]


async def test_puts_that_wait_for_each_other_all_end(tmp_path: Path) -> None:
    """Two calls with the same uuids in opposite order, over and over, at a backend that comes and goes."""
    async with opened(store := WaywardStore(), tmp_path, timeout=2.0) as spool:
        events = some(30)
        store.refuses = lambda event: event.uuid < "8"
        answers = await asyncio.gather(*(spool.put(events[:: 1 - 2 * (n % 2)]) for n in range(20)))
        new = [outcome.status for answer in answers for outcome in answer if outcome.status in {"stored", "spooled"}]
        assert len(new) == 30


async def test_reads_while_the_backend_is_away(tmp_path: Path) -> None:
    """What waits is found; of anything else nobody can know, so it is never None, and a list is never a part."""
    async with opened(store := WaywardStore(), tmp_path) as spool:
        stored, spooled = make_event(), make_event()
        await spool.put([stored])
        store.error = AWAY
        await spool.put([spooled])
        assert await spool.get(spooled.uuid) == spooled.record
        for uuid in (stored.uuid, new_uuid()):
            with pytest.raises(StoreUnavailable):
                await spool.get(uuid)
        with pytest.raises(StoreUnavailable):
            await spool.find(Query(), limit=10, max_bytes=NO_LIMIT)
        with pytest.raises(StoreUnavailable):
            await tail_all(spool)
        assert not {"get", "find", "tail"} & set(store.calls), "a backend that is away is not asked"


async def test_a_full_backend_is_read_on(tmp_path: Path) -> None:
    """It takes nothing and has all the rest: lists are of both."""
    async with opened(store := WaywardStore(), tmp_path) as spool:
        events = some(6)
        await spool.put(events[::2])
        store.error = FULL
        await spool.put(events[1::2])
        assert await find_all(spool) == records_of(events[::-1])
        assert [await spool.get(event.uuid) for event in events] == records_of(events)
        assert await spool.get(new_uuid()) is None


async def test_a_read_that_fails_lets_the_backend_be_asked(tmp_path: Path) -> None:
    """Then the next put need not find out."""
    async with opened(store := WaywardStore(), tmp_path) as spool:
        store.error = AWAY
        with pytest.raises(StoreUnavailable):
            await spool.get(new_uuid())
        await until(lambda: not spool.state().is_up)
        assert await spool.put(some(1)) == [SPOOLED]
        assert store.puts == []
