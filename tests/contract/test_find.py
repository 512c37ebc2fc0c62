"""Lists: conditions, order, pages; against a model of five lines in plain Python."""

from collections.abc import Awaitable, Callable, Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backends.base import Event, EventStore, Page, Position, Query
from support.events import NO_LIMIT, make_event, new_uuid, position_of, records_of
from support.paging import find_all, listed, walk
from support.stores import StoreUnderTest
from support.strategies import event_lists, queries

PROPERTY = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@PROPERTY
@given(
    events=event_lists(),
    queries=st.lists(queries(), min_size=1, max_size=8),
    limit=st.integers(1, 12),
    max_bytes=st.integers(0, 3000) | st.just(NO_LIMIT),
    piece=st.integers(1, 20),
)
async def test_any_list_is_what_the_model_says(
    new_place: Callable[[], StoreUnderTest],
    events: list[Event],
    queries: list[Query],
    limit: int,
    max_bytes: int,
    piece: int,
) -> None:
    """Every combination of conditions, in both directions, in pages of any size, before and after a restart."""
    place = new_place()
    async with place.make() as store:
        for start in range(0, len(events), piece):
            await store.put(events[start : start + piece])
        await check(store, events, queries, limit, max_bytes)
    async with place.make() as store:
        await check(store, events, queries, limit, max_bytes)


async def check(
    store: EventStore, events: Sequence[Event], queries: Sequence[Query], limit: int, max_bytes: int
) -> None:
    """The pages of each query, one behind the other, are the model's list, each as large as is allowed."""
    for query in queries:
        rest = records_of(listed(events, query))
        for page in await walk(store, query, limit=limit, max_bytes=max_bytes):
            count, size = 0, 0
            while count < min(limit, len(rest)) and (not count or size + len(rest[count]) <= max_bytes):
                size += len(rest[count])
                count += 1
            assert page.records == rest[:count]
            del rest[:count]
            assert (page.next is None) == (not rest)
        assert rest == []


@PROPERTY
@given(
    events=event_lists(),
    arrivals=st.lists(event_lists(6), max_size=6),
    query=queries(),
    limits=st.lists(st.integers(1, 6), min_size=1, max_size=8),
)
async def test_a_list_that_is_read_while_events_arrive(
    new_place: Callable[[], StoreUnderTest],
    events: list[Event],
    arrivals: list[list[Event]],
    query: Query,
    limits: list[int],
) -> None:
    """What was there at first appears exactly once; what arrives appears once or not, never before a cursor."""
    present = {event.uuid: event for event in events}
    shown: list[bytes] = []
    async with new_place().make() as store:
        await store.put(events)
        for limit in [*limits, NO_LIMIT]:
            page = await store.find(query, limit=limit, max_bytes=NO_LIMIT)
            expected = records_of(listed(present.values(), query))
            assert page.records == expected[: len(page.records)], "the page is the beginning of what is left"
            assert (page.next is None) == (len(page.records) == len(expected))
            shown += page.records
            if page.next is None:
                break
            query = query._replace(after=page.next)
            for event in arrivals.pop() if arrivals else ():
                if event.uuid not in present:
                    present[event.uuid] = event
                    await store.put([event])
    assert len(shown) == len(set(shown))


async def test_an_empty_store_has_an_empty_page(store: EventStore) -> None:
    """There is a page, nothing in it, and none behind it."""
    assert await store.find(Query(), limit=1, max_bytes=1) == Page([], None)


@pytest.mark.parametrize("descending", [False, True])
async def test_ties_are_ordered_by_uuid(store: EventStore, *, descending: bool) -> None:
    """Events of one instant run by uuid, whatever order they came in, and cursors stop between them."""
    events = [make_event(message={"n": number}) for number in range(30)]
    await store.put(events)
    ordered = records_of(sorted(events, key=position_of, reverse=descending))
    for limit in (1, 7, 30, 31):
        pages = await walk(store, Query(descending=descending), limit=limit)
        assert [record for page in pages for record in page.records] == ordered


async def test_from_is_inclusive_and_to_is_exclusive(store: EventStore) -> None:
    """An event at the very instant is in the list that begins there, not in the one that ends there."""
    instants = [f"2017-02-16T16:36:21.08200000{digit}Z" for digit in range(5)]
    events = [make_event(at=instant) for instant in instants]
    await store.put(events)
    for descending in (False, True):
        found = await find_all(store, Query(from_at=instants[1], to_at=instants[3], descending=descending))
        assert sorted(found) == sorted(records_of(events[1:3]))
        assert await find_all(store, Query(from_at=instants[2], to_at=instants[2], descending=descending)) == []
        assert await find_all(store, Query(from_at=instants[3], to_at=instants[1], descending=descending)) == []


@pytest.mark.parametrize("descending", [False, True])
async def test_a_position_need_not_be_that_of_an_event(store: EventStore, *, descending: bool) -> None:
    """A list begins behind any position: before all, after all, between two, or at one."""
    events = [make_event(at=f"2017-02-16T16:36:2{second}.000000000Z") for second in range(6)]
    await store.put(events)
    low, high = "00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"
    for after in (
        Position("0001-01-01T00:00:00.000000000Z", low),
        Position("9999-12-31T23:59:59.999999999Z", high),
        Position(events[2].at, low),
        Position(events[2].at, high),
        Position("2017-02-16T16:36:23.500000000Z", new_uuid()),
        *map(position_of, events),
    ):
        query = Query(descending=descending, after=after)
        assert await find_all(store, query) == records_of(listed(events, query))


async def test_a_page_ends_at_its_limit_of_bytes(store: EventStore) -> None:
    """It holds as many whole records as fit, and the first one even if that alone is larger."""
    events = [make_event(at=f"2017-02-16T16:36:2{n}.000000000Z", message="x" * 1000 * n) for n in range(6)]
    await store.put(events)
    sizes = [len(event.record) for event in events]
    for max_bytes in (0, 1, sizes[0] - 1, sizes[0], sizes[0] + sizes[1], sizes[0] + sizes[1] + 1, sum(sizes)):
        pages = await walk(store, Query(), max_bytes=max_bytes)
        assert [record for page in pages for record in page.records] == records_of(events)
        for page in pages:
            assert len(page.records) == 1 or sum(map(len, page.records)) <= max_bytes
    assert (await store.find(Query(), limit=9, max_bytes=sum(sizes))).next is None


async def test_every_list_sees_what_was_acknowledged(store: EventStore) -> None:
    """After each put the event is in its lists at once, at its place."""
    events: list[Event] = []
    for number in range(50):
        event = make_event(at=f"2017-02-16T16:36:{number * 17 % 60:02}.000000000Z", event_type_version=1 + number % 2)
        events.append(event)
        await store.put([event])
        query = Query(event_type_id=event.event_type_id, event_type_version=event.event_type_version)
        assert await find_all(store, query) == records_of(listed(events, query))


async def test_a_cursor_goes_on_after_a_restart(store: EventStore, reopen: Callable[[], Awaitable[EventStore]]) -> None:
    """A position is nothing but a position: the list that was begun before a restart ends as it would have."""
    events = [make_event(message={"n": number}) for number in range(40)]
    await store.put(events)
    query, shown = Query(), []
    while True:
        page = await store.find(query, limit=7, max_bytes=NO_LIMIT)
        shown += page.records
        if page.next is None:
            break
        query = query._replace(after=page.next)
        store = await reopen()
    assert shown == records_of(listed(events, Query()))
