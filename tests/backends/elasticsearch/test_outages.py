"""What a store says when Elasticsearch refuses, hangs, is overloaded or is not there; and that it says so in time."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from backends.base import Outcome, Query, Status
from backends.elasticsearch import ElasticsearchStore
from backends.errors import StorageFull, StoreUnavailable
from servers.elasticsearch import Elasticsearch
from servers.faulty_proxy import Fault, FaultyProxy, Rule, is_write
from servers.ports import free_port
from support.elasticsearch import EVENT_TYPES, FIRST, OTHER, MakeStore, counted, put_until_taken
from support.events import make_event, new_uuid
from support.paging import find_all, tail_all

CALLS: dict[str, Callable[[ElasticsearchStore], Awaitable[Any]]] = {
    "put": lambda store: store.put([make_event()]),
    "get": lambda store: store.get(new_uuid()),
    "find": lambda store: store.find(Query(), limit=10, max_bytes=1000),
    "tail": tail_all,
    "ping": lambda store: store.ping(),
}
ANY = lambda _method, _path: True  # noqa: E731


def error(kind: str, reason: str = "by the test") -> dict[str, Any]:
    """Return the body of an error, as Elasticsearch answers it."""
    return {"error": {"type": kind, "reason": reason}, "status": 0}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (401, error("security_exception"), "refuses the credentials of the store URL"),
        (403, error("security_exception", "action [x] is unauthorized"), r"does not allow this .* unauthorized"),
        (400, error("illegal_argument_exception"), "answered 400 illegal_argument_exception: by the test"),
        (500, "a proxy's page", "answered 500"),
    ],
)
async def test_what_time_does_not_mend_is_said_at_once(
    store: ElasticsearchStore,
    proxy: FaultyProxy,
    call: Callable[[ElasticsearchStore], Awaitable[Any]],
    status: int,
    body: Any,
    message: str,
) -> None:
    """One attempt, and a sentence that says what is wrong."""
    proxy.mend()
    proxy.fail(Rule(ANY, Fault.ANSWER, status=status, body=body))
    with pytest.raises(StoreUnavailable, match=message):
        await call(store)
    assert len(proxy.requests) == 1


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
@pytest.mark.parametrize("status", [429, 502, 503, 504])
async def test_an_overload_that_passes_is_not_noticed(
    store: ElasticsearchStore, proxy: FaultyProxy, call: Callable[[ElasticsearchStore], Awaitable[Any]], status: int
) -> None:
    """The call is tried again, after longer and longer pauses."""
    proxy.fail(Rule(ANY, Fault.ANSWER, status=status, body=error("es_rejected_execution_exception"), times=3))
    started = time.monotonic()
    await call(store)
    assert time.monotonic() - started > (0.02 + 0.04 + 0.08) / 2
    assert counted(store)["retries_total"] == 3


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
@pytest.mark.parametrize(
    "rule", [Rule(ANY, Fault.ANSWER, status=429), Rule(ANY, Fault.HANG), Rule(ANY, Fault.LOSE)], ids=lambda r: r.fault
)
async def test_no_call_takes_longer_than_the_time_limit(
    make: MakeStore, proxy: FaultyProxy, call: Callable[[ElasticsearchStore], Awaitable[Any]], rule: Rule
) -> None:
    """Many at once, however Elasticsearch is away; and afterwards everything works."""
    async with make(timeout=0.6) as store:
        await store.prepare(EVENT_TYPES)
        proxy.fail(rule)
        started = time.monotonic()
        answers = await asyncio.gather(*(call(store) for _ in range(30)), return_exceptions=True)
        assert all(isinstance(answer, StoreUnavailable) for answer in answers)
        assert time.monotonic() - started < 1.5
        proxy.mend()
        await put_until_taken(store, make_event())


async def test_connections_that_are_refused_fail_soon(store: ElasticsearchStore, proxy: FaultyProxy) -> None:
    """A server that is not there is not waited for until the time limit: others may take the event."""
    proxy.refuse()
    started = time.monotonic()
    for call in CALLS.values():
        with pytest.raises(StoreUnavailable, match="no connection to Elasticsearch"):
            await call(store)
    assert time.monotonic() - started < 3


def bulk_answer(claim: dict[str, Any], event: dict[str, Any]) -> dict[str, Any]:
    """Return what a ``_bulk`` call of one event is answered."""
    return {"errors": True, "items": [{"create": claim}, {"create": event}]}


DONE = {"status": 201}
BUSY = {"status": 429, "error": {"type": "es_rejected_execution_exception", "reason": "queue"}}
AWAY = {"status": 503, "error": {"type": "unavailable_shards_exception", "reason": "primary shard is not active"}}
FLOOD = {
    "status": 429,
    "error": {
        "type": "cluster_block_exception",
        "reason": "index [x] blocked by: [TOO_MANY_REQUESTS/12/disk usage exceeded flood-stage watermark, index has"
        " read-only-allow-delete block];",
    },
}
BLOCKED = {
    "status": 403,
    "error": {"type": "cluster_block_exception", "reason": "index [x] blocked by: [FORBIDDEN/8/index write (api)];"},
}


@pytest.mark.parametrize(("claim", "event"), [(BUSY, DONE), (DONE, BUSY), (AWAY, BUSY), (BUSY, AWAY)])
async def test_an_item_that_was_not_done_is_sent_again(
    store: ElasticsearchStore, proxy: FaultyProxy, claim: dict[str, Any], event: dict[str, Any]
) -> None:
    """An answer of 200 says nothing: each item is looked at."""
    put = make_event()
    proxy.fail(Rule(lambda _, path: "_bulk" in path, Fault.ANSWER, status=200, body=bulk_answer(claim, event), times=2))
    assert await store.put([put]) == [Outcome(Status.STORED)]
    assert await store.get(put.uuid) == put.record
    assert await find_all(store) == [put.record]


@pytest.mark.parametrize(
    ("claim", "event", "kind"),
    [
        (FLOOD, DONE, StorageFull),
        (DONE, FLOOD, StorageFull),
        (BLOCKED, DONE, StoreUnavailable),
        (DONE, BLOCKED, StoreUnavailable),
    ],
)
async def test_an_item_that_was_refused_fails_its_event(
    store: ElasticsearchStore,
    proxy: FaultyProxy,
    claim: dict[str, Any],
    event: dict[str, Any],
    kind: type[Exception],
) -> None:
    """A disk at its flood stage is a full store; what an operator blocked is not."""
    proxy.fail(Rule(lambda _, path: "_bulk" in path, Fault.ANSWER, status=200, body=bulk_answer(claim, event)))
    with pytest.raises(kind):
        await store.put([make_event()])


async def test_a_request_that_is_too_large_is_parted(store: ElasticsearchStore, proxy: FaultyProxy) -> None:
    """Until each part is taken; all events are stored, in their order of arrival."""
    events = [make_event(message="x" * 1000) for _ in range(40)]
    proxy.fail(Rule(is_write, Fault.ANSWER, status=413, least_bytes=10_000))
    assert await store.put(events) == [Outcome(Status.STORED)] * 40
    assert await tail_all(store) == events


async def test_an_event_that_no_request_can_hold_says_what_to_change(
    store: ElasticsearchStore, proxy: FaultyProxy
) -> None:
    """The others of its put are stored."""
    events = [make_event(), make_event(message="x" * 20_000), make_event()]
    proxy.fail(Rule(is_write, Fault.ANSWER, status=413, least_bytes=10_000))
    statuses = [outcome.status for outcome in await store.put(events)]
    assert statuses == [Status.STORED, Status.UNAVAILABLE, Status.STORED]
    with pytest.raises(StoreUnavailable, match=r"http\.max_content_length"):
        await store.put([events[1]])


@pytest.fixture
def make_red_index(elasticsearch: Elasticsearch, prefix: str) -> Iterator[Callable[[], None]]:
    """Make an index of events that no node may have; it is gone before anybody asks whether the server is well."""
    nowhere = {"index.routing.allocation.require._name": "nowhere", "number_of_replicas": 0}
    body = {"settings": nowhere, "aliases": {prefix: {}, f"{prefix}-{FIRST}-1": {}}}
    path = f"/{prefix}-{FIRST}-1-000001?wait_for_active_shards=0&timeout=1s"
    yield lambda: elasticsearch.request("PUT", path, body)
    elasticsearch.request("DELETE", f"/{prefix}-{FIRST}-1-000001")


async def test_an_index_without_its_shards_is_away(make: MakeStore, make_red_index: Callable[[], None]) -> None:
    """A red index is an error in time, for writing and for reading, never a part of a list."""
    async with make(timeout=1.0) as store:
        await store.prepare({(OTHER, 1): EVENT_TYPES[OTHER, 1]})
        make_red_index()
        started = time.monotonic()
        with pytest.raises(StoreUnavailable):
            await store.put([make_event()])
        with pytest.raises(StoreUnavailable):
            await find_all(store)
        assert time.monotonic() - started < 2.5
        await store.put([make_event(event_type_id=OTHER)])
        with pytest.raises(StoreUnavailable):
            await find_all(store)


async def test_a_host_that_is_gone_is_passed_over(make: MakeStore, proxy: FaultyProxy) -> None:
    """Of several hosts one is enough."""
    hosts = (f"http://127.0.0.1:{free_port()}", proxy.url, f"http://127.0.0.1:{free_port()}")
    async with make(hosts=hosts) as store:
        await store.prepare(EVENT_TYPES)
        for _ in range(10):
            event = make_event()
            assert await store.put([event]) == [Outcome(Status.STORED)]
            assert await store.get(event.uuid) == event.record


@pytest.mark.parametrize(
    ("options", "header"),
    [
        ({"api_key": "VuaCfGcBCdbkQm=="}, b"authorization: apikey vuacfgcbcdbkqm=="),
        ({"user": "me", "password": "pä:ss"}, b"authorization: basic bwu6cmokonnz"),
    ],
    ids=["API key", "user and password"],
)
async def test_each_request_says_who_asks(
    make: MakeStore, proxy: FaultyProxy, options: dict[str, str], header: bytes
) -> None:
    """By an API key, or by user and password."""
    async with make(**options) as store:
        await store.put([make_event()])
        assert proxy.requests
        assert all(header in request.text.lower() for request in proxy.requests)


async def test_a_server_that_is_no_elasticsearch_is_away(make: MakeStore, proxy: FaultyProxy) -> None:
    """Whatever answers on that port."""
    proxy.fail(Rule(ANY, Fault.ANSWER, status=200, body=["hello"], product="nginx"))
    async with make() as store:
        for call in CALLS.values():
            with pytest.raises(StoreUnavailable, match="not Elasticsearch"):
                await call(store)
