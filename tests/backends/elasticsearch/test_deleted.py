"""What somebody deletes while servers are at work, or between two runs: it comes again, and identity holds."""

import asyncio
import time
from collections import Counter
from typing import Any

import pytest

from backends.base import Event, Outcome, Status
from backends.elasticsearch import ElasticsearchStore, rebuilding
from backends.errors import StoreUnavailable
from backends.record import original_of
from servers.elasticsearch import Elasticsearch
from servers.faulty_proxy import Fault, FaultyProxy, Rule
from support.elasticsearch import EVENT_TYPES, FIRST, OTHER, MakeStore, put_until_taken, send
from support.events import make_event, new_uuid, records_of, respelt
from support.paging import find_all, tail_all


@pytest.fixture
def delete(elasticsearch: Elasticsearch, prefix: str) -> Any:
    """Delete an index of this test, by its name without prefix and number."""

    def delete(name: str) -> None:
        elasticsearch.request("DELETE", f"/{prefix}-{name}-000001")

    return delete


def received(number: int, **how: Any) -> Event:
    """Return an event that came at that second."""
    event = make_event(message={"n": number}, **how)
    return respelt(event, original_of(event.record), f"2026-11-24T11:{number // 60:02}:{number % 60:02}.000000Z")


def rival_of(event: Event) -> Event:
    """Return an event of the same uuid under the other type."""
    return make_event(event.uuid, event_type_id=OTHER if event.event_type_id == FIRST else FIRST, message={"n": -1})


@pytest.mark.parametrize("when", ["while serving", "between two runs"])
async def test_deleted_claims_are_made_again_before_any_put_is_judged(
    make: MakeStore, delete: Any, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """The same uuid under another type is the conflict that it was; arrivals come in their order, more than a page."""
    monkeypatch.setattr(rebuilding, "PAGE", 7)
    events = [received(number, event_type_id=(FIRST, OTHER)[number % 2]) for number in range(30)]
    async with make() as store:
        await store.prepare(EVENT_TYPES)
        await store.put(events)
        delete("claims")
        if when == "while serving":
            outcomes = await store.put([rival_of(event) for event in events])
            assert outcomes == [Outcome(Status.CONFLICT, event.record) for event in events]
    async with make() as store:
        await store.prepare(EVENT_TYPES)
        assert records_of(await tail_all(store)) == records_of(events)
        outcomes = await store.put([rival_of(event) for event in events])
        assert outcomes == [Outcome(Status.CONFLICT, event.record) for event in events]
        assert [await store.get(event.uuid) for event in events] == records_of(events)
        assert sorted(await find_all(store)) == sorted(records_of(events))
        assert records_of(await tail_all(store)) == records_of(events)


async def test_several_servers_make_the_claims_again_at_once(make: MakeStore, delete: Any) -> None:
    """Under load of both types on each uuid: one is stored, all are told the same, and the old ones stay."""
    async with make() as first, make() as second, make() as third:
        stores = (first, second, third)
        for store in stores:
            await store.prepare(EVENT_TYPES)
        old = [received(number) for number in range(20)]
        await first.put(old)
        uuids = [new_uuid() for _ in range(20)]
        delete("claims")
        puts = [
            stores[number % 3].put([make_event(uuid, event_type_id=(FIRST, OTHER)[number % 2], message={"n": number})])
            for uuid in uuids
            for number in range(6)
        ]
        puts += [store.put([rival_of(event)]) for event in old for store in stores]
        outcomes = [outcome for (outcome,) in await asyncio.gather(*puts)]
        for number in range(len(uuids)):
            assert Counter(each.status for each in outcomes[number * 6 : number * 6 + 6])[Status.STORED] == 1
        for number, event in enumerate(old):
            expected = [Outcome(Status.CONFLICT, event.record)] * 3
            assert outcomes[120 + number * 3 : 123 + number * 3] == expected
        found = await find_all(second)
        assert len(found) == len(set(found)) == 40
        assert [await third.get(event.uuid) for event in old] == records_of(old)
        assert len(await tail_all(first)) == 40


async def test_claims_that_a_server_left_half_made_are_not_used(
    make: MakeStore, delete: Any, elasticsearch: Elasticsearch, prefix: str, proxy: FaultyProxy
) -> None:
    """It was killed while it made them again; reading does not take them for whole, and the next server goes on."""
    events = [received(number) for number in range(10)]
    async with make(timeout=1.0) as store:
        await store.prepare(EVENT_TYPES)
        await store.put(events)
        delete("claims")
        proxy.fail(Rule(lambda method, path: method == "PUT" and "_mapping" in path, Fault.LOSE))
        with pytest.raises(StoreUnavailable):
            await store.put([rival_of(events[0])])
    proxy.mend()
    elasticsearch.request("DELETE", f"/{prefix}-claims-000001/_doc/{events[3].uuid}")
    async with make() as store:
        assert len(await find_all(store)) >= 10
        assert await store.put([rival_of(events[3])]) == [Outcome(Status.CONFLICT, events[3].record)]
        assert sorted(await find_all(store)) == sorted(records_of(events))


@pytest.mark.parametrize("claims_are_there", [True, False], ids=["with claims", "without claims"])
async def test_what_was_acknowledged_is_read_at_once_also_without_claims(
    make: MakeStore, delete: Any, *, claims_are_there: bool
) -> None:
    """Before any refresh, and before the claims are there again."""
    async with make(refresh_interval="-1", patience=3.0) as store:
        await store.prepare(EVENT_TYPES)
        event = make_event()
        await store.put([event])
        if not claims_are_there:
            delete("claims")
        started = time.monotonic()
        assert await store.get(event.uuid) == event.record
        assert await find_all(store) == [event.record]
        assert time.monotonic() - started < 2


async def test_a_store_for_reading_makes_no_claims(
    make: MakeStore, delete: Any, prefix: str, elasticsearch: Any
) -> None:
    """It reads what is there; arrivals, whose order is that of the claims, it does not have, and says so."""
    event = make_event()
    async with make() as store:
        await store.prepare(EVENT_TYPES)
        await store.put([event])
    delete("claims")
    async with make(read_only=True) as reading:
        assert await reading.get(event.uuid) == event.record
        assert await find_all(reading) == [event.record]
        with pytest.raises(StoreUnavailable, match="claims"):
            await tail_all(reading)
    assert f"{prefix}-claims-000001" not in elasticsearch.request("GET", f"/{prefix}*/_alias")


async def test_a_double_that_a_dead_server_left_does_not_take_the_place_of_the_first(
    store: ElasticsearchStore, delete: Any, proxy: FaultyProxy, prefix: str
) -> None:
    """Without claims, the one that was received first counts, whichever type it has."""
    first, later = received(1, event_type_id=OTHER), received(2)
    later = respelt(later, original_of(later.record).replace(later.uuid.encode(), first.uuid.encode()))
    await store.put([first])
    path = f"/{prefix}-{FIRST}-1/_create/{first.uuid}"
    assert send(proxy.url, "PUT", path, later.record)["result"] == "created"
    delete("claims")
    assert await store.put([make_event(first.uuid, message={"n": 9})]) == [Outcome(Status.CONFLICT, first.record)]
    assert await find_all(store) == [first.record]
    assert await store.get(first.uuid) == first.record


async def test_the_tail_over_a_deleted_index_waits_once(make: MakeStore, delete: Any) -> None:
    """Not once for each piece of claims that have no events any more."""
    async with make(patience=1.0) as store:
        await store.prepare(EVENT_TYPES)
        gone = [make_event() for _ in range(1200)]
        kept = make_event(event_type_id=OTHER)
        await store.put([*gone, kept])
        delete(f"{FIRST}-1")
        started = time.monotonic()
        assert await tail_all(store) == [kept]
        assert time.monotonic() - started < 2.5


@pytest.mark.parametrize("alias", ["", f"-{FIRST}-1"], ids=["of all events", "of one type"])
async def test_an_alias_that_one_index_lacks_hides_nothing(
    store: ElasticsearchStore, elasticsearch: Elasticsearch, prefix: str, alias: str
) -> None:
    """A list is whole, also when only one of the indices behind the alias has lost it."""
    events = [make_event(event_type_id=event_type_id) for event_type_id in (FIRST, OTHER)]
    await store.put(events)
    for _ in range(2):
        elasticsearch.request("DELETE", f"/{prefix}-{FIRST}-1-000001/_alias/{prefix}{alias}")
        assert sorted(await find_all(store)) == sorted(records_of(events))


async def test_an_index_that_was_replaced_stays_so(
    store: ElasticsearchStore, elasticsearch: Elasticsearch, prefix: str
) -> None:
    """Restoring aliases gives none back to the index before; nothing is there twice."""
    event = make_event()
    await store.put([event])
    old, new = f"{prefix}-{FIRST}-1-000001", f"{prefix}-{FIRST}-1-000002"
    elasticsearch.request(
        "PUT", f"/{new}", {"mappings": elasticsearch.request("GET", f"/{old}/_mapping")[old]["mappings"]}
    )
    send(elasticsearch.url, "PUT", f"/{new}/_doc/{event.uuid}?refresh", event.record)
    assert await find_all(store) == [event.record]
    aliases = [prefix, f"{prefix}-asis", f"{prefix}-{FIRST}-1"]
    actions = [{how: {"index": index, "alias": a}} for how, index in (("remove", old), ("add", new)) for a in aliases]
    elasticsearch.request("POST", "/_aliases", {"actions": actions})
    assert await find_all(store) == [event.record]
    elasticsearch.request("DELETE", f"/{new}/_alias/{prefix}")
    assert await find_all(store) == [event.record]
    more = make_event()
    assert await store.put([more, event]) == [Outcome(Status.STORED), Outcome(Status.DUPLICATE, event.record)]
    await store.prepare(EVENT_TYPES)
    assert sorted(await find_all(store)) == sorted(records_of([event, more]))


@pytest.mark.parametrize("alias", ["-claims", f"-{FIRST}-1"])
async def test_restoring_an_alias_holds_no_put_up(
    make: MakeStore, elasticsearch: Elasticsearch, prefix: str, proxy: FaultyProxy, alias: str
) -> None:
    """Where Elasticsearch does not come to it, each put and each read ends by its own time limit."""
    async with make(timeout=1.0) as store:
        await store.prepare(EVENT_TYPES)
        event = make_event()
        await store.put([event])
        elasticsearch.request("DELETE", f"/{prefix}-*/_alias/{prefix}{alias}")
        proxy.fail(Rule(lambda _, path: "_alias" in path, Fault.LOSE))
        calls = [
            store.put([make_event()]),
            store.put([event]),
            store.get(event.uuid),
            find_all(store),
            tail_all(store),
            store.ping(),
        ]
        started = time.monotonic()
        answers = await asyncio.gather(*calls, return_exceptions=True)
        assert time.monotonic() - started < 2
        assert any(isinstance(answer, StoreUnavailable) for answer in answers)
        assert all(isinstance(answer, StoreUnavailable | list | bytes) or answer is None for answer in answers)
        proxy.mend()
        async with asyncio.timeout(35):
            await put_until_taken(store, make_event())
        assert await store.get(event.uuid) == event.record
