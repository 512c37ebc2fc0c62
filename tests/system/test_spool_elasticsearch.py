"""A server in front of a real Elasticsearch that hangs, dies, comes late, is overloaded or read-only, all under load.

Each time: every event is acknowledged, nothing acknowledged is missing afterwards, and nothing is there twice.
"""

import asyncio
import os
import shutil
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import pytest

from servers.elasticsearch import Elasticsearch
from servers.faulty_proxy import Fault, FaultyProxy, Rule, is_write
from tests.support.spool import until
from tests.system.loop_device import make_image, mounted
from tests.system.loop_probe import LoopProbe
from tests.system.server_process import ServerProcess
from tests.system.spooled_load import SpooledLoad, new_ledger, spool_of, until_drained, url_of
from tests.system.workload import check

LIMIT_SECONDS = 2.0
LOOP_SECONDS = float(os.environ.get("LOOP_SECONDS", "0.15"))
HANG_SECONDS = float(os.environ.get("HANG_SECONDS", "6"))
"""``make soak`` lets it hang for 30 s."""
PAUSE_SECONDS = 0.1
"""Some 400 events a second: Elasticsearch shares the machine with the other tests, and each event is asked for."""
ROOM = 1 << 20
"""Bytes that are left to the spool on its small disk."""
STARTING_PAUSE_SECONDS = 0.3
"""While Elasticsearch starts, for 6 s or, on a busy machine, for many more."""
pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


@pytest.fixture
def proxy(elasticsearch: Elasticsearch) -> Iterator[FaultyProxy]:
    """The way to the real Elasticsearch."""
    with FaultyProxy(elasticsearch.url) as proxy:
        yield proxy


@pytest.fixture
def server(tmp_path: Path, elasticsearch: Elasticsearch, prefix: str) -> Iterator[ServerProcess]:
    """A server in front of it."""
    with make_server(tmp_path, elasticsearch.url, prefix) as process:
        yield process


def make_server(folder: Path, url: str, prefix: str) -> ServerProcess:
    """Return a server, not started, with the settings of an installation."""
    store = f"{url.replace('http:', 'elasticsearch:')}/{prefix}"
    return ServerProcess(folder / "root", folder / "server.log", SMRTFLOW_EVENT_STORE=store)


@asynccontextmanager
async def loaded(server: ServerProcess, seed: str, pause: float = PAUSE_SECONDS) -> AsyncIterator[SpooledLoad]:
    """Load the server for the time of the block; afterwards all is drained, and right."""
    load = SpooledLoad(url_of(server), new_ledger(Random(seed)), seed)
    running = asyncio.create_task(load.run(pause=pause))
    await asyncio.sleep(0.5)
    try:
        yield load
        await until_stored(load, since=time.monotonic())
    finally:
        load.stop()
        await running
    assert load.refused == []
    await until_drained(server)
    await check(url_of(server), load.ledger)


async def until_spooled(server: ServerProcess) -> None:
    """Return when the fault is known."""
    for _ in range(400):
        if not (await asyncio.to_thread(spool_of, server))["storeIsUp"]:
            return
        await asyncio.sleep(0.05)
    raise AssertionError("the store is taken for up")


async def until_stored(load: SpooledLoad, since: float) -> None:
    """Return when an event that was sent after a moment (``time.monotonic``) went straight into the store."""
    for _ in range(1200):
        if any(began > since for began, _ in load.seconds.get("stored", ())[-64:]):
            return
        await asyncio.sleep(0.05)
    raise AssertionError("nothing is stored")


async def hang(server: ServerProcess, elasticsearch: Elasticsearch, seed: str, seconds: float) -> str:
    """Let Elasticsearch hang; return what was seen."""
    with LoopProbe(server.process.pid, server.port) as probe:
        async with loaded(server, seed) as load:
            probe.longest_wait()
            elasticsearch.pause()
            await asyncio.sleep(LIMIT_SECONDS + 0.5)
            known = time.monotonic()
            await asyncio.sleep(seconds)
            ended = time.monotonic()
            waited = probe.longest_wait()
            elasticsearch.resume()
    assert waited < LOOP_SECONDS
    assert load.slowest("spooled") < LIMIT_SECONDS + 0.5
    calm = sorted(took for began, took in load.seconds["spooled"] if known < began < ended)
    p99 = calm[int(len(calm) * 0.99)]
    assert p99 < 0.5
    return (
        f"Elasticsearch stopped for {seconds:.0f} s: {len(load.ledger.acknowledged)} events acknowledged, none lost, "
        f"none twice; longest POST {load.slowest('spooled'):.2f} s; once the fault was known p99 {p99 * 1000:.0f} ms; "
        f"loop blocked for {waited * 1000:.0f} ms at most"
    )


async def test_it_hangs(
    server: ServerProcess, elasticsearch: Elasticsearch, seed: str, show: Callable[[str], None]
) -> None:
    """SIGSTOP: no request waits longer than the limit; once the fault is known all are quick; the loop never waits."""
    show(await hang(server, elasticsearch, seed, HANG_SECONDS))


@pytest.mark.soak
async def test_it_hangs_for_long(
    server: ServerProcess, elasticsearch: Elasticsearch, seed: str, soak_result: Callable[[str], None]
) -> None:
    """The same for 30 s."""
    soak_result(await hang(server, elasticsearch, seed, 30))


async def test_it_is_killed_and_restarts(server: ServerProcess, elasticsearch: Elasticsearch, seed: str) -> None:
    """SIGKILL, and a start with its data, under load."""
    async with loaded(server, seed, STARTING_PAUSE_SECONDS) as load:
        await until_stored(load, since=0)
        await asyncio.to_thread(elasticsearch.kill)
        await until_spooled(server)
        await asyncio.to_thread(elasticsearch.start)
    assert load.seconds["spooled"]


async def test_it_starts_only_after_the_server(
    tmp_path: Path, elasticsearch: Elasticsearch, prefix: str, seed: str
) -> None:
    """The server is ready, takes events, and makes the indices when Elasticsearch is there."""
    await asyncio.to_thread(elasticsearch.kill)
    with make_server(tmp_path, elasticsearch.url, prefix) as server:
        async with loaded(server, seed, STARTING_PAUSE_SECONDS) as load:
            await until(lambda: len(load.ledger.acknowledged) > 50)
            assert set(load.seconds) == {"spooled"}
            await asyncio.to_thread(elasticsearch.start)
        assert server.terminate() == 0
    assert "Traceback" not in server.output()


async def test_it_refuses_connections(tmp_path: Path, proxy: FaultyProxy, prefix: str, seed: str) -> None:
    """All are cut, and no new ones are taken, for a while."""
    with make_server(tmp_path, proxy.url, prefix) as server:
        async with loaded(server, seed) as load:
            proxy.refuse()
            await until_spooled(server)
            await asyncio.sleep(1)
            proxy.mend()
        assert load.slowest("spooled") < LIMIT_SECONDS + 0.5


async def test_it_is_overloaded(tmp_path: Path, proxy: FaultyProxy, prefix: str, seed: str) -> None:
    """It answers writes with 429, for a while."""
    with make_server(tmp_path, proxy.url, prefix) as server:
        async with loaded(server, seed) as load:
            proxy.fail(Rule(is_write, Fault.ANSWER, status=429))
            await until_spooled(server)
            await asyncio.sleep(1)
            assert "spooled" in load.seconds
            proxy.mend()
        assert load.slowest("spooled") < LIMIT_SECONDS + 0.5


@pytest.mark.parametrize("fault", [Fault.CUT, Fault.HANG, Fault.LOSE])
async def test_its_answers_get_lost(tmp_path: Path, proxy: FaultyProxy, prefix: str, seed: str, fault: Fault) -> None:
    """What was stored and not answered is spooled, and found to be there: once."""
    with make_server(tmp_path, proxy.url, prefix) as server:
        async with loaded(server, seed) as load:
            for _ in range(5):
                proxy.fail(Rule(is_write, fault, times=2))
                await asyncio.sleep(0.5)
                proxy.mend()
        assert load.slowest("spooled") < LIMIT_SECONDS + 0.5


@pytest.mark.parametrize("block", ["read_only_allow_delete", "write"])
async def test_its_indices_are_read_only(
    server: ServerProcess, elasticsearch: Elasticsearch, prefix: str, seed: str, block: str
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


async def test_the_disk_of_its_spool_is_full(tmp_path: Path, proxy: FaultyProxy, prefix: str, seed: str) -> None:
    """507 and not ready while it is away and there is no room; with room again both kinds of events are taken."""
    make_image(tmp_path / "disk.image", 48)
    with mounted(tmp_path / "disk.image", tmp_path / "disk") as disk:
        ballast = disk / "ballast"
        with make_server(disk, proxy.url, prefix) as server:
            async with loaded(server, seed) as load:
                proxy.refuse()
                await asyncio.to_thread(ballast.write_bytes, bytes(shutil.disk_usage(disk).free - ROOM))
                await until(lambda: any(text.startswith("507") for text in load.refused))
                assert all("storage_full" in text for text in load.refused), load.refused[:3]
                await until(lambda: server.probe("/health/ready") == 503)
                await asyncio.to_thread(ballast.unlink)
                await until(lambda: server.probe("/health/ready") == 200)
                spooled = len(load.seconds["spooled"])
                await until(lambda: len(load.seconds["spooled"]) > spooled)
                load.refused.clear()
                proxy.mend()
            assert server.terminate() == 0


@pytest.mark.parametrize("phase", ["while it spools", "while it drains"])
async def test_the_server_is_killed(
    tmp_path: Path, elasticsearch: Elasticsearch, prefix: str, seed: str, phase: str
) -> None:
    """Kill -9 at random moments: after each start nothing that was acknowledged is missing, and nothing is twice."""
    random = Random(f"{seed}/{phase}")
    ledgers = []
    with make_server(tmp_path, elasticsearch.url, prefix) as server:
        for number in range(3):
            elasticsearch.pause()
            load = SpooledLoad(url_of(server), new_ledger(random), f"{seed}/{number}")
            running = asyncio.create_task(load.run(pause=PAUSE_SECONDS))
            await asyncio.sleep(random.uniform(1.5, 3))
            if phase == "while it drains":
                elasticsearch.resume()
                await asyncio.sleep(random.uniform(0, 0.6))
            server.kill()
            await running
            elasticsearch.resume()
            await asyncio.to_thread(server.start)
            await until_drained(server)
            await check(url_of(server), load.ledger)
            ledgers.append(load.ledger)
        for ledger in ledgers:
            await check(url_of(server), ledger)
    assert sum(len(ledger.acknowledged) for ledger in ledgers) > 100
