"""Two servers on one real Elasticsearch: a uuid is one event, whichever of them is asked."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from random import Random

import aiohttp
import pytest

from servers.elasticsearch import Elasticsearch
from tests.system.server_process import ServerProcess
from tests.system.spooled_load import url_of
from tests.system.workload import make_event

SYSTEM = "2319db24-f46e-11e6-a35c-3c15c2cc8f88"
FIRST, OTHER = b"smrtlink_job_change_state", b"sl_test_event"
pytestmark = pytest.mark.slow


@pytest.fixture
def servers(tmp_path: Path, elasticsearch: Elasticsearch, prefix: str) -> Iterator[list[ServerProcess]]:
    """Two of them, started at once on an Elasticsearch that has nothing."""
    store = f"{elasticsearch.url.replace('http:', 'elasticsearch:')}/{prefix}"
    names = ("one", "two")
    servers = [ServerProcess(tmp_path / name, tmp_path / f"{name}.log", SMRTFLOW_EVENT_STORE=store) for name in names]
    with ExitStack() as stack:
        for server in servers:
            stack.callback(server.kill)
        with ThreadPoolExecutor() as pool:
            list(pool.map(ServerProcess.start, servers))
        yield servers


@pytest.mark.parametrize(
    ("types", "is_same", "others"),
    [((FIRST, FIRST), True, 200), ((FIRST, FIRST), False, 409), ((FIRST, OTHER), False, 409)],
    ids=["equal", "with other content", "under two event types"],
)
async def test_of_50_posts_split_between_them_one_is_stored(
    servers: list[ServerProcess], seed: str, types: tuple[bytes, bytes], *, is_same: bool, others: int
) -> None:
    """Exactly one 201; what it echoed is what every later GET and every list of both returns."""
    random = Random(seed)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def post(server: ServerProcess, body: bytes) -> tuple[int, bytes]:
            headers = {"Content-Type": "application/json"}
            async with session.post(f"{url_of(server)}/api/v1/events", data=body, headers=headers) as answer:
                return answer.status, await answer.read()

        async def get(server: ServerProcess, path: str) -> bytes:
            async with session.get(f"{url_of(server)}/api/v1/events{path}") as answer:
                assert answer.status == 200
                return await answer.read()

        winners = []
        for _ in range(5):
            uuid, first = make_event(random, SYSTEM)
            bodies = [first if is_same else make_event(random, SYSTEM, uuid=uuid)[1] for _ in range(50)]
            bodies = [body.replace(FIRST, types[number % 2]) for number, body in enumerate(bodies)]
            posts = [post(servers[number // 2 % 2], body) for number, body in enumerate(bodies)]
            answers = await asyncio.gather(*posts)
            assert Counter(status for status, _ in answers) == {201: 1, others: 49}
            (winner,) = [echo for status, echo in answers if status == 201]
            assert winner in bodies
            winners.append(winner)
            for server in servers:
                assert await get(server, f"/{uuid}") == winner
        for server in servers:
            listed = await get(server, f"/smrt-link/{SYSTEM}")
            assert all(listed.count(winner) == 1 for winner in winners)
            assert listed.count(b'"uuid"') == 5
