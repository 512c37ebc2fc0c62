"""What is shared: ``_bulk`` calls by those who write, refreshes by those who read."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from backends.base import Outcome, Query, Status
from backends.elasticsearch import ElasticsearchStore
from backends.elasticsearch.refreshing import Refresher
from backends.errors import StoreUnavailable
from servers.faulty_proxy import FaultyProxy
from support.elasticsearch import EVENT_TYPES, MakeStore
from support.events import make_event

STORED = [Outcome(Status.STORED)]


def bulks(proxy: FaultyProxy) -> list[int]:
    """Return how many events each ``_bulk`` call had."""
    return [request.text.count(b'"@crc"') for request in proxy.requests if "_bulk" in request.path]


@pytest.fixture
async def bounded(make: MakeStore) -> AsyncIterator[ElasticsearchStore]:
    """Return a store whose calls hold ten events, or 8 kB of them."""
    async with make(bulk_events=10, bulk_bytes=8000, bulk_calls=2) as store:
        await store.prepare(EVENT_TYPES)
        yield store


async def test_puts_of_one_turn_go_together(store: ElasticsearchStore, proxy: FaultyProxy) -> None:
    """Two hundred at once take one call."""
    proxy.mend()
    assert await asyncio.gather(*(store.put([make_event()]) for _ in range(200))) == [STORED] * 200
    assert bulks(proxy) == [200]


async def test_one_put_alone_waits_for_nobody(store: ElasticsearchStore, proxy: FaultyProxy) -> None:
    """It has a call of its own."""
    proxy.mend()
    for _ in range(3):
        assert await store.put([make_event()]) == STORED
    assert bulks(proxy) == [1, 1, 1]


async def test_puts_that_come_meanwhile_share_the_next_call(store: ElasticsearchStore, proxy: FaultyProxy) -> None:
    """While the calls are taken, all others gather."""
    proxy.mend()

    async def put(number: int) -> list[Outcome]:
        await asyncio.sleep(number / 20_000)
        return await store.put([make_event()])

    assert await asyncio.gather(*(put(number) for number in range(400))) == [STORED] * 400
    assert sum(bulks(proxy)) == 400
    assert len(bulks(proxy)) < 100


@pytest.mark.parametrize(("size", "most"), [(10, 10), (3000, 2), (9000, 1)])
async def test_a_call_is_bounded(bounded: ElasticsearchStore, proxy: FaultyProxy, size: int, most: int) -> None:
    """By events and by bytes, for single puts and for a put of many; one event of any size goes."""
    proxy.mend()
    events = [make_event(message="x" * size) for _ in range(25)]
    assert await bounded.put(events[:13]) == STORED * 13
    assert await asyncio.gather(*(bounded.put([event]) for event in events[13:])) == [STORED] * 12
    assert sum(bulks(proxy)) == 25
    assert max(bulks(proxy)) == most


async def test_a_bounded_number_of_calls_is_under_way(
    bounded: ElasticsearchStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many events wait."""
    under_way, most = 0, 0
    send = bounded._bulk.send

    async def counted(units: Sequence[bytes], actions: int, *, deadline: float) -> object:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        try:
            return await send(units, actions, deadline=deadline)
        finally:
            under_way -= 1

    monkeypatch.setattr(bounded._bulk, "send", counted)
    assert await asyncio.gather(*(bounded.put([make_event()]) for _ in range(200))) == [STORED] * 200
    assert most == 2


async def test_readers_share_a_refresh(store: ElasticsearchStore, proxy: FaultyProxy) -> None:
    """Fifty lists at once need no more than two; writing needs none."""
    await asyncio.gather(*(store.put([make_event()]) for _ in range(20)))
    proxy.mend()
    await store.put([make_event()])
    assert not [request for request in proxy.requests if "_refresh" in request.path]
    await asyncio.gather(*(store.find(Query(), limit=3, max_bytes=1000) for _ in range(50)))
    assert 1 <= len([request for request in proxy.requests if "_refresh" in request.path]) <= 2


class Refreshes:
    """Refreshes that last until the test ends them."""

    def __init__(self) -> None:
        self.begun = 0
        self.ends: list[asyncio.Future[None]] = []

    async def __call__(self) -> None:
        """Begin one."""
        self.begun += 1
        self.ends.append(asyncio.get_running_loop().create_future())
        await self.ends[-1]


async def _turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_a_reader_never_takes_a_refresh_that_began_before_it_came() -> None:
    """One is under way and one waits, whoever comes; each ends with a refresh that began after it came."""
    refreshes = Refreshes()
    refresher = Refresher(refreshes)
    first = asyncio.create_task(refresher.wait())
    await _turns()
    later = [asyncio.create_task(refresher.wait()) for _ in range(5)]
    await _turns()
    assert refreshes.begun == 1
    refreshes.ends[0].set_result(None)
    await first
    await _turns()
    assert refreshes.begun == 2
    assert not any(task.done() for task in later)
    last = asyncio.create_task(refresher.wait())
    await _turns()
    refreshes.ends[1].set_result(None)
    await asyncio.gather(*later)
    assert not last.done()
    await _turns()
    refreshes.ends[2].set_result(None)
    await last
    assert refreshes.begun == 3


async def test_a_refresh_that_fails_fails_its_readers_and_no_others() -> None:
    """The next one is a new attempt; a reader that is cancelled takes it from nobody."""
    refreshes = Refreshes()
    refresher = Refresher(refreshes)
    first = asyncio.create_task(refresher.wait())
    await _turns()
    cancelled, kept = (asyncio.create_task(refresher.wait()) for _ in range(2))
    await _turns()
    cancelled.cancel()
    refreshes.ends[0].set_exception(StoreUnavailable("by the test"))
    with pytest.raises(StoreUnavailable):
        await first
    await _turns()
    refreshes.ends[1].set_result(None)
    await kept
