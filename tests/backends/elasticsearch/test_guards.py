"""Events that would take the server's memory are kept from their index by the mapping in force, not by the schema."""

import json
from typing import Any, Final

import pytest

from backends.base import Outcome, Status
from backends.elasticsearch import guards
from backends.elasticsearch.mapping.flattening import MAXIMUM_KEY_CHARACTERS
from servers.faulty_proxy import Fault, FaultyProxy, Rule
from support.elasticsearch import FIRST, MakeStore, counted
from support.events import as_sent
from support.paging import find_all

STORED: Final = [Outcome(Status.STORED)]
CLOSED: Final = {"type": "object", "properties": {"n": {"type": "integer"}}}
OPEN: Final = {"type": "object", "properties": {"n": {"type": "integer"}, "open": {"type": "object"}}}


def heavy() -> Any:
    """Return an event whose paths multiply below ``open``; just so much that a server bears some of them."""
    key = "k" * 10_000
    return as_sent(json.dumps({"open": {key: [1] * (MAXIMUM_KEY_CHARACTERS // len(key))}}, separators=(",", ":")))


async def test_a_field_that_another_servers_schema_has_counts(make: MakeStore) -> None:
    """It was there before this server came, with a schema that knows nothing of it."""
    async with make() as other, make() as store:
        await other.prepare({(FIRST, 1): OPEN})
        await store.prepare({(FIRST, 1): CLOSED})
        event = heavy()
        assert await store.put([event]) == STORED
        assert counted(store)["as_is_total"] == 1
        assert await store.get(event.uuid) == event.record
        assert await find_all(store) == [event.record]


async def test_a_field_that_the_index_has_not_does_not_count(make: MakeStore) -> None:
    """What is not indexed costs nothing."""
    async with make() as store:
        await store.prepare({(FIRST, 1): CLOSED})
        assert await store.put([heavy()]) == STORED
        assert counted(store)["as_is_total"] == 0


async def test_a_type_that_was_never_prepared_is_looked_up(make: MakeStore) -> None:
    """Also where its index is not there yet, and will leave all open."""
    async with make() as other, make() as store, make() as third:
        assert await third.put([heavy()]) == STORED
        assert counted(third)["as_is_total"] == 1
        await other.prepare({(FIRST, 1): CLOSED})
        assert await store.put([heavy()]) == STORED
        assert counted(store)["as_is_total"] == 1


async def test_a_field_that_another_server_adds_meanwhile_counts(
    make: MakeStore, monkeypatch: pytest.MonkeyPatch, proxy: FaultyProxy
) -> None:
    """Soon; the mapping is not read for each event, and what is known serves while it can't be read."""
    async with make() as other, make() as store:
        await store.prepare({(FIRST, 1): CLOSED})
        await other.prepare({(FIRST, 1): OPEN})
        proxy.mend()
        for _ in range(3):
            assert await store.put([heavy()]) == STORED
        assert not [request for request in proxy.requests if "_mapping" in request.path]
        assert counted(store)["as_is_total"] == 0
        monkeypatch.setattr(guards, "FRESH_SECONDS", 0.0)
        proxy.fail(Rule(lambda _, path: "_mapping" in path, Fault.LOSE))
        assert await store.put([heavy()]) == STORED
        assert counted(store)["as_is_total"] == 0
        proxy.mend()
        assert await store.put([heavy()]) == STORED
        assert counted(store)["as_is_total"] == 1
