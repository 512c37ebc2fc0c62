"""Reading what Elasticsearch can't read now: waited for, then an error; never nothing, and never a part."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest

from backends.base import Event, Query
from backends.elasticsearch import ElasticsearchStore
from backends.errors import StoreUnavailable
from servers.elasticsearch import Elasticsearch
from support.elasticsearch import EVENT_TYPES, FIRST, OTHER, MakeStore, counted, put_until_taken
from support.events import make_event, records_of
from support.paging import find_all, tail_all
from support.spool import until

LIMIT = 1.5
READS: dict[str, Callable[[ElasticsearchStore, Event], Awaitable[Any]]] = {
    "get": lambda store, event: store.get(event.uuid),
    "find": lambda store, _: find_all(store),
    "find by type": lambda store, event: find_all(store, Query(event_type_id=event.event_type_id)),
    "tail": lambda store, _: tail_all(store),
}


class Index:
    """The index of events of this test, or its claims."""

    def __init__(self, server: Elasticsearch, name: str) -> None:
        self._server = server
        self._name = name

    def close(self) -> None:
        """As an operator closes it."""
        self._server.request("POST", f"/{self._name}/_close")

    def open(self) -> None:
        """As an operator opens it again."""
        self._server.request("POST", f"/{self._name}/_open")

    def lose_shards(self) -> None:
        """Let no node start its only copy: it is red."""
        self._start_shards(0)
        self._server.request("POST", f"/{self._name}/_close?wait_for_active_shards=0")
        self._server.request("POST", f"/{self._name}/_open?wait_for_active_shards=0")

    def find_shards(self) -> None:
        """Let it start."""
        self._start_shards(None)

    def _start_shards(self, at_once: int | None) -> None:
        setting = {"cluster.routing.allocation.node_initial_primaries_recoveries": at_once}
        self._server.request("PUT", "/_cluster/settings", {"persistent": setting})


FAULTS = {"closed": (Index.close, Index.open), "without its shards": (Index.lose_shards, Index.find_shards)}


@pytest.fixture
async def short(make: MakeStore) -> AsyncIterator[ElasticsearchStore]:
    """Return a store with a short time limit, prepared."""
    async with make(timeout=LIMIT, replicas=0) as store:
        await store.prepare(EVENT_TYPES)
        yield store


@pytest.fixture(params=[f"{FIRST}-1", "claims"], ids=["events", "claims"])
def index(request: pytest.FixtureRequest, elasticsearch: Elasticsearch, prefix: str) -> Iterator[Index]:
    """Return the index that can't be read; afterwards shards start again, whatever became of the test."""
    index = Index(elasticsearch, f"{prefix}-{request.param}-000001")
    yield index
    index.find_shards()


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
async def test_no_read_gives_nothing_or_a_part(
    short: ElasticsearchStore, index: Index, fault: tuple[Callable[[Index], None], Callable[[Index], None]]
) -> None:
    """Each says in time that it can't; what is put is not stored; and afterwards everything is there, indexed."""
    events = [make_event(message={"n": 1}), make_event(event_type_id=OTHER)]
    await short.put(events)
    broken, mended = fault
    await asyncio.to_thread(broken, index)
    try:
        for read in READS.values():
            started = time.monotonic()
            with pytest.raises(StoreUnavailable):
                await read(short, events[0])
            assert LIMIT * 0.5 < time.monotonic() - started < LIMIT + 1
        late = make_event(message={"n": 2})
        with pytest.raises(StoreUnavailable):
            await short.put([late])
    finally:
        await asyncio.to_thread(mended, index)
    async with asyncio.timeout(20):
        await put_until_taken(short, late)
    assert await short.get(events[0].uuid) == events[0].record
    assert sorted(await find_all(short)) == sorted(records_of([*events, late]))
    assert {event.uuid for event in await tail_all(short)} == {event.uuid for event in (*events, late)}
    assert counted(short)["as_is_total"] == 0


@pytest.mark.parametrize("read", READS.values(), ids=READS.keys())
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
async def test_a_read_waits_until_it_can_be_read(
    store: ElasticsearchStore,
    index: Index,
    read: Callable[[ElasticsearchStore, Event], Awaitable[Any]],
    fault: tuple[Callable[[Index], None], Callable[[Index], None]],
) -> None:
    """Within its time limit: what comes then is whole."""
    event = make_event()
    await store.put([event])
    expected = await read(store, event)
    broken, mended = fault
    await asyncio.to_thread(broken, index)
    reading = asyncio.create_task(read(store, event))
    await asyncio.sleep(0.5)
    assert not reading.done()
    await asyncio.to_thread(mended, index)
    assert await reading == expected


@pytest.mark.timeout(180)
async def test_a_server_that_restarts_forgets_nothing_meanwhile(make: MakeStore, elasticsearch: Elasticsearch) -> None:
    """Killed, and back with its shards one after the other: each read is right, or an error."""
    events = [make_event(event_type_id=(FIRST, OTHER)[number % 2], message={"n": number}) for number in range(50)]
    right: dict[str, int] = dict.fromkeys(READS, 0)
    failed: dict[str, int] = dict.fromkeys(READS, 0)
    async with make(timeout=LIMIT, shards=3) as store:
        await store.prepare(EVENT_TYPES)
        await store.put(events)
        expected = {name: await read(store, events[0]) for name, read in READS.items()}
        ended = asyncio.Event()

        async def keep_reading(name: str) -> None:
            while not ended.is_set():
                try:
                    found = await READS[name](store, events[0])
                except StoreUnavailable:
                    failed[name] += 1
                else:
                    assert found == expected[name]
                    right[name] += 1
                await asyncio.sleep(0.01)

        async def restart() -> None:
            await asyncio.sleep(0.5)
            await asyncio.to_thread(elasticsearch.restart)
            goals = {name: count + 6 for name, count in right.items()}
            await until(lambda: all(right[name] >= goal for name, goal in goals.items()))
            ended.set()

        async with asyncio.TaskGroup() as group:
            for name in READS:
                group.create_task(keep_reading(name))
            group.create_task(restart())
    assert sum(failed.values()) > 0
