"""Real servers for all tests: one of each kind a run, started when the first test asks for it."""

from collections.abc import Iterator
from uuid import uuid4

import pytest

from servers.elasticsearch import Elasticsearch
from servers.elasticsearch import elasticsearch as choose_elasticsearch


@pytest.fixture(scope="session")
def elasticsearch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Elasticsearch]:
    """Return the real Elasticsearch of this run; a test that also asks for `prefix` finds it well."""
    with choose_elasticsearch(tmp_path_factory.mktemp("elasticsearch")) as server:
        yield server


@pytest.fixture
def prefix(elasticsearch: Elasticsearch) -> Iterator[str]:
    """Return what the names of this test's indices and templates begin with; they are removed after it."""
    prefix = f"test-{uuid4().hex[:12]}"
    elasticsearch.heal()
    yield prefix
    elasticsearch.heal()
    elasticsearch.remove(prefix)
