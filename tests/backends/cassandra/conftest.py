"""Stores on a real Cassandra, with the way to it under the test's control."""

from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace

import pytest
from cassandra.cluster import Session

from backends.cassandra import CassandraStore, Options
from servers.cassandra import Cassandra
from servers.faulty_cql_proxy import FaultyCqlProxy
from support.cassandra import connected

MakeStore = Callable[..., CassandraStore]


@pytest.fixture(scope="session")
def cassandra_proxy(cassandra: Cassandra) -> Iterator[FaultyCqlProxy]:
    """Return the way to the real Cassandra that fails when it is told to."""
    with FaultyCqlProxy(cassandra.host, cassandra.port) as proxy:
        yield proxy


@pytest.fixture
def proxy(cassandra_proxy: FaultyCqlProxy) -> Iterator[FaultyCqlProxy]:
    """Return the same, well before and after the test."""
    cassandra_proxy.mend()
    yield cassandra_proxy
    cassandra_proxy.mend()


@pytest.fixture(scope="session")
def session(cassandra: Cassandra) -> Iterator[Session]:
    """Return a way past the store."""
    with connected(cassandra.url) as session:
        yield session


@pytest.fixture
def make(proxy: FaultyCqlProxy, keyspace: str) -> MakeStore:
    """Make a store on this test's keyspace, not opened; as many as there are servers."""

    def make(*, patience: float = 0.3, read_only: bool = False, **options: object) -> CassandraStore:
        parsed = Options.parse(f"{proxy.url}/{keyspace}", timeout=10)
        return CassandraStore(replace(parsed, **options), patience=patience, read_only=read_only)

    return make


@pytest.fixture
async def store(make: MakeStore) -> AsyncIterator[CassandraStore]:
    """Return an open store."""
    async with make() as store:
        yield store
