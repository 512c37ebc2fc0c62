"""When the backend is back: what waits goes there, in order, once, and nothing is in anybody's way."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from backends.base import Event, Outcome, Query, Status
from backends.errors import StorageFull, StoreUnavailable
from backends.spool import Spool
from support.events import make_event, records_of
from support.faulty_disk import FaultyDisk
from support.paging import find_all, tail_all
from support.spool import SPOOLED, STORED, Quarantine, figure, files, opened, some, until, until_empty
from support.wayward_store import AWAY, WaywardStore


async def fill(spool: Spool, store: WaywardStore, events: list[Event]) -> None:
    """Let events wait."""
    store.error = AWAY
    for start in range(0, len(events), 10):
        assert {outcome.status for outcome in await spool.put(events[start : start + 10])} == {Status.SPOOLED}


async def test_it_drains_in_order_and_in_bulks(tmp_path: Path) -> None:
    """As many events at a time as it may, in the order in which they were acknowledged."""
    async with opened(store := WaywardStore(), tmp_path, bulk_events=16) as spool:
        await fill(spool, store, events := [make_event() for _ in range(100)])
        before = len(store.puts)
        store.mend()
        await until_empty(spool)
        assert store.all_records() == records_of(events)
        assert len(store.puts) - before <= 12
        assert max(map(len, store.puts[before:])) == 16


async def test_one_bulk_is_on_its_way_at_a_time(tmp_path: Path) -> None:
    """The next one leaves when the one before has arrived: a backend that runs two at once may turn them round."""
    under_way = []

    class Slow(WaywardStore):
        async def put(self, events: Sequence[Event]) -> list[Outcome]:
            under_way.append(sum(under_way) + 1)
            await asyncio.sleep(0.003 if len(self.puts) % 2 else 0)
            outcomes = await super().put(events)
            under_way.append(-1)
            return outcomes

    async with opened(store := Slow(), tmp_path, bulk_events=4) as spool:
        await fill(spool, store, events := [make_event() for _ in range(60)])
        under_way.clear()
        store.mend()
        await until_empty(spool)
        assert store.all_records() == records_of(events)
        assert set(under_way) == {1, -1}


async def test_only_a_backend_that_stores_is_taken_for_up(tmp_path: Path) -> None:
    """It answers pings and stores nothing: new events are not sent there before it has taken a first bulk."""
    async with opened(store := WaywardStore(), tmp_path) as spool:
        await fill(spool, store, events := some(6))
        before = len(store.puts)
        store.chokes = lambda _event: True
        store.error = None
        await until(lambda: len(store.puts) > before + 5)
        assert not spool.state().is_up
        assert figure(spool, "outages_total") == 1
        assert await spool.put([new := make_event()]) == [SPOOLED]
        assert all(new not in put or len(put) > 1 for put in store.puts)
        store.mend()
        await until_empty(spool)
        assert store.all_records() == records_of([*events, new])


async def test_new_events_do_not_wait_for_those_that_drain(tmp_path: Path) -> None:
    """They go straight to the backend, unless their uuid waits."""
    async with opened(store := WaywardStore(), tmp_path, bulk_events=1) as spool:
        await fill(spool, store, events := some(3))
        stuck = events[1].uuid
        store.refuses = lambda event: event.uuid == stuck
        store.error = None
        await until(lambda: spool.state().is_up)
        assert await spool.put([new := make_event(message="new")]) == [STORED]
        assert await spool.put([events[1]]) == [Outcome(Status.DUPLICATE, events[1].record)]
        other = make_event(events[1].uuid, message="other")
        assert await spool.put([other]) == [Outcome(Status.CONFLICT, events[1].record)]
        assert store.all_records() == records_of([events[0], new])
        assert await spool.get(events[1].uuid) == events[1].record
        assert sorted(await find_all(spool)) == sorted(records_of([*events, new]))
        store.mend()
        await until_empty(spool)
        assert store.all_records() == records_of([events[0], new, *events[1:]])


async def test_a_bulk_that_is_too_much_is_halved(tmp_path: Path) -> None:
    """A backend that takes no more than three events at a time gets no more, and all of them."""

    class Narrow(WaywardStore):
        async def put(self, events: list[Event]) -> list[Outcome]:  # type: ignore[override]
            if len(events) > 3:
                raise StoreUnavailable("too many")
            return await super().put(events)

    async with opened(store := Narrow(), tmp_path) as spool:
        store.error = AWAY
        events = some(50)
        for event in events:
            await spool.put([event])
        store.mend()
        await until_empty(spool)
        assert store.all_records() == records_of(events)


async def test_one_event_that_the_backend_can_not_take_keeps_no_other_away(tmp_path: Path) -> None:
    """It waits, and what waits behind it; but new ones go to the backend."""
    async with opened(store := WaywardStore(), tmp_path, timeout=2.0) as spool:
        await fill(spool, store, events := some(5))
        poison = events[2].uuid
        store.chokes = lambda event: event.uuid == poison
        store.error = None
        await until(lambda: spool.state().is_up and spool.state().events == 3)
        answers = [await spool.put([make_event()]) for _ in range(20)]
        assert [STORED] in answers
        store.mend()
        await until_empty(spool)
        assert set(records_of(events)) <= set(store.all_records())


async def test_a_conflict_that_is_found_too_late(tmp_path: Path) -> None:
    """Another server stored other content meanwhile: that stays, ours is kept and told, and nothing else is held up."""
    quarantine = Quarantine()
    async with opened(store := WaywardStore(), tmp_path, on_conflict=quarantine.keep) as spool:
        await fill(spool, store, events := some(5))
        theirs = make_event(events[2].uuid, message="theirs")
        same = events[3]
        store.mend()
        store.error = AWAY
        for event in (theirs, same):
            store._put(event)
        assert await spool.get(theirs.uuid) == events[2].record
        store.mend()
        await until_empty(spool)
        assert quarantine.events == [events[2]]
        assert figure(spool, "spool_conflicts_total") == 1
        assert figure(spool, "spool_drained_total") == 5
        assert await spool.get(theirs.uuid) == theirs.record
        assert sorted(await find_all(spool)) == sorted(records_of([*events[:2], theirs, *events[3:]]))


@pytest.mark.parametrize("error", [StorageFull("full"), StoreUnavailable("away"), TimeoutError(), ValueError("defect")])
async def test_a_conflict_that_can_not_be_kept_stays_in_the_spool(tmp_path: Path, error: Exception) -> None:
    """The event is not lost while the quarantine is full; the backend is up meanwhile."""
    quarantine = Quarantine()
    quarantine.error = error
    async with opened(store := WaywardStore(), tmp_path, on_conflict=quarantine.keep) as spool:
        await fill(spool, store, events := some(3))
        store._put(make_event(events[0].uuid, message="theirs"))
        store.error = None
        await until(lambda: len(store.puts) > 5)
        assert spool.state().events == 3
        assert await spool.get(events[0].uuid) == events[0].record
        if not isinstance(error, ValueError):
            assert spool.state().is_up
            assert await spool.put([make_event()]) == [STORED]
        quarantine.error = None
        await until_empty(spool)
        assert quarantine.events == [events[0]]


async def test_files_are_given_back(tmp_path: Path) -> None:
    """Whole segments go as they are drained; one file stays, whatever went through."""
    async with opened(store := WaywardStore(), tmp_path, bulk_events=5) as spool:
        for _ in range(3):
            await fill(spool, store, [make_event() for _ in range(60)])
            assert len(files(tmp_path, "*.ndjson")) > 5
            store.mend()
            await until_empty(spool)
            await until(lambda: len(files(tmp_path, "*.ndjson")) == 1)
    assert len(store.all_records()) == 180


async def test_the_index_is_given_back(tmp_path: Path) -> None:
    """It does not grow with all that ever went through; and each new one knows what waits."""
    async with opened(store := WaywardStore(), tmp_path) as spool:
        for _ in range(6):
            await fill(spool, store, events := [make_event() for _ in range(45)])
            assert [await spool.get(event.uuid) for event in events] == records_of(events)
            assert await spool.put(events[:1]) == [Outcome(Status.DUPLICATE, events[0].record)]
            store.mend()
            await until_empty(spool)
            await until(lambda: spool._backlog.ledger.index.statistics().rows == 0)
    assert len(store.all_records()) == 270
    assert sum(path.stat().st_size for path in files(tmp_path, "*.run")) == 0


async def test_a_damaged_record_is_set_aside_and_holds_up_nothing(tmp_path: Path) -> None:
    """Bits rot: the line is kept as it was found, reported, and what is behind it is drained."""
    async with opened(store := WaywardStore(), tmp_path) as spool:
        await fill(spool, store, events := some(5))
        (path,) = files(tmp_path, "*.ndjson")
        data = path.read_bytes()
        start = data.index(events[2].record)
        path.write_bytes(data[: start + 20] + b"X" + data[start + 21 :])
        store.mend()
        await until_empty(spool)
        assert store.all_records() == records_of([*events[:2], *events[3:]])
        assert figure(spool, "spool_damaged_records") == 1
    (kept,) = (tmp_path / "damaged").iterdir()
    assert len(kept.read_bytes()) == len(events[2].record)


async def test_a_disk_that_fails_during_the_drain_loses_nothing(tmp_path: Path) -> None:
    """What can't be read now is drained when it can."""
    disk = FaultyDisk()
    async with opened(store := WaywardStore(), tmp_path, disk=disk) as spool:
        await fill(spool, store, events := some(30))
        disk.fail({"read", "open"})
        store.mend()
        await asyncio.sleep(0.2)
        assert spool.state().events > 0
        disk.mend()
        await until_empty(spool)
    assert store.all_records() == records_of(events)


async def test_a_tail_is_of_the_backend(tmp_path: Path) -> None:
    """What waits has not arrived yet; it comes behind what a token stands for."""
    async with opened(store := WaywardStore(), tmp_path) as spool:
        events = some(6)
        await spool.put(events[:2])
        token = [arrival.token async for arrival in spool.tail()][-1]
        await fill(spool, store, events[2:])
        store.mend()
        await until_empty(spool)
        assert await tail_all(spool, token) == events[2:]


async def test_lists_are_whole_at_every_moment_of_the_drain(tmp_path: Path) -> None:
    """Each event is in each list exactly once, whatever moves from the spool to the backend while it is read."""
    async with opened(store := WaywardStore(), tmp_path, bulk_events=7) as spool:
        events = [make_event(at=f"2017-02-16T16:36:{number * 7 % 60:02}.082000000Z") for number in range(200)]
        await spool.put(events[:20])
        await fill(spool, store, events[20:])
        store.mend()
        store.error = AWAY
        await spool.ping()
        store.mend()
        spool._wake()
        await until(lambda: spool.state().is_up)
        moments = set()
        while spool.state().events:
            moments.add(spool.state().events)
            for query in (Query(), Query(descending=True), Query(smrtlink_id=events[0].smrtlink_id)):
                found = await find_all(spool, query)
                assert sorted(found) == sorted(records_of(events))
        assert len(moments) > 3, "the drain was too quick for this test to say anything"


async def test_what_is_drained_does_not_wait_any_more(tmp_path: Path) -> None:
    """While the backend is away again nothing is known of it: the same is spooled, and other content found too late."""
    quarantine = Quarantine()
    async with opened(store := WaywardStore(), tmp_path, on_conflict=quarantine.keep) as spool:
        await fill(spool, store, events := some(3))
        store.mend()
        await until_empty(spool)
        store.error = AWAY
        other = make_event(events[1].uuid, message="other")
        assert await spool.put([other]) == [SPOOLED]
        assert await spool.put([events[0], other]) == [SPOOLED, Outcome(Status.DUPLICATE, other.record)]
        assert await spool.get(other.uuid) == other.record
        with pytest.raises(StoreUnavailable):
            await spool.get(events[2].uuid)
        store.mend()
        await until_empty(spool)
        assert quarantine.events == [other]
        assert await spool.get(other.uuid) == events[1].record
    assert store.all_records() == records_of(events)


async def test_a_file_stays_while_somebody_reads_it(tmp_path: Path) -> None:
    """It is drained meanwhile, and given back afterwards."""
    async with opened(store := WaywardStore(), tmp_path) as spool:
        await fill(spool, store, events := [make_event() for _ in range(60)])
        uuid = events[0].uuid
        places = spool._backlog.find_places([uuid])[uuid]
        with spool._backlog.pinned():
            store.mend()
            await until_empty(spool)
            assert await spool._backlog.first(uuid, places) == events[0].record
            assert len(files(tmp_path, "*.ndjson")) > 5
        await spool._backlog.tidy()
        assert len(files(tmp_path, "*.ndjson")) == 1
