"""The store that the contract suite runs on, once for each backend."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import pytest

from backends.base import EventStore
from servers.cassandra import Cassandra
from servers.elasticsearch import Elasticsearch
from servers.faulty_cql_proxy import FaultyCqlProxy
from servers.faulty_proxy import FaultyProxy
from support.stores import STORES, CassandraUnderTest, ElasticsearchUnderTest, StoreUnderTest


@pytest.hookimpl(tryfirst=True)  # before those of directories above, which put such tests into groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Say which tests need which server, so that it is there in time: only the parameter of a test tells."""
    for item in items:
        parameters = getattr(getattr(item, "callspec", None), "params", {})
        kind = STORES.get(parameters.get("new_place", ""))
        if isinstance(item, pytest.Function) and kind is not None:
            # A list of its own: the other tests of the function share theirs.
            item.fixturenames = [*item.fixturenames, *kind.server]


@pytest.fixture(scope="session")
def elasticsearch_proxy(elasticsearch: Elasticsearch) -> Iterator[FaultyProxy]:
    """Return the way to the real Elasticsearch that fails when it is told to."""
    with FaultyProxy(elasticsearch.url) as proxy:
        yield proxy
    elasticsearch.remove(ElasticsearchUnderTest.run)


@pytest.fixture(scope="session")
def cassandra_proxy(cassandra: Cassandra) -> Iterator[FaultyCqlProxy]:
    """Return the way to the real Cassandra that fails when it is told to."""
    with FaultyCqlProxy(cassandra.host, cassandra.port) as proxy:
        yield proxy
    for keyspace in CassandraUnderTest.made:
        cassandra.execute(f"DROP KEYSPACE IF EXISTS {keyspace}")


@pytest.fixture(params=sorted(STORES))
def new_place(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[], StoreUnderTest]]:
    """Make a new, empty place for events; the one before is not needed any more."""
    kind = STORES[request.param]
    server = tuple(map(request.getfixturevalue, kind.server))
    places: list[StoreUnderTest] = []

    def make() -> StoreUnderTest:
        remove()
        places.append(kind(tmp_path_factory.mktemp("root"), server))
        return places[-1]

    def remove() -> None:
        while places:
            places.pop().remove()

    yield make
    remove()


@pytest.fixture
def place(new_place: Callable[[], StoreUnderTest]) -> StoreUnderTest:
    """Where this test's events are kept."""
    return new_place()


class _Opened:
    """The store that is open now."""

    def __init__(self, place: StoreUnderTest) -> None:
        self._place = place
        self.store = place.make()

    async def reopen(self) -> EventStore:
        await self.store.__aexit__(None, None, None)
        self.store = self._place.make()
        return await self.store.__aenter__()


@pytest.fixture
async def opened(place: StoreUnderTest) -> AsyncIterator[_Opened]:
    """Keep a store open for the time of the test."""
    opened = _Opened(place)
    await opened.store.__aenter__()
    yield opened
    place.mend()
    await opened.store.__aexit__(None, None, None)


@pytest.fixture
def store(opened: _Opened) -> EventStore:
    """An open store, empty."""
    return opened.store


@pytest.fixture
def reopen(opened: _Opened) -> Callable[[], Awaitable[EventStore]]:
    """Close the store, and return a new one that is open on the same events."""
    return opened.reopen
