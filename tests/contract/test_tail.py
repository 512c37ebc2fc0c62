"""The tail: everything, in order of arrival, from any token on."""

from collections.abc import Awaitable, Callable

import pytest

from backends.base import Event, EventStore
from support.events import as_sent, make_event, records_of
from support.paging import tail_all


def some(count: int) -> list[Event]:
    """Return events whose instants run against their order of arrival."""
    return [
        make_event(at=f"2017-02-16T16:{59 - number // 60:02}:{59 - number % 60:02}.000000000Z")
        for number in range(count)
    ]


async def test_an_empty_store_has_no_tail(store: EventStore) -> None:
    """It ends at once."""
    assert await tail_all(store) == []


async def test_events_come_in_order_of_arrival(store: EventStore) -> None:
    """Each put's events come in the order that they were put in, whatever their instants are."""
    events = some(90)
    await store.put(events[:40])
    for event in events[40:50]:
        await store.put([event])
    await store.put(events[50:])
    assert await tail_all(store) == events


async def test_each_token_goes_on_behind_its_arrival(store: EventStore) -> None:
    """With the token of any arrival the tail is all that came behind it."""
    events = some(30)
    await store.put(events[:20])
    await store.put(events[20:])
    arrivals = [arrival async for arrival in store.tail()]
    assert [arrival.event for arrival in arrivals] == events
    for number, arrival in enumerate(arrivals, 1):
        assert await tail_all(store, arrival.token) == events[number:]


async def test_a_token_goes_on_after_a_restart(store: EventStore, reopen: Callable[[], Awaitable[EventStore]]) -> None:
    """A token stays good over restarts and over what arrives meanwhile."""
    events = some(60)
    token = None
    for start in range(0, 60, 10):
        await store.put(events[start : start + 10])
        arrivals = [arrival async for arrival in store.tail(token)]
        assert [arrival.event for arrival in arrivals] == events[start : start + 10]
        token = arrivals[-1].token
        store = await reopen()
        assert await tail_all(store, token) == []
    assert await tail_all(store) == events


async def test_the_last_token_waits_for_what_comes(store: EventStore) -> None:
    """A tail that has ended is taken up again with its last token."""
    first, second = make_event(), make_event()
    await store.put([first])
    (arrival,) = [arrival async for arrival in store.tail()]
    assert await tail_all(store, arrival.token) == []
    await store.put([second])
    assert await tail_all(store, arrival.token) == [second]


async def test_events_arrive_while_a_tail_runs(store: EventStore) -> None:
    """A tail that runs while others write shows what was there when it began, and whatever it missed comes next."""
    events = some(40)
    await store.put(events[:20])
    seen, token, more = [], "", iter(events[20:])
    async for arrival in store.tail():
        seen.append(arrival.event)
        token = arrival.token
        if event := next(more, None):
            await store.put([event])
    assert seen[:20] == events[:20]
    assert [*seen, *await tail_all(store, token)] == events


async def test_duplicates_and_conflicts_do_not_arrive(store: EventStore) -> None:
    """Only what was stored is an arrival."""
    event = make_event(message={"n": 0})
    for again in (event, make_event(event.uuid, message={"n": 1}), event):
        await store.put([again])
    assert records_of(await tail_all(store)) == [event.record]


@pytest.mark.parametrize(
    "token",
    [
        "",
        " ",
        "x",
        "nonsense",
        "-1",
        "0x1",
        "1.5",
        "\u0661",
        "1 ",
        "99999999",
        "9" * 40,
        "é",
        "\x00",
        "null",
        "1f7bf7dc-f8ba-4c66-bbe9-f8491dd067dc",
        "a" * 5000,
    ],
)
async def test_a_foreign_token_is_refused(store: EventStore, token: str) -> None:
    """A token that this store never made is an error, not a tail from somewhere."""
    await store.put([make_event()])
    with pytest.raises(ValueError, match="token"):
        await tail_all(store, token)


async def test_a_tail_that_is_left_leaves_nothing_behind(store: EventStore) -> None:
    """Whoever stops in the middle disturbs nobody."""
    await store.put([as_sent(f'{{"n":{number}}}') for number in range(30)])
    tail = store.tail()
    first = await anext(tail)
    await tail.aclose()  # type: ignore[attr-defined]
    assert len(await tail_all(store)) == 30
    assert len(await tail_all(store, first.token)) == 29
