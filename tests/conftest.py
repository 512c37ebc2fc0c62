"""What all tests share: a seed that is printed, figures for people, what the soak does more often, real servers.

Of each kind of server one is started in a run, when the first test asks for it: the tests that ask for the same one are
run by the same process (``pytest-xdist``'s groups).
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from random import SystemRandom
from typing import Any, Final
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, settings

from servers import cassandra as a_cassandra
from servers import elasticsearch as an_elasticsearch
from servers.cassandra import Cassandra
from servers.elasticsearch import Elasticsearch
from servers.errors import NoServer
from support.soak import PROFILE, more_often

Show = Callable[[str], None]
_SETTINGS: Final = "_hypothesis_internal_use_settings"
"""Where hypothesis's own pytest plugin looks, too; a decorator could not raise what the test itself has set."""

settings.register_profile(
    PROFILE, deadline=None, derandomize=False, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)


def pytest_configure() -> None:
    """Choose the session's seed, once for all the processes that run its tests."""
    os.environ.setdefault("TEST_SEED", str(SystemRandom().randrange(10**6)))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give a test that is marked ``seeds(n)`` the seeds 0 to n-1; in the soak more of them, other ones each time."""
    marker = metafunc.definition.get_closest_marker("seeds")
    if marker is not None:
        first, count = 0, marker.args[0]
        if settings.get_current_profile_name() == PROFILE:
            first, count = int(os.environ["TEST_SEED"]) * 1_000_000, more_often(count)
        metafunc.parametrize("seed", range(first, first + count))


@pytest.hookimpl(tryfirst=True)  # pytest-xdist looks at the groups in a hook of its own
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Group what asks for one server; in the soak, let properties and state machines run through more examples."""
    for item in items:
        asked = [name for name in ("cassandra", "elasticsearch") if name in getattr(item, "fixturenames", ())]
        if asked:
            item.add_marker(pytest.mark.xdist_group(asked[0]))
    if settings.get_current_profile_name() != PROFILE:
        return
    holders: dict[int, tuple[Any, str]] = {}
    for item in items:
        test = getattr(getattr(item, "obj", None), "__func__", getattr(item, "obj", None))
        machine = getattr(item, "cls", None)
        if isinstance(getattr(machine, "settings", None), settings):
            holders[id(machine)] = machine, "settings"
        elif hasattr(test, _SETTINGS):
            holders[id(test)] = test, _SETTINGS
        elif getattr(test, "is_hypothesis_test", False):
            msg = f"{item.nodeid}: its settings are not where they were, so the soak would not be one"
            raise pytest.UsageError(msg)
    for holder, name in holders.values():
        asked = getattr(holder, name)
        setattr(holder, name, settings(asked, max_examples=more_often(asked.max_examples)))


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
def show(pytestconfig: pytest.Config) -> Show:
    """Return what shows a line to whoever runs the tests, though they pass."""
    capture = pytestconfig.pluginmanager.get_plugin("capturemanager")

    def write(text: str) -> None:
        with capture.global_and_fixture_disabled() if capture is not None else nullcontext():
            # The output of a process of pytest-xdist is not its own.
            print(f"\n  {text}", file=sys.stderr, flush=True)  # noqa: T201 - it is for people

    return write


@pytest.fixture(scope="session")
def seed(show: Show) -> str:
    """Return the seed of this session: from the environment (TEST_SEED), or a new one; shown either way."""
    value = os.environ["TEST_SEED"]
    show(f"TEST_SEED={value}")
    return value


@pytest.fixture
def soak_result(record_property: Callable[[str, object], None], show: Show) -> Show:
    """Return what takes a figure of the soak: it is shown, and ``scripts/soak.py`` finds it in the report."""

    def record(figure: str) -> None:
        record_property("figure", figure)
        show(figure)

    return record


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
