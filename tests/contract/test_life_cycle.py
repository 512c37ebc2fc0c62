"""Opening, preparing, closing."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from backends.base import EventStore, Query, Status
from backends.errors import StoreClosed
from support.events import make_event, new_uuid
from support.paging import find_all, tail_all
from support.stores import StoreUnderTest

SCHEMAS: dict[tuple[str, int], dict[str, Any]] = {
    ("sl_test_event", 1): {"type": "object"},
    ("sl_test_event", 2): {"type": "object", "properties": {"n": {"type": "integer"}}},
}

METHODS: dict[str, Callable[[EventStore], Awaitable[Any]]] = {
    "prepare": lambda store: store.prepare(SCHEMAS),
    "put": lambda store: store.put([make_event()]),
    "get": lambda store: store.get(new_uuid()),
    "find": lambda store: store.find(Query(), limit=1, max_bytes=1),
    "tail": tail_all,
    "ping": lambda store: store.ping(),
}


def test_no_method_is_forgotten() -> None:
    """The table above has each method of the contract, so that a new one is tried closed and broken too."""
    methods = {name for name in EventStore.__abstractmethods__ if not name.startswith("__")}
    assert set(METHODS) == methods
    assert all(inspect.isfunction(getattr(EventStore, name)) for name in methods)


@pytest.mark.parametrize("call", METHODS.values(), ids=METHODS.keys())
async def test_a_store_that_is_not_open_yet_is_closed(
    place: StoreUnderTest, call: Callable[[EventStore], Awaitable[Any]]
) -> None:
    """Constructing touches nothing, and nothing works before the block begins."""
    with pytest.raises(StoreClosed):
        await call(place.make())


@pytest.mark.parametrize("call", METHODS.values(), ids=METHODS.keys())
async def test_a_store_that_was_closed_is_closed(
    place: StoreUnderTest, call: Callable[[EventStore], Awaitable[Any]]
) -> None:
    """Behind the block each method raises StoreClosed."""
    async with place.make() as store:
        await call(store)
    with pytest.raises(StoreClosed):
        await call(store)


async def test_closing_is_idempotent(place: StoreUnderTest) -> None:
    """Closing twice, or what was never opened, does nothing."""
    await place.make().__aexit__(None, None, None)
    async with place.make() as store:
        pass
    await store.__aexit__(None, None, None)
    await store.__aexit__(None, None, None)


async def test_an_error_in_the_block_passes_through(place: StoreUnderTest) -> None:
    """The store closes whatever ends the block, and hides nothing."""
    store = place.make()

    async def fail() -> None:
        async with store:
            await store.put([make_event()])
            raise KeyError

    with pytest.raises(KeyError):
        await fail()
    with pytest.raises(StoreClosed):
        await store.ping()


async def test_a_block_gives_the_store_itself(place: StoreUnderTest) -> None:
    """``async with store as x``: x is the store."""
    store = place.make()
    async with store as opened:
        assert opened is store


async def test_opening_often_changes_nothing(place: StoreUnderTest) -> None:
    """A place that is opened and closed again and again keeps what it has, and takes more."""
    events = []
    for _ in range(8):
        async with place.make() as store:
            events.append(make_event())
            assert [outcome.status for outcome in await store.put(events)][-1] is Status.STORED
        async with place.make() as store:
            assert sorted(await find_all(store)) == sorted(event.record for event in events)


async def test_preparing_is_idempotent(store: EventStore) -> None:
    """Again, at once, with more schemas and with fewer: nothing is lost and everything can be put."""
    event = make_event(message={"n": 1})
    await store.prepare(SCHEMAS)
    await store.put([event])
    await asyncio.gather(*(store.prepare(SCHEMAS) for _ in range(5)))
    await store.prepare({**SCHEMAS, ("sl_other", 1): {"type": "object"}})
    await store.prepare({})
    await store.prepare(SCHEMAS)
    assert await store.get(event.uuid) == event.record
    assert await find_all(store) == [event.record]
    assert (await store.put([make_event(event_type_version=2)]))[0].status is Status.STORED


async def test_a_store_that_works_answers_a_ping(store: EventStore) -> None:
    """A ping returns, before the first event and after it."""
    await store.ping()
    await store.put([make_event()])
    await store.ping()


async def test_statistics_work_in_any_state(place: StoreUnderTest) -> None:
    """Not open, open and closed: figures with a name each, never an error."""
    store = place.make()
    store.statistics()
    async with store:
        await store.put([make_event()])
        names = [statistic.name for statistic in store.statistics()]
        assert len(names) == len(set(names))
    store.statistics()
