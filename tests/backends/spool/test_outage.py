"""While the backend is away: what is put is kept, at once; what can't be known is not answered."""

import asyncio
import time
from pathlib import Path
from random import Random

import pytest

from backends.base import Outcome, Status
from backends.errors import StoreError
from backends.spool import Backoff
from support.events import make_event, records_of
from support.fake_disk import FakeDisk
from support.paging import find_all
from support.spool import SPOOLED, STORED, figure, files, make_spool, opened, some, until, until_empty
from support.wayward_store import AWAY, FULL, WaywardStore


async def test_while_the_backend_is_up_the_spool_does_nothing(tmp_path: Path) -> None:
    """Events go straight to the backend, and no file is written."""
    async with opened(store := WaywardStore(), tmp_path) as spool:
        assert await spool.put(events := some(3)) == [STORED] * 3
        assert await spool.put(events[:1]) == [Outcome(Status.DUPLICATE, events[0].record)]
        assert files(tmp_path, "*.ndjson") == []
    assert store.all_records() == records_of(events)


@pytest.mark.parametrize("error", [AWAY, FULL], ids=["away", "full"])
async def test_what_the_backend_does_not_take_is_spooled(tmp_path: Path, error: StoreError) -> None:
    """The put is answered: spooled; and the event is in the backend when that is back."""
    async with opened(store := WaywardStore(), tmp_path) as spool:
        store.error = error
        events = some(5)
        assert [await spool.put([event]) for event in events[:2]] == [[SPOOLED]] * 2
        assert await spool.put(events[2:]) == [SPOOLED] * 3
        assert figure(spool, "up") == 0
        assert figure(spool, "spool_events") == figure(spool, "spool_spooled_total") == 5
        store.mend()
        await until_empty(spool)
        assert figure(spool, "spool_drained_total") == 5
    assert store.all_records() == records_of(events)


async def test_what_is_spooled_survives_a_power_cut_in_the_next_moment() -> None:
    """It is durable before the answer."""
    for seed in range(30):
        store, disk = WaywardStore(), FakeDisk(seed)
        store.error = AWAY
        spool = await make_spool(store, Path("/data/spool"), disk=disk).__aenter__()
        events = some(3)
        assert await spool.put(events) == [SPOOLED] * 3
        disk.cut_power()
        await spool.__aexit__(None, None, None)
        left = disk.after_power_cut(Random(seed))
        store.mend()
        async with opened(store, Path("/data/spool"), disk=left) as spool:
            await until_empty(spool)
        assert store.all_records() == records_of(events)


async def test_a_backend_that_hangs_costs_one_put_its_time_and_the_others_none(tmp_path: Path) -> None:
    """No put takes longer than the timeout; once the fault is known the backend is not even asked."""
    async with opened(store := WaywardStore(), tmp_path, timeout=1.0) as spool:
        store.hangs = True
        started = time.monotonic()
        answers = await asyncio.gather(*(spool.put([event]) for event in some(20)))
        assert time.monotonic() - started < 1.0
        assert answers == [[SPOOLED]] * 20
        tried = len(store.puts)
        started = time.monotonic()
        assert [await spool.put([make_event()]) for _ in range(20)] == [[SPOOLED]] * 20
        assert time.monotonic() - started < 0.5
        assert len(store.puts) == tried
        store.mend()
        await until_empty(spool)
        assert len(store.all_records()) == 40


async def test_there_is_one_probe_and_not_a_stampede(tmp_path: Path) -> None:
    """However many put, read and ask, a backend that hangs is asked by one at a time."""
    async with opened(store := WaywardStore(), tmp_path, timeout=0.4) as spool:
        store.hangs = True
        await asyncio.gather(*(spool.put([make_event()]) for _ in range(50)))
        before = len(store.calls)
        began = time.monotonic()
        for _ in range(20):
            work = [spool.put([make_event()]) for _ in range(20)]
            await asyncio.gather(*work, *(spool.ping() for _ in range(20)), return_exceptions=True)
        asked = store.calls[before:]
        assert set(asked) <= {"ping"}
        assert len(asked) <= 2 + (time.monotonic() - began) / 0.4


async def test_the_probe_waits_longer_and_longer(tmp_path: Path) -> None:
    """Delays double up to a limit, each drawn from the whole of its range."""
    ends = []
    for _ in range(200):
        backoff = Backoff(first=1, last=8)
        ends.append([backoff.next() for _ in range(6)])
    for number, longest in enumerate([1, 2, 4, 8, 8, 8]):
        delays = sorted(delays[number] for delays in ends)
        assert 0 <= delays[0] < longest * 0.1
        assert longest * 0.9 < delays[-1] <= longest
    async with opened(store := WaywardStore(), tmp_path, backoff=Backoff(first=0.05, last=60)) as spool:
        store.error = AWAY
        await spool.put(some(1))
        await asyncio.sleep(0.5)
        assert 1 <= store.calls.count("ping") < 10, "full jitter may be kind, but not that kind"


async def test_a_ping_finds_out_at_once_that_the_backend_is_back(tmp_path: Path) -> None:
    """Whoever asks for the readiness need not wait for the next attempt."""
    async with opened(store := WaywardStore(), tmp_path, backoff=Backoff(first=600, last=600)) as spool:
        store.error = AWAY
        await spool.put(events := some(3))
        await until(lambda: "ping" in store.calls)
        await asyncio.sleep(0.05)
        store.mend()
        await spool.ping()
        await until_empty(spool)
        assert store.all_records() == records_of(events)


async def test_only_those_that_the_backend_refuses_are_spooled(tmp_path: Path) -> None:
    """Of a put of many, each event has its own outcome; the backend stays up."""
    async with opened(store := WaywardStore(), tmp_path) as spool:
        events = some(6)
        await spool.put(events[:1])
        odd = {event.uuid for event in events[1::2]}
        store.refuses = lambda event: event.uuid in odd
        answer = await spool.put(events)
        assert [outcome.status for outcome in answer] == ["duplicate", *["spooled", "stored"] * 2, "spooled"]
        assert spool.state().is_up
        assert [await spool.get(event.uuid) for event in events] == records_of(events)
        store.mend()
        await until_empty(spool)
        assert sorted(store.all_records()) == sorted(records_of(events))


async def test_an_answer_that_was_lost_makes_no_second_event(tmp_path: Path) -> None:
    """The backend has stored it, nobody knows; it is spooled, drained, and found to be there: once, and no conflict."""
    async with opened(store := WaywardStore(), tmp_path) as spool:
        store.deaf = True
        events = some(4)
        assert await spool.put(events) == [SPOOLED] * 4
        assert store.all_records() == records_of(events)
        store.mend()
        await until_empty(spool)
        assert store.all_records() == records_of(events)
        assert figure(spool, "spool_conflicts_total") == 0
        assert await find_all(spool) == records_of(events[::-1])


async def test_closing_does_not_wait_for_a_backend_that_hangs(tmp_path: Path) -> None:
    """It takes as long as a call may take, whatever is under way."""
    store = WaywardStore()
    spool = await make_spool(store, tmp_path, timeout=0.5).__aenter__()
    store.hangs = True
    tasks = [asyncio.create_task(spool.put([make_event()])) for _ in range(10)]
    await asyncio.sleep(0)
    started = time.monotonic()
    await spool.__aexit__(None, None, None)
    assert time.monotonic() - started < 2
    assert await asyncio.gather(*tasks) == [[SPOOLED]] * 10


async def test_a_failure_that_comes_late_is_no_new_outage(tmp_path: Path) -> None:
    """A put gives up that began before the backend was away and back: the event is spooled, the backend stays up."""
    async with opened(store := WaywardStore(), tmp_path, timeout=1.0) as spool:
        store.hangs = True
        late = asyncio.create_task(spool.put([make_event()]))
        await asyncio.sleep(0)
        store.hangs = False
        store.error = AWAY
        await spool.put([make_event()])
        store.error = None
        await spool.ping()
        await until_empty(spool)
        assert figure(spool, "outages_total") == 1
        assert await late == [SPOOLED]
        assert figure(spool, "outages_total") == 1
        await until_empty(spool)
        assert len(store.all_records()) == 2
