"""Indices and aliases: created idempotently, by several servers at once, and again when somebody deleted them."""

import asyncio
from typing import Any

import pytest

from backends.base import Outcome, Query, Status
from backends.elasticsearch import ElasticsearchStore
from backends.errors import StoreUnavailable
from servers.elasticsearch import Elasticsearch
from support.elasticsearch import EVENT_TYPES, FIRST, OTHER, MakeStore
from support.events import make_event, records_of
from support.paging import find_all, tail_all


@pytest.fixture
def indices(elasticsearch: Elasticsearch, prefix: str) -> Any:
    """Return, when called, the aliases of each index, all names without this test's prefix."""

    def look() -> dict[str, set[str]]:
        found = elasticsearch.request("GET", f"/{prefix}*/_alias?expand_wildcards=all")
        return {
            index.removeprefix(prefix): {alias.removeprefix(prefix) for alias in details["aliases"]}
            for index, details in found.items()
        }

    return look


ALL = {
    f"-{FIRST}-1-000001": {"", "-asis", f"-{FIRST}-1"},
    f"-{OTHER}-1-000001": {"", "-asis", f"-{OTHER}-1"},
    "-claims-000001": {"-claims"},
}


async def test_several_servers_prepare_at_once(make: MakeStore, indices: Any) -> None:
    """All indices with all aliases, no more and no less, whoever came first."""
    async with make() as first, make() as second, make() as third:
        await asyncio.gather(*(store.prepare(EVENT_TYPES) for store in (first, second, third) for _ in range(3)))
        assert indices() == ALL


async def test_claims_have_no_fields(make: MakeStore, elasticsearch: Elasticsearch, prefix: str) -> None:
    """They are read by their ids: a field that is indexed would cost each event, and be of no use."""
    async with make() as store:
        await store.prepare(EVENT_TYPES)
        await store.put([make_event()])
    (found,) = elasticsearch.request("GET", f"/{prefix}-claims/_mapping").values()
    assert found["mappings"].get("properties", {}) == {}


async def test_puts_create_what_was_not_prepared(make: MakeStore, indices: Any) -> None:
    """The same, by many puts at once, each of which is stored."""
    async with make() as first, make() as second:
        events = [make_event(event_type_id=(FIRST, OTHER)[number % 2]) for number in range(20)]
        puts = [(first, second)[number // 2 % 2].put([event]) for number, event in enumerate(events)]
        assert await asyncio.gather(*puts) == [[Outcome(Status.STORED)]] * 20
        assert indices() == ALL


async def test_reading_and_opening_create_nothing(make: MakeStore, indices: Any) -> None:
    """A store without events has none."""
    async with make() as store:
        assert await store.get(make_event().uuid) is None
        assert await find_all(store) == []
        assert await tail_all(store) == []
    assert indices() == {}


@pytest.mark.parametrize("name", [FIRST, OTHER, "claims"])
async def test_a_deleted_index_comes_again(
    store: ElasticsearchStore, elasticsearch: Elasticsearch, prefix: str, indices: Any, name: str
) -> None:
    """With its mapping, when the next event is put; a deleted event can be put again."""
    events = [make_event(event_type_id=event_type_id) for event_type_id in (FIRST, OTHER)]
    await store.put(events)
    (index,) = [index for index in indices() if index.startswith(f"-{name}")]
    before = elasticsearch.request("GET", f"/{prefix}{index}/_mapping")
    elasticsearch.request("DELETE", f"/{prefix}{index}")
    more = [make_event(event_type_id=event_type_id) for event_type_id in (FIRST, OTHER)]
    assert await store.put(more) == [Outcome(Status.STORED)] * 2
    assert indices() == ALL
    assert elasticsearch.request("GET", f"/{prefix}{index}/_mapping") == before
    outcomes = [outcome.status for outcome in await store.put(events)]
    assert outcomes == [Status.STORED if event.event_type_id == name else Status.DUPLICATE for event in events]
    assert sorted(await find_all(store)) == sorted(records_of([*events, *more]))


@pytest.mark.parametrize("alias", ["", "-asis", f"-{FIRST}-1", f"-{OTHER}-1", "-claims"])
async def test_a_deleted_alias_comes_again(
    store: ElasticsearchStore, elasticsearch: Elasticsearch, prefix: str, indices: Any, alias: str
) -> None:
    """When it is needed: by writing or by reading; what is there is found all the same, and nothing is stored twice."""
    events = [make_event(event_type_id=event_type_id) for event_type_id in (FIRST, OTHER)]
    await store.put(events)

    def delete() -> None:
        elasticsearch.request("DELETE", f"/{prefix}-*/_alias/{prefix}{alias}")

    delete()
    assert sorted(await find_all(store)) == sorted(records_of(events))
    delete_again = alias not in {"-asis", f"-{FIRST}-1", f"-{OTHER}-1"}
    if delete_again:
        delete()
    assert records_of(await tail_all(store)) == records_of(events)
    assert [await store.get(event.uuid) for event in events] == records_of(events)
    if delete_again and alias == "-claims":
        delete()
    assert [outcome.status for outcome in await store.put(events)] == [Status.DUPLICATE] * 2
    await store.prepare(EVENT_TYPES)
    assert indices() == ALL


async def test_a_widened_schema_is_indexed_from_then_on(
    store: ElasticsearchStore, elasticsearch: Elasticsearch, prefix: str
) -> None:
    """Also by a server that has the old schema, and what is there stays."""
    await store.put([make_event(message={"n": 1, "colour": "red"})])
    properties = {"n": {"type": "integer"}, "open": {"type": "object"}, "colour": {"enum": ["red", "blue"]}}
    await store.prepare({(FIRST, 1): {"type": "object", "properties": properties}})
    await store.put([make_event(message={"n": 2, "colour": "blue"})])
    elasticsearch.request("POST", f"/{prefix}/_refresh")
    for name, value, count in (("colour", "blue", 1), ("n", 1, 1)):
        query = {"query": {"term": {f"message.{name}": value}}}
        assert elasticsearch.request("GET", f"/{prefix}/_count", query)["count"] == count


async def test_the_options_of_the_url_are_those_of_the_indices(
    make: MakeStore, elasticsearch: Elasticsearch, prefix: str
) -> None:
    """Shards and refresh interval of events, copies of everything; the claims have one shard, always."""
    async with make(shards=3, replicas=0, refresh_interval="7s") as store:
        await store.prepare(EVENT_TYPES)
        events = [make_event(message={"n": number}) for number in range(30)]
        assert await store.put(events) == [Outcome(Status.STORED)] * 30
        assert await tail_all(store) == events
        assert sorted(await find_all(store, Query(descending=True))) == sorted(records_of(events))
    for index, shards in ((f"{prefix}-{FIRST}-1-000001", "3"), (f"{prefix}-claims-000001", "1")):
        settings = elasticsearch.request("GET", f"/{index}/_settings")[index]["settings"]["index"]
        assert (settings["number_of_shards"], settings["number_of_replicas"]) == (shards, "0")
        assert settings["translog"] == {"durability": "request"}
        assert settings["refresh_interval"] == "7s"


async def test_a_store_that_is_opened_for_reading_changes_nothing(store: ElasticsearchStore, make: MakeStore) -> None:
    """It reads what others store."""
    event = make_event()
    await store.put([event])
    async with make(read_only=True) as reading:
        assert await reading.get(event.uuid) == event.record
        assert await find_all(reading) == [event.record]
        with pytest.raises(StoreUnavailable, match="reading only"):
            await reading.put([make_event()])
        with pytest.raises(StoreUnavailable, match="reading only"):
            await reading.prepare(EVENT_TYPES)
