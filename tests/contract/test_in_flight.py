"""Puts at the same time: one winner for each uuid, whatever happens to the others."""

import asyncio
from collections import Counter
from random import Random

import pytest

from backends.base import Event, EventStore, Outcome, Query, Status
from backends.errors import StoreUnavailable
from support.events import make_event, records_of
from support.paging import find_all, tail_all
from support.stores import StoreUnderTest


async def test_of_equal_puts_at_once_one_is_stored(store: EventStore) -> None:
    """Of 50 concurrent puts of one event one is stored, all others are duplicates of it."""
    event = make_event()
    outcomes = [outcome for (outcome,) in await asyncio.gather(*(store.put([event]) for _ in range(50)))]
    assert Counter(outcomes) == {Outcome(Status.STORED): 1, Outcome(Status.DUPLICATE, event.record): 49}
    assert await find_all(store) == [event.record]


async def test_of_different_puts_at_once_one_is_stored(store: EventStore) -> None:
    """Of 50 concurrent puts with other content each, the one that is stored is what every later get returns."""
    first = make_event(message={"n": 0})
    events = [first, *(make_event(first.uuid, message={"n": number}) for number in range(1, 50))]
    outcomes = [outcome for (outcome,) in await asyncio.gather(*(store.put([event]) for event in events))]
    (winner,) = [event for event, outcome in zip(events, outcomes, strict=True) if outcome.status is Status.STORED]
    assert Counter(outcomes) == {Outcome(Status.STORED): 1, Outcome(Status.CONFLICT, winner.record): 49}
    assert [await store.get(first.uuid) for _ in range(5)] == [winner.record] * 5
    assert await find_all(store) == [winner.record]
    assert records_of(await tail_all(store)) == [winner.record]


async def test_many_puts_of_many_events_at_once(store: EventStore) -> None:
    """Batches that overlap in any way store each event once, and tell everybody else which one it was."""
    random = Random(1)
    events = [make_event(message={"n": number}) for number in range(40)]
    variants = [[event, make_event(event.uuid, message={"other": 1})] for event in events]
    batches = [[random.choice(random.choice(variants)) for _ in range(random.randrange(1, 30))] for _ in range(60)]
    answers = await asyncio.gather(*(store.put(batch) for batch in batches))
    judged = [pair for batch, answer in zip(batches, answers, strict=True) for pair in zip(batch, answer, strict=True)]
    winners = {event.uuid: event for event, outcome in judged if outcome.status is Status.STORED}
    assert sum(outcome.status is Status.STORED for _, outcome in judged) == len(winners)
    for event, outcome in judged:
        winner = winners[event.uuid]
        if outcome.status is not Status.STORED:
            same = event.record == winner.record
            assert outcome == Outcome(Status.DUPLICATE if same else Status.CONFLICT, winner.record)
    for winner in winners.values():
        assert await store.get(winner.uuid) == winner.record
    assert sorted(await find_all(store)) == sorted(records_of(list(winners.values())))


async def test_a_put_behind_one_that_fails_takes_its_place(store: EventStore, place: StoreUnderTest) -> None:
    """A put whose uuid is in flight waits; when that write fails, this one is stored, other content or not."""
    first = make_event(message={"n": 0})
    other = make_event(first.uuid, message={"n": 1})
    place.break_down(times=1)
    failed = asyncio.create_task(store.put([first]))
    await asyncio.sleep(0)
    behind = asyncio.create_task(store.put([other]))
    with pytest.raises(StoreUnavailable):
        await failed
    answer = await _until_stored(store, other, behind)
    assert answer == [Outcome(Status.STORED)]
    assert await store.get(first.uuid) == other.record
    assert await store.put([first]) == [Outcome(Status.CONFLICT, other.record)]
    assert records_of(await tail_all(store)) == [other.record]


async def _until_stored(store: EventStore, event: Event, task: "asyncio.Task[list[Outcome]]") -> list[Outcome]:
    """The one behind may have shared the first one's fate (one write for both); then it is put again, as senders do."""
    try:
        return await task
    except StoreUnavailable:
        return await store.put([event])


@pytest.mark.parametrize("turns", [0, 1, 2, 3, 5, 8, 20])
async def test_a_cancelled_put_leaves_the_store_consistent(store: EventStore, turns: int) -> None:
    """Whether it took effect or not, the next put of that uuid finds out, and everything agrees with its answer."""
    first = make_event(message={"n": 0})
    other = make_event(first.uuid, message={"n": 1})
    task = asyncio.create_task(store.put([first, make_event()]))
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    (outcome,) = await store.put([other])
    present = other if outcome.status is Status.STORED else first
    assert outcome == (Outcome(Status.STORED) if present is other else Outcome(Status.CONFLICT, first.record))
    assert await store.get(first.uuid) == present.record
    assert (await find_all(store, Query())).count(present.record) == 1


async def test_cancelling_one_put_cancels_no_other(store: EventStore) -> None:
    """Of several that share a write, or wait for each other, the others get their outcome."""
    event = make_event()
    tasks = [asyncio.create_task(store.put([event, make_event()])) for _ in range(10)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    for answer in answers[1::2]:
        assert not isinstance(answer, BaseException)
        assert answer[0].status in {Status.STORED, Status.DUPLICATE}
        assert answer[1].status is Status.STORED
    assert await store.get(event.uuid) == event.record


async def test_reading_during_puts(store: EventStore) -> None:
    """While others write, a reader sees each event that was acknowledged to it before."""
    seen: list[bytes] = []

    async def write(number: int) -> None:
        event = make_event(message={"n": number})
        await store.put([event])
        assert await store.get(event.uuid) == event.record
        seen.append(event.record)

    async def read() -> None:
        for _ in range(20):
            known = set(seen)
            assert known <= set(await find_all(store))
            assert known <= set(records_of(await tail_all(store)))

    await asyncio.gather(read(), *(write(number) for number in range(150)))


async def test_closing_waits_for_what_is_in_flight(store: EventStore) -> None:
    """Puts that were under way when the store closes get their outcome."""
    twin = make_event()
    tasks = [asyncio.create_task(store.put([twin, make_event(), twin])) for _ in range(20)]
    await asyncio.sleep(0)
    await store.__aexit__(None, None, None)
    answers = await asyncio.gather(*tasks)
    assert [[outcome.status for outcome in answer][1:] for answer in answers] == [
        [Status.STORED, Status.DUPLICATE]
    ] * 20
