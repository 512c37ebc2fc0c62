"""Claims whose outcome nobody told: found out by a serial read, never guessed."""

import asyncio
import time

import pytest

from backends.base import Outcome, Status
from backends.cassandra import CassandraStore
from backends.errors import StoreUnavailable
from servers.faulty_cql_proxy import OVERLOADED, Fault, FaultyCqlProxy, Rule, is_claim
from support.cassandra import counted
from support.elasticsearch import put_until_taken
from support.events import make_event, records_of
from support.paging import find_all, tail_all
from tests.backends.cassandra.conftest import MakeStore

STORED = [Outcome(Status.STORED)]
DONE = [Fault.TIME_OUT, Fault.CUT, Fault.HANG]
"""What hides that the claim was made."""


@pytest.mark.parametrize("fault", DONE)
async def test_a_claim_that_was_made_is_found(store: CassandraStore, proxy: FaultyCqlProxy, fault: Fault) -> None:
    """The put is answered with what is true: stored; and the list has it once."""
    event = make_event()
    await store.put([make_event()])
    proxy.fail(Rule(is_claim, fault, times=1))
    assert await store.put([event]) == STORED
    assert counted(store)["unknown_total"] == 1
    assert await store.get(event.uuid) == event.record
    assert (await find_all(store)).count(event.record) == 1
    assert records_of(await tail_all(store)).count(event.record) == 1


@pytest.mark.parametrize("fault", DONE)
async def test_a_claim_of_somebody_else_is_found_by_it(
    store: CassandraStore, proxy: FaultyCqlProxy, make: MakeStore, fault: Fault
) -> None:
    """Equal content is a duplicate and other content a conflict, though the answer that said so was lost."""
    first = make_event(message={"n": 1})
    async with make() as other:
        assert await other.put([first]) == STORED
    proxy.fail(Rule(is_claim, fault, times=1))
    assert await store.put([first]) == [Outcome(Status.DUPLICATE, first.record)]
    proxy.fail(Rule(is_claim, fault, times=1))
    assert await store.put([make_event(first.uuid, message={"n": 2})]) == [Outcome(Status.CONFLICT, first.record)]
    assert counted(store)["unknown_total"] == 2
    assert await store.get(first.uuid) == first.record


@pytest.mark.parametrize("rule", [Rule(is_claim, Fault.LOSE, times=1), Rule(is_claim, Fault.ANSWER, times=1)])
async def test_a_claim_that_was_not_made_is_not_acknowledged(
    store: CassandraStore, proxy: FaultyCqlProxy, rule: Rule
) -> None:
    """Its rows are there and not shown; put again it is stored, and in each list once."""
    event = make_event()
    await store.put([make_event()])
    proxy.fail(rule)
    with pytest.raises(StoreUnavailable):
        await store.put([event])
    assert await store.get(event.uuid) is None
    assert event.record not in await find_all(store)
    assert await store.put([event]) == STORED
    assert (await find_all(store)).count(event.record) == 1


async def test_it_is_read_serially(store: CassandraStore, proxy: FaultyCqlProxy) -> None:
    """By a read that also fails, nothing is known: the put fails, and is not taken for stored or not stored."""
    event = make_event()
    await store.put([make_event()])
    proxy.mend()
    proxy.fail(Rule(lambda text: is_claim(text) or text.startswith("SELECT smrtlink_id"), Fault.TIME_OUT))
    with pytest.raises(StoreUnavailable):
        await store.put([event])
    kinds = [text.split()[0] for text in proxy.statements if "claims" in text]
    assert kinds == ["INSERT", "SELECT"]
    proxy.mend()
    # It was made before its answer was lost.
    assert await store.put([event]) == [Outcome(Status.DUPLICATE, event.record)]


async def test_a_claim_is_sent_once(store: CassandraStore, proxy: FaultyCqlProxy) -> None:
    """Neither the driver nor the store sends it again by itself, without knowing what became of it."""
    await store.put([make_event()])
    proxy.mend()
    proxy.fail(Rule(is_claim, Fault.ANSWER, error=(OVERLOADED, "by the test")))
    with pytest.raises(StoreUnavailable):
        await store.put([make_event()])
    assert sum(map(is_claim, proxy.statements)) == 1


async def test_the_time_limit_holds_whatever_is_unknown(make: MakeStore, proxy: FaultyCqlProxy) -> None:
    """A put is answered in time, though neither claim nor read is."""
    async with make(timeout=2.0) as store:
        await store.put([make_event()])
        proxy.fail(Rule(lambda text: "claims" in text, Fault.LOSE))
        began = time.monotonic()
        with pytest.raises(StoreUnavailable):
            await store.put([make_event()])
        assert 1.0 < time.monotonic() - began < 3.5
        proxy.mend()
        await put_until_taken(store, make_event())


async def test_many_unknown_at_once(store: CassandraStore, proxy: FaultyCqlProxy) -> None:
    """Each is resolved by itself; nothing acknowledged is missing from any list, nothing is there twice."""
    events = [make_event(message={"n": number}) for number in range(200)]
    await store.put([make_event()])
    proxy.fail(Rule(is_claim, Fault.TIME_OUT, times=100))
    assert await asyncio.gather(*(store.put([event]) for event in events)) == [STORED] * 200
    assert counted(store)["unknown_total"] == 100
    listed = await find_all(store)
    assert len(listed) == len(set(listed)) == 201


async def test_fifty_puts_of_one_uuid_over_two_stores(store: CassandraStore, make: MakeStore) -> None:
    """One is stored, and all others are told what it was, also those whose claims went to Cassandra."""
    async with make() as other:
        for _ in range(5):
            uuid = make_event().uuid
            events = [make_event(uuid, message={"n": number % 2}) for number in range(50)]
            outcomes = await asyncio.gather(
                *((store, other)[number % 2].put([event]) for number, event in enumerate(events))
            )
            winner = await store.get(uuid)
            statuses = [outcome.status for (outcome,) in outcomes]
            assert statuses.count(Status.STORED) == 1
            assert events[statuses.index(Status.STORED)].record == winner
            for event, (outcome,) in zip(events, outcomes, strict=True):
                if outcome.status is not Status.STORED:
                    assert outcome.record == winner
                    same = event.record == winner
                    assert outcome.status is (Status.DUPLICATE if same else Status.CONFLICT)
