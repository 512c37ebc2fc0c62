"""Stores on a real Elasticsearch, with the way to it under the test's control."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import pytest

from backends.elasticsearch import ElasticsearchStore, Options
from servers.elasticsearch import Elasticsearch
from servers.faulty_proxy import FaultyProxy
from support.elasticsearch import EVENT_TYPES, MakeStore


@pytest.fixture(scope="session")
def elasticsearch_proxy(elasticsearch: Elasticsearch) -> Iterator[FaultyProxy]:
    """Return the way to the real Elasticsearch that fails when it is told to."""
    with FaultyProxy(elasticsearch.url) as proxy:
        yield proxy


@pytest.fixture
def proxy(elasticsearch_proxy: FaultyProxy) -> Iterator[FaultyProxy]:
    """Return the same, well before and after the test."""
    elasticsearch_proxy.mend()
    yield elasticsearch_proxy
    elasticsearch_proxy.mend()


@pytest.fixture
def make(proxy: FaultyProxy, prefix: str) -> MakeStore:
    """Make a store on this test's indices, not opened; as many as there are servers."""

    def make(*, patience: float = 0.3, read_only: bool = False, **options: object) -> ElasticsearchStore:
        parsed = Options.parse(f"{proxy.url.replace('http', 'elasticsearch')}/{prefix}", timeout=10)
        return ElasticsearchStore(replace(parsed, **options), patience=patience, read_only=read_only)

    return make


@pytest.fixture
async def store(make: MakeStore) -> AsyncIterator[ElasticsearchStore]:
    """Return an open store, prepared for two types."""
    async with make() as store:
        await store.prepare(EVENT_TYPES)
        yield store
