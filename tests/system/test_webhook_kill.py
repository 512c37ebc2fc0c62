"""kill -9 of a server under load, with a webhook receiver that fails at random: each acknowledged event arrives."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random
from uuid import UUID, uuid4

import pytest
from aiohttp import ClientSession

from servers.elasticsearch import Elasticsearch
from support.job_events import job_text
from tests.system.server_process import PROJECT, ServerProcess
from tests.system.webhook_receiver import SECRET
from tests.system.workload import Ledger, Workload

Show = Callable[[str], None]
_SYSTEMS = 6
_TOML = """
[listeners.hook]
type = "webhook"
url = "http://127.0.0.1:{port}/hook"
secret = "env:HOOK_SECRET"
allowed_networks = ["127.0.0.0/8"]
first_wait_seconds = 0.02
longest_wait_seconds = 0.1
timeout_seconds = 0.5
tries = 100

[listeners.nobody]
type = "webhook"
url = "http://127.0.0.1:9/hook"
event_types = ["eula_signed"]
allowed_networks = ["127.0.0.0/8"]
"""


@contextmanager
def failing_receiver(folder: Path, share: float) -> Iterator[tuple[int, Path]]:
    """Start a receiver; returns its port and the file of what it has taken."""
    port_file, taken = folder / "port", folder / "taken"
    command = [sys.executable, str(PROJECT / "tests/system/webhook_receiver.py"), port_file, taken, str(share)]
    process = subprocess.Popen(command)
    try:
        deadline = time.monotonic() + 20
        while not (port_file.exists() and port_file.read_text()):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield int(port_file.read_text()), taken
    finally:
        process.kill()
        process.wait()


def wait_for_all(taken: Path, wanted: set[str], seconds: float = 60) -> Counter[str]:
    """Wait until all of these were taken; return how often each was."""
    deadline = time.monotonic() + seconds
    while True:
        found = Counter(taken.read_text().split())
        missing = wanted - set(found)
        if not missing:
            return found
        assert time.monotonic() < deadline, f"{len(missing)} of {len(wanted)} never arrived: {list(missing)[:3]}"
        time.sleep(0.1)


def _server(folder: Path, port: int, name: str = "root", **more: str) -> ServerProcess:
    """Return a server, not started, that hands on to this receiver."""
    toml = folder / "listeners.toml"
    toml.write_text(_TOML.format(port=port))
    more |= {"SMRTFLOW_EVENT_LISTENERS": str(toml), "HOOK_SECRET": SECRET.decode()}
    return ServerProcess(folder / name, folder / f"{name}.log", **more)


async def _load_and_kill(server: ServerProcess, random: Random) -> set[str]:
    """Load a server with the events of some systems, kill it, and return what was acknowledged."""
    ledgers = [Ledger(str(UUID(bytes=random.randbytes(16), version=4))) for _ in range(_SYSTEMS)]
    url = f"http://127.0.0.1:{server.port}"
    loads = [Workload(url, ledger, str(random.random())) for ledger in ledgers]
    sending = [asyncio.create_task(load.run(1)) for load in loads]
    await asyncio.sleep(random.uniform(0.1, 0.6))
    server.kill()
    await asyncio.gather(*sending)
    return {uuid for ledger in ledgers for uuid in ledger.acknowledged}


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_each_acknowledged_event_arrives(tmp_path: Path, seed: str, show: Show) -> None:
    """Over 8 rounds (KILL_ROUNDS) each acknowledged event reaches the receiver at least once, signed."""
    rounds = int(os.environ.get("KILL_ROUNDS", "8"))
    acknowledged: set[str] = set()
    with failing_receiver(tmp_path, 0.05) as (port, taken):
        with _server(tmp_path, port) as server:
            for number in range(rounds):
                acknowledged |= asyncio.run(_load_and_kill(server, Random(f"{seed}/{number}")))
                server.start()
            found = wait_for_all(taken, acknowledged)
            assert server.terminate() == 0, server.output()[-3000:]
        assert "unsigned" not in found
        assert SECRET.decode() not in server.output()
        assert not list((tmp_path / "root/listeners/hook/dead-letters").glob("*/*")), server.output()[-2000:]
    show(f"{rounds} kills, {len(acknowledged):,} events acknowledged, all delivered, {found.total():,} deliveries")


def _store(elasticsearch: Elasticsearch, prefix: str) -> str:
    return f"{elasticsearch.url.replace('http:', 'elasticsearch:')}/{prefix}"


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_each_arrives_from_a_store_elsewhere(
    tmp_path: Path, elasticsearch: Elasticsearch, prefix: str, seed: str, show: Show
) -> None:
    """In front of a real Elasticsearch the same, through 4 kills: what was under way is settled by asking it."""
    acknowledged: set[str] = set()
    store = _store(elasticsearch, prefix)
    with (
        failing_receiver(tmp_path, 0.05) as (port, taken),
        _server(tmp_path, port, SMRTFLOW_EVENT_STORE=store) as server,
    ):
        for number in range(4):
            acknowledged |= asyncio.run(_load_and_kill(server, Random(f"{seed}/{number}")))
            server.start()
        found = wait_for_all(taken, acknowledged)
        assert server.terminate() == 0, server.output()[-3000:]
    show(f"4 kills, {len(acknowledged):,} events acknowledged, all delivered, {found.total():,} deliveries")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_two_servers_on_one_store_send_once(
    tmp_path: Path, elasticsearch: Elasticsearch, prefix: str, show: Show
) -> None:
    """Each event is posted to both at once: one stores it, and only that one hands it on."""
    events = [job_text(system=str(uuid4())) for _ in range(200)]

    async def post(session: ClientSession, server: ServerProcess, body: bytes) -> int:
        url = f"http://127.0.0.1:{server.port}/api/v1/events"
        async with session.post(url, data=body, headers={"Content-Type": "application/json"}) as answer:
            await answer.read()
            return answer.status

    async def post_all(servers: Sequence[ServerProcess]) -> list[int]:
        async with ClientSession() as session:
            statuses: list[int] = []
            for start in range(0, len(events), 20):
                part = events[start : start + 20]
                statuses += await asyncio.gather(*(post(session, server, body) for body in part for server in servers))
            return statuses

    store = _store(elasticsearch, prefix)
    with (
        failing_receiver(tmp_path, 0) as (port, taken),
        _server(tmp_path, port, "a", SMRTFLOW_EVENT_STORE=store) as a,
        _server(tmp_path, port, "b", SMRTFLOW_EVENT_STORE=store) as b,
    ):
        statuses = Counter(asyncio.run(post_all([a, b])))
        assert statuses == {201: 200, 200: 200}
        uuids = {json.loads(event)["uuid"] for event in events}
        wait_for_all(taken, uuids)
        assert a.terminate() == b.terminate() == 0
        found = Counter(taken.read_text().split())
    show(f"two servers, 200 events posted to both: {found.total()} deliveries")
    assert set(found.values()) == {1}
