"""A server in front of a real Elasticsearch that hangs, dies, comes late, is overloaded or read-only, under load."""

import asyncio
from collections.abc import Iterator

import pytest

from servers.elasticsearch import Elasticsearch
from servers.faulty_proxy import Fault, FaultyProxy, Rule, is_write
from tests.system.remote_faults import Remote, RemoteFaults, loaded, until_spooled
from tests.system.server_process import ServerProcess

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


class _Elasticsearch(Remote):
    name = "Elasticsearch"

    def __init__(self, real: Elasticsearch, proxy: FaultyProxy, prefix: str) -> None:
        self.real = real
        self.proxy: FaultyProxy = proxy
        self.url = f"{real.url.replace('http:', 'elasticsearch:')}/{prefix}"
        self.proxied = f"{proxy.url.replace('http:', 'elasticsearch:')}/{prefix}"

    def overload(self) -> None:
        self.proxy.fail(Rule(is_write, Fault.ANSWER, status=429))

    def lose_answers(self, fault: str, times: int) -> None:
        self.proxy.fail(Rule(is_write, Fault[fault], times=times))


@pytest.fixture
def remote(elasticsearch: Elasticsearch, prefix: str) -> Iterator[Remote]:
    """A real Elasticsearch, and a way to it."""
    with FaultyProxy(elasticsearch.url) as proxy:
        yield _Elasticsearch(elasticsearch, proxy, prefix)


class TestElasticsearch(RemoteFaults):
    """What every store has to bear, and what only this one has."""

    @pytest.mark.parametrize("block", ["read_only_allow_delete", "write"])
    async def test_its_indices_are_read_only(
        self, server: ServerProcess, elasticsearch: Elasticsearch, prefix: str, seed: str, block: str
    ) -> None:
        """As at the flood stage of its disk, or by an operator; lifted, it takes all that waits."""

        def set_block(value: bool | None) -> None:  # noqa: FBT001 - as it is sent
            elasticsearch.request("PUT", f"/{prefix}-*/_settings", {f"index.blocks.{block}": value})

        async with loaded(server, seed) as load:
            await asyncio.to_thread(set_block, True)  # noqa: FBT003
            await until_spooled(server)
            await asyncio.sleep(1)
            assert "spooled" in load.seconds
            await asyncio.to_thread(set_block, None)
