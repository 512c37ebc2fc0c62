"""A store whose outside world fails: errors of the contract only, nothing acknowledged is lost, and it comes back."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from backends.base import Event, EventStore, Query, Status
from backends.errors import StorageFull, StoreError, StoreUnavailable
from support.events import make_event, new_uuid, records_of
from support.paging import find_all, tail_all
from support.stores import StoreUnderTest

CALLS: dict[str, Callable[[EventStore, Event], Awaitable[Any]]] = {
    "prepare": lambda store, _: store.prepare({("sl_test_event", 1): {"type": "object"}}),
    "put of a new event": lambda store, _: store.put([make_event()]),
    "put of a known event": lambda store, event: store.put([event]),
    "put of a conflict": lambda store, event: store.put([make_event(event.uuid, message={"other": 1})]),
    "put of many": lambda store, event: store.put([make_event(), event, make_event()]),
    "get": lambda store, event: store.get(event.uuid),
    "get of nothing": lambda store, _: store.get(new_uuid()),
    "find": lambda store, _: store.find(Query(), limit=10, max_bytes=10_000),
    "find by type": lambda store, _: store.find(Query(event_type_id="sl_test_event"), limit=10, max_bytes=10_000),
    "tail": lambda store, _: tail_all(store),
    "ping": lambda store, _: store.ping(),
}


@pytest.mark.parametrize("after_restart", [False, True], ids=["warm", "cold"])
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
async def test_backend_error_is_raised_anywhere(
    store: EventStore,
    place: StoreUnderTest,
    reopen: Callable[[], Awaitable[EventStore]],
    call: Callable[[EventStore, Event], Awaitable[Any]],
    *,
    after_restart: bool,
) -> None:
    """Each method does its work or raises StoreUnavailable, never a driver's error; mended, everything is there."""
    events = [make_event(message={"n": number}) for number in range(40)]
    await store.put(events)
    if after_restart:
        store = await reopen()
    expected = await call(store, events[0])
    known = {event.uuid for event in await tail_all(store)}
    place.break_down()
    for _ in range(3):
        try:
            answer = await call(store, events[0])
        except StoreUnavailable:
            pass
        else:
            # What needs nothing from outside may go on working, but then rightly.
            assert answer == expected
    place.mend()
    await _assert_well(store, events)
    store = await reopen()
    await _assert_well(store, events)
    assert known <= {event.uuid for event in await tail_all(store)}


async def _statuses_of(store: EventStore, events: list[Event]) -> list[Status]:
    """Put events; a store that can fail for one of them need not fail for the others."""
    try:
        return [outcome.status for outcome in await store.put(events)]
    except StoreError:
        return [Status.UNAVAILABLE] * len(events)


async def _assert_well(store: EventStore, events: list[Event]) -> None:
    await store.ping()
    assert [outcome.status for outcome in await store.put(events)] == [Status.DUPLICATE] * len(events)
    assert (await store.put([make_event()]))[0].status is Status.STORED
    assert [await store.get(event.uuid) for event in events] == records_of(events)
    assert set(records_of(events)) <= set(await find_all(store))
    assert set(records_of(events)) <= set(records_of(await tail_all(store)))


async def test_nothing_is_acknowledged_while_it_is_broken(store: EventStore, place: StoreUnderTest) -> None:
    """A put of something new fails as a whole."""
    place.break_down()
    for _ in range(3):
        with pytest.raises(StoreUnavailable):
            await store.put([make_event()])
    with pytest.raises(StoreUnavailable):
        await store.ping()


async def test_a_full_store_says_so_and_reads_on(
    store: EventStore, place: StoreUnderTest, reopen: Callable[[], Awaitable[EventStore]]
) -> None:
    """Without room a put and a ping raise StorageFull, all that is stored can be read, also by a store opened then."""
    events = [make_event(message={"n": number}) for number in range(40)]
    await store.put(events)
    place.fill_up()
    for _ in range(2):
        for _ in range(2):
            with pytest.raises(StorageFull):
                await store.put([make_event()])
            with pytest.raises(StorageFull):
                await store.ping()
        assert [await store.get(event.uuid) for event in events] == records_of(events)
        assert sorted(await find_all(store)) == sorted(records_of(events))
        assert records_of(await tail_all(store)) == records_of(events)
        store = await reopen()
    place.mend()
    await _assert_well(store, events)


async def test_a_full_store_fills_up_no_further_under_load(store: EventStore, place: StoreUnderTest) -> None:
    """However much is put in vain, each call is answered, and when there is room again the store works."""
    stored = [make_event(message={"n": number}) for number in range(200)]
    for start in range(0, 200, 10):
        await store.put(stored[start : start + 10])
    place.fill_up()
    answers = await asyncio.gather(*(store.put([make_event()]) for _ in range(200)), return_exceptions=True)
    assert {type(answer) for answer in answers} == {StorageFull}
    place.mend()
    await _assert_well(store, stored)


async def test_an_event_whose_put_failed_can_be_put_again(store: EventStore, place: StoreUnderTest) -> None:
    """Also with other content: what failed is not there, unless the next outcome says so."""
    event = make_event(message={"n": 0})
    for number in range(4):
        place.break_down(times=1)
        with pytest.raises(StoreUnavailable):
            await store.put([make_event(event.uuid, message={"n": number})])
    other = make_event(event.uuid, message={"n": 99})
    assert (await store.put([other]))[0].status is Status.STORED
    assert await store.get(event.uuid) == other.record


async def test_what_failed_stays_away_after_a_restart(
    store: EventStore, place: StoreUnderTest, reopen: Callable[[], Awaitable[EventStore]]
) -> None:
    """After failed puts, other content under the same uuid and a restart, each reader gets the acknowledged one."""
    acknowledged: list[Event] = []
    for number in range(5):
        uuid = new_uuid()
        together = [make_event(message={"n": number}), make_event(uuid, message="failed")]
        place.break_down(times=1)
        statuses = await _statuses_of(store, together)
        assert Status.UNAVAILABLE in statuses
        acknowledged += [event for event, status in zip(together, statuses, strict=True) if status is Status.STORED]
        other = make_event(uuid, message="acknowledged")
        place.mend()
        (outcome,) = await store.put([other])
        assert outcome.status is (Status.CONFLICT if together[1] in acknowledged else Status.STORED)
        acknowledged += [other] if outcome.status is Status.STORED else []
    for _ in range(3):
        assert [await store.get(event.uuid) for event in acknowledged] == records_of(acknowledged)
        assert sorted(await find_all(store)) == sorted(records_of(acknowledged))
        assert records_of(await tail_all(store)) == records_of(acknowledged)
        store = await reopen()


async def test_a_store_that_can_not_open_says_so(place: StoreUnderTest) -> None:
    """Opening in a broken world works or raises an error of the contract, and works when it is mended."""
    events = [make_event(message={"n": number}) for number in range(40)]
    async with place.make() as store:
        await store.put(events)
    for _ in range(2):
        place.break_down()
        try:
            async with place.make():
                pass
        except StoreUnavailable:
            pass
        place.mend()
    async with place.make() as store:
        await _assert_well(store, events)
