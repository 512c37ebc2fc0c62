"""The real Cassandra that other tests rely on does what its interface says."""

from pathlib import Path

import pytest

from servers import cassandra as module
from servers.cassandra import Cassandra
from servers.cql import Refused
from servers.errors import NoServer

pytestmark = pytest.mark.slow


@pytest.fixture
def table(cassandra: Cassandra, keyspace: str) -> str:
    """Return a new table, whose key is a number."""
    cassandra.execute(
        f"CREATE KEYSPACE {keyspace} WITH replication = {{'class': 'SimpleStrategy', 'replication_factor': 1}}"
    )
    cassandra.execute(f"CREATE TABLE {keyspace}.events (number int PRIMARY KEY)")
    return f"{keyspace}.events"


def _has_table(cassandra: Cassandra, table: str) -> bool:
    try:
        cassandra.execute(f"SELECT number FROM {table}")
    except Refused:
        return False
    return True


def test_it_comes_back_with_its_data_at_its_address(cassandra: Cassandra, table: str) -> None:
    """Meanwhile connections are refused."""
    cassandra.kill()
    with pytest.raises(ConnectionRefusedError):
        cassandra.execute(f"INSERT INTO {table} (number) VALUES (1)")
    cassandra.restart()
    assert _has_table(cassandra, table)


def test_while_paused_it_hangs_and_then_goes_on(cassandra: Cassandra, table: str) -> None:
    """A paused server takes a connection and does not answer."""
    cassandra.pause()
    with pytest.raises(TimeoutError):
        cassandra.execute(f"INSERT INTO {table} (number) VALUES (1)", seconds=0.5)
    cassandra.heal()
    cassandra.execute(f"INSERT INTO {table} (number) VALUES (1)")


def test_what_it_refuses_is_told(cassandra: Cassandra, table: str) -> None:
    """In its own words."""
    with pytest.raises(Refused, match=r"^Undefined column name colour in table test_[0-9a-f]+\.events$"):
        cassandra.execute(f"SELECT colour FROM {table}")


def test_one_that_is_not_ours_is_never_harmed(
    cassandra: Cassandra, table: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What is killed and paused is the way to it."""
    monkeypatch.setenv(module.VARIABLE, cassandra.url)
    with module.prepare()(tmp_path) as behind:
        assert _has_table(behind, table)
        behind.kill()
        assert not behind.ready()
        assert _has_table(cassandra, table)
        behind.restart()
        assert _has_table(behind, table)


def test_what_to_install_is_said_in_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where there is neither a URL, nor Docker, nor Maven and Java."""
    monkeypatch.delenv(module.VARIABLE, raising=False)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NoServer, match=r"^Tests need a real Cassandra: install Java 17 \(or 11\) and Maven, or start "):
        module.prepare()
