"""A server in front of a real Cassandra that hangs, dies, comes late or is overloaded, all under load."""

from collections.abc import Iterator
from typing import Any

import pytest

from servers.cassandra import Cassandra
from servers.faulty_cql_proxy import Fault, FaultyCqlProxy, Rule, is_claim, is_write
from tests.system.remote_faults import Remote, RemoteFaults, loaded, make_server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


class _Cassandra(Remote):
    name = "Cassandra"

    def __init__(self, real: Cassandra, proxy: FaultyCqlProxy, keyspace: str) -> None:
        self.real = real
        self.proxy: FaultyCqlProxy = proxy
        self.url = f"{real.url}/{keyspace}"
        self.proxied = f"{proxy.url}/{keyspace}"

    def overload(self) -> None:
        self.proxy.fail(Rule(is_write))

    def lose_answers(self, fault: str, times: int) -> None:
        self.proxy.fail(Rule(is_write, Fault[fault], times=times))


@pytest.fixture
def remote(cassandra: Cassandra, keyspace: str) -> Iterator[Remote]:
    """A real Cassandra, and a way to it."""
    with FaultyCqlProxy(cassandra.host, cassandra.port) as proxy:
        yield _Cassandra(cassandra, proxy, keyspace)


class TestCassandra(RemoteFaults):
    """What every store has to bear, and claims whose outcome nobody knows."""

    async def test_its_claims_time_out(self, tmp_path: Any, remote: _Cassandra, seed: str) -> None:
        """They were made all the same, and are found to be: nothing is spooled for that, and nothing is there twice."""
        with make_server(tmp_path, remote.proxied) as server:
            async with loaded(server, seed) as load:
                remote.proxy.fail(Rule(is_claim, Fault.TIME_OUT, times=200))
            assert "spooled" not in load.seconds
