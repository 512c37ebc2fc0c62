"""Identity where two servers write, and where one died in the middle."""

import asyncio
from collections import Counter

import pytest

from backends.base import Event, EventStore, Outcome, Query, Status
from backends.elasticsearch import ElasticsearchStore
from backends.elasticsearch.claims import Claims
from backends.errors import StoreUnavailable
from servers.elasticsearch import Elasticsearch
from servers.faulty_proxy import Fault, FaultyProxy, Rule
from support.elasticsearch import EVENT_TYPES, FIRST, OTHER, MakeStore, counted, send
from support.events import as_sent, make_event, new_uuid, records_of
from support.paging import find_all, tail_all


class Raw:
    """The indices of this test, past the store."""

    def __init__(self, server: Elasticsearch, url: str, prefix: str) -> None:
        self._server = server
        self._url = url
        self._prefix = prefix

    def claim(self, uuid: str, event_type_id: str) -> None:
        """Leave a claim without an event, as a server does that dies in the middle."""
        body = {"index": f"{self._prefix}-{event_type_id}-1", "bytes": 1}
        self._server.request("PUT", f"/{self._prefix}-claims/_doc/{uuid}", body)

    def create(self, event: Event) -> None:
        """Create an event without a claim."""
        path = f"/{self._prefix}-{event.event_type_id}-1/_create/{event.uuid}"
        assert send(self._url, "PUT", path, event.record)["result"] == "created"

    def claimed(self, uuid: str) -> str:
        """Return the type whose index is claimed."""
        index: str = self._server.request("GET", f"/{self._prefix}-claims/_doc/{uuid}")["_source"]["index"]
        return index.removeprefix(f"{self._prefix}-").removesuffix("-1")

    def count(self, event_type_id: str) -> int:
        """Return how many documents an index has."""
        self._server.request("POST", f"/{self._prefix}-{event_type_id}-1/_refresh")
        count: int = self._server.request("GET", f"/{self._prefix}-{event_type_id}-1/_count")["count"]
        return count


@pytest.fixture
def raw(elasticsearch: Elasticsearch, proxy: FaultyProxy, prefix: str) -> Raw:
    """Return the indices of this test."""
    return Raw(elasticsearch, proxy.url, prefix)


def rivals(*, event_types: tuple[str, str], content: int) -> list[Event]:
    """Return 50 events of one uuid, by turns of the given types, with so many contents."""
    uuid = new_uuid()
    return [
        make_event(uuid, event_type_id=event_types[number % 2], message={"n": number % content}) for number in range(50)
    ]


@pytest.mark.parametrize(
    ("event_types", "content", "others"),
    [
        ((FIRST, FIRST), 1, Status.DUPLICATE),
        ((FIRST, FIRST), 50, Status.CONFLICT),
        ((FIRST, OTHER), 50, Status.CONFLICT),
    ],
    ids=["equal", "with other content", "under two event types"],
)
async def test_of_puts_split_between_two_servers_one_is_stored(
    make: MakeStore, event_types: tuple[str, str], content: int, others: Status
) -> None:
    """Exactly one of 50 is stored; the others are told which one, and everybody reads that one."""
    async with make(patience=2.0) as first, make(patience=2.0) as second:
        await first.prepare(EVENT_TYPES)
        for _ in range(5):
            events = rivals(event_types=event_types, content=content)
            stores: list[EventStore] = [first, second]
            puts = [stores[number // 2 % 2].put([event]) for number, event in enumerate(events)]
            outcomes = [outcome for (outcome,) in await asyncio.gather(*puts)]
            assert Counter(outcome.status for outcome in outcomes) == {Status.STORED: 1, others: 49}
            (winner,) = [e for e, outcome in zip(events, outcomes, strict=True) if outcome.status is Status.STORED]
            assert {outcome.record for outcome in outcomes} == {None, winner.record}
            for store in stores:
                assert await store.get(winner.uuid) == winner.record
                assert (await find_all(store)).count(winner.record) == 1
        assert len(await find_all(first)) == len(await tail_all(second)) == 5


@pytest.mark.parametrize("fault", [Fault.CUT, Fault.ANSWER], ids=["done and cut off", "answered 503"])
async def test_an_answer_that_got_lost_is_found_out(
    store: ElasticsearchStore, proxy: FaultyProxy, fault: Fault
) -> None:
    """The put is tried again; that it finds its own event makes it stored, not a duplicate."""
    events = [make_event(message={"n": number}) for number in range(5)]
    proxy.fail(Rule(lambda _, path: "_bulk" in path, fault, times=1))
    assert await store.put(events) == [Outcome(Status.STORED)] * 5
    assert await store.put(events) == [Outcome(Status.DUPLICATE, event.record) for event in events]
    assert records_of(await tail_all(store)) == records_of(events)
    assert counted(store)["retries_total"] == 5


async def test_a_put_whose_answer_never_comes_can_be_put_again(make: MakeStore, proxy: FaultyProxy) -> None:
    """It fails in time; the next put is told that the event is there."""
    event = make_event()
    async with make(timeout=0.5) as store:
        await store.prepare(EVENT_TYPES)
        proxy.fail(Rule(lambda _, path: "_bulk" in path, Fault.HANG))
        with pytest.raises(StoreUnavailable, match="not answered in time"):
            await store.put([event])
        proxy.mend()
        assert await store.put([event]) == [Outcome(Status.DUPLICATE, event.record)]


async def test_an_event_of_a_claim_that_was_left_is_stored_and_arrives(store: ElasticsearchStore, raw: Raw) -> None:
    """Who follows the arrivals has passed the claim, and sees the event all the same."""
    left, before = make_event(message={"n": 1}), make_event(message={"n": 0})
    raw.claim(left.uuid, FIRST)
    await store.put([before])
    (arrival,) = [arrival async for arrival in store.tail()]
    assert arrival.event == before
    assert await store.get(left.uuid) is None
    assert await store.put([left]) == [Outcome(Status.STORED)]
    assert await tail_all(store, arrival.token) == [left]
    assert await store.put([left]) == [Outcome(Status.DUPLICATE, left.record)]


async def test_a_claim_of_another_index_is_taken_over_when_nobody_can_use_it_any_more(
    store: ElasticsearchStore, raw: Raw
) -> None:
    """Not before: whoever made it may still be at work. Nothing is left of the attempts before."""
    event = make_event()
    raw.claim(event.uuid, OTHER)
    with pytest.raises(StoreUnavailable, match="claimed"):
        await store.put([event])
    assert raw.count(FIRST) == 0
    await asyncio.sleep(0.4)
    assert await store.put([event]) == [Outcome(Status.STORED)]
    assert raw.claimed(event.uuid) == FIRST
    assert await store.get(event.uuid) == event.record
    assert await find_all(store) == [event.record]
    assert records_of(await tail_all(store)) == [event.record]
    assert counted(store)["claims_taken_over_total"] == 1


async def test_one_event_that_waits_for_a_claim_holds_up_no_other(store: ElasticsearchStore, raw: Raw) -> None:
    """The others of the same put are stored."""
    event = make_event()
    raw.claim(event.uuid, OTHER)
    statuses = [outcome.status for outcome in await store.put([make_event(), event, make_event()])]
    assert statuses == [Status.STORED, Status.UNAVAILABLE, Status.STORED]


async def test_a_claim_is_kept_when_its_event_comes_after_all(store: ElasticsearchStore, raw: Raw) -> None:
    """The late event is there, and the other one is judged against it."""
    late = make_event(event_type_id=OTHER, message={"n": 0})
    event = make_event(late.uuid, message={"n": 1})
    raw.claim(event.uuid, OTHER)
    with pytest.raises(StoreUnavailable):
        await store.put([event])
    raw.create(late)
    await asyncio.sleep(0.4)
    assert await store.put([event]) == [Outcome(Status.CONFLICT, late.record)]
    assert await find_all(store) == [late.record]


async def test_a_claim_is_given_back_when_its_event_came_meanwhile(
    store: ElasticsearchStore, raw: Raw, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who read the late event before the claim was taken over was told the truth."""
    late = make_event(event_type_id=OTHER, message={"n": 0})
    event = make_event(late.uuid, message={"n": 1})
    raw.claim(event.uuid, OTHER)
    with pytest.raises(StoreUnavailable):
        await store.put([event])
    await asyncio.sleep(0.4)
    renew = Claims.renew

    async def renew_and_be_late(self: Claims, *arguments: object) -> None:
        if arguments[0] and not raw.count(OTHER):
            raw.create(late)
        await renew(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Claims, "renew", renew_and_be_late)
    assert await store.put([event]) == [Outcome(Status.CONFLICT, late.record)]
    assert raw.claimed(event.uuid) == OTHER
    assert await store.get(event.uuid) == late.record
    assert await find_all(store) == [late.record]


async def test_an_event_created_in_vain_is_removed(store: ElasticsearchStore, raw: Raw) -> None:
    """Of a conflict between two types nothing is left in the index of the second."""
    winner = make_event(event_type_id=OTHER)
    await store.put([winner])
    assert await store.put([make_event(winner.uuid)]) == [Outcome(Status.CONFLICT, winner.record)]
    assert (raw.count(FIRST), raw.count(OTHER)) == (0, 1)


async def test_an_event_that_another_claim_beats_is_shown_nowhere(store: ElasticsearchStore, raw: Raw) -> None:
    """Left there by a server that died before it removed it."""
    winner = make_event(event_type_id=OTHER)
    await store.put([winner])
    raw.create(make_event(winner.uuid))
    assert await store.get(winner.uuid) == winner.record
    assert await find_all(store) == [winner.record]
    assert await find_all(store, Query(event_type_id=FIRST)) == []
    assert records_of(await tail_all(store)) == [winner.record]


async def test_an_event_without_a_claim_is_read_and_claimed_again(
    store: ElasticsearchStore, elasticsearch: Elasticsearch, prefix: str, raw: Raw
) -> None:
    """Somebody deleted the claims: what is there stays readable, and another content under its uuid is a conflict."""
    event = make_event(message={"n": 0})
    await store.put([event])
    elasticsearch.request("DELETE", f"/{prefix}-claims-000001")
    assert await find_all(store) == [event.record]
    assert await store.get(event.uuid) == event.record
    assert await store.put([make_event(event.uuid, message={"n": 1})]) == [Outcome(Status.CONFLICT, event.record)]
    assert raw.claimed(event.uuid) == FIRST
    assert records_of(await tail_all(store)) == [event.record]


DIGITS = '{"n":' + "7" * 5000 + "}"


async def test_what_can_not_be_indexed_is_kept_as_text_at_its_place(
    store: ElasticsearchStore, elasticsearch: Elasticsearch, prefix: str
) -> None:
    """In the order of its put, found by the same conditions, counted, and found by analysts under a name of its own."""
    events = [make_event(message={"n": 0}), as_sent(DIGITS), as_sent('{"n":1}'), as_sent('{"":{"a..b":1}}')]
    assert await store.put(events) == [Outcome(Status.STORED)] * 4
    assert records_of(await tail_all(store)) == records_of(events)
    assert sorted(await find_all(store, Query(event_type_id=FIRST))) == sorted(records_of(events))
    assert counted(store)["as_is_total"] == 2
    found = elasticsearch.request("GET", f"/{prefix}-asis/_search")["hits"]["hits"]
    assert {hit["_id"] for hit in found} == {events[1].uuid, events[3].uuid}


async def test_identity_holds_for_what_can_not_be_indexed(store: ElasticsearchStore) -> None:
    """It is a duplicate of itself, and a conflict with what can be indexed, whichever came first."""
    for first, second in [(DIGITS, '{"n":1}'), ('{"n":1}', DIGITS)]:
        event = as_sent(first)
        assert await store.put([event]) == [Outcome(Status.STORED)]
        assert await store.put([event]) == [Outcome(Status.DUPLICATE, event.record)]
        assert await store.put([as_sent(second, event.uuid)]) == [Outcome(Status.CONFLICT, event.record)]
        assert await store.get(event.uuid) == event.record


async def test_what_would_exhaust_the_server_is_not_sent_to_be_indexed(store: ElasticsearchStore) -> None:
    """A long key above many values grows beyond all measure in a flattened field."""
    event = as_sent('{"open":{"' + "k" * 10_000 + '":[' + ",".join("1" for _ in range(20_000)) + "]}}")
    assert await store.put([event]) == [Outcome(Status.STORED)]
    assert counted(store)["as_is_total"] == 1
    assert await store.get(event.uuid) == event.record
