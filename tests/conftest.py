"""Real servers for all tests: one of each kind a run, started when the first test asks for it."""

from collections.abc import Iterator
from uuid import uuid4

import pytest

from servers import cassandra as a_cassandra
from servers import elasticsearch as an_elasticsearch
from servers.cassandra import Cassandra
from servers.elasticsearch import Elasticsearch
from servers.errors import NoServer


def pytest_collection_finish(session: pytest.Session) -> None:
    """Fetch what a server needs before the tests: they have two minutes each, and a first fetch may take longer."""
    if session.config.option.collectonly:
        return
    for name, prepare in (("elasticsearch", an_elasticsearch.prepare), ("cassandra", a_cassandra.prepare)):
        if any(name in getattr(item, "fixturenames", ()) for item in session.items):
            try:
                prepare()
            except NoServer as reason:
                # It fails the tests that need the server, and no others; said here once, where it is seen.
                reporter = session.config.pluginmanager.get_plugin("terminalreporter")
                if reporter is not None:
                    reporter.write_line(str(reason), red=True)


@pytest.fixture(scope="session")
def elasticsearch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Elasticsearch]:
    """Return the real Elasticsearch of this run; a test that also asks for `prefix` finds it well."""
    with an_elasticsearch.prepare()(tmp_path_factory.mktemp("elasticsearch")) as server:
        yield server


@pytest.fixture
def prefix(elasticsearch: Elasticsearch) -> Iterator[str]:
    """Return what the names of this test's indices and templates begin with; they are removed after it."""
    prefix = f"test-{uuid4().hex[:12]}"
    elasticsearch.heal()
    yield prefix
    elasticsearch.heal()
    elasticsearch.remove(prefix)


@pytest.fixture(scope="session")
def cassandra(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cassandra]:
    """Return the real Cassandra of this run; a test that also asks for `keyspace` finds it well."""
    with a_cassandra.prepare()(tmp_path_factory.mktemp("cassandra")) as server:
        yield server


@pytest.fixture
def keyspace(cassandra: Cassandra) -> Iterator[str]:
    """Return the name of this test's keyspace, which is not there yet; it is removed after it."""
    keyspace = f"test_{uuid4().hex[:12]}"
    cassandra.heal()
    yield keyspace
    cassandra.heal()
    cassandra.execute(f"DROP KEYSPACE IF EXISTS {keyspace}")
