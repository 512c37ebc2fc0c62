"""Real servers for all tests: one of each kind a run, started when the first test asks for it."""

from collections.abc import Iterator
from contextlib import suppress
from uuid import uuid4

import pytest

from servers.elasticsearch import Elasticsearch, prepare
from servers.errors import NoServer


def pytest_collection_finish(session: pytest.Session) -> None:
    """Fetch what a server needs before the tests: they have two minutes each, and a first fetch may take longer."""
    asked = any("elasticsearch" in getattr(item, "fixturenames", ()) for item in session.items)
    if asked and not session.config.option.collectonly:
        # What is missing fails the tests that need it, and no others.
        with suppress(NoServer):
            prepare()


@pytest.fixture(scope="session")
def elasticsearch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Elasticsearch]:
    """Return the real Elasticsearch of this run; a test that also asks for `prefix` finds it well."""
    with prepare()(tmp_path_factory.mktemp("elasticsearch")) as server:
        yield server


@pytest.fixture
def prefix(elasticsearch: Elasticsearch) -> Iterator[str]:
    """Return what the names of this test's indices and templates begin with; they are removed after it."""
    prefix = f"test-{uuid4().hex[:12]}"
    elasticsearch.heal()
    yield prefix
    elasticsearch.heal()
    elasticsearch.remove(prefix)
