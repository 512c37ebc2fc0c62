"""Faults of a remote store, under load, seen through the server: one class of tests, which each store subclasses.

Each time: every event is acknowledged, nothing acknowledged is missing afterwards, and nothing is there twice.
"""

import asyncio
import os
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import pytest

from servers.faulty_cql_proxy import FaultyCqlProxy
from servers.faulty_proxy import FaultyProxy
from servers.server import RealServer
from tests.system.loop_probe import LoopProbe
from tests.system.server_process import ServerProcess
from tests.system.spooled_load import SpooledLoad, new_ledger, spool_of, until_drained, url_of
from tests.system.workload import check

LIMIT_SECONDS = 2.0
LOOP_SECONDS = float(os.environ.get("LOOP_SECONDS", "0.15"))
HANG_SECONDS = float(os.environ.get("HANG_SECONDS", "6"))
"""``make soak`` lets it hang for 30 s."""
PAUSE_SECONDS = 0.03
"""Some hundred events a second: the store shares the machine with the other tests."""


class Remote(ABC):
    """A real server with a place of this test in it, and a way to it that fails.

    Attributes:
        name: for people.
        real: the server.
        proxy: the way.
        url: the store's URL, straight to the server.
        proxied: the store's URL, by way of the proxy.

    """

    name: str
    real: RealServer
    proxy: FaultyProxy | FaultyCqlProxy
    url: str
    proxied: str

    @abstractmethod
    def overload(self) -> None:
        """Let writes be answered as by an overloaded server, until the proxy is mended."""

    @abstractmethod
    def lose_answers(self, fault: str, times: int) -> None:
        """Let writes come to a fault, ``CUT``, ``HANG`` or ``LOSE``, so many times."""


def make_server(folder: Path, store: str) -> ServerProcess:
    """Return a server, not started, with the settings of an installation."""
    folder.mkdir(exist_ok=True)
    return ServerProcess(folder / "root", folder / "server.log", SMRTFLOW_EVENT_STORE=store)


@asynccontextmanager
async def loaded(server: ServerProcess, seed: str, senders: int = 16) -> AsyncIterator[SpooledLoad]:
    """Load the server for the time of the block; afterwards all is drained, and right."""
    load = SpooledLoad(url_of(server), new_ledger(Random(seed)), seed)
    running = asyncio.create_task(load.run(senders, pause=PAUSE_SECONDS))
    await asyncio.sleep(1)
    try:
        yield load
        await asyncio.sleep(1)
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


async def hang(server: ServerProcess, remote: Remote, seed: str, seconds: float) -> str:
    """Let the store hang; return what was seen."""
    with LoopProbe(server.process.pid, server.port) as probe:
        async with loaded(server, seed) as load:
            probe.longest_wait()
            remote.real.pause()
            await asyncio.sleep(LIMIT_SECONDS + 0.5)
            known = time.monotonic()
            await asyncio.sleep(seconds)
            ended = time.monotonic()
            waited = probe.longest_wait()
            remote.real.resume()
    assert waited < LOOP_SECONDS
    assert load.slowest("spooled") < LIMIT_SECONDS + 0.5
    calm = sorted(took for began, took in load.seconds["spooled"] if known < began < ended)
    p99 = calm[int(len(calm) * 0.99)]
    assert p99 < 0.5
    return (
        f"{remote.name} stopped for {seconds:.0f} s: {len(load.ledger.acknowledged)} events acknowledged, none lost, "
        f"none twice; longest POST {load.slowest('spooled'):.2f} s; once the fault was known p99 {p99 * 1000:.0f} ms; "
        f"loop blocked for {waited * 1000:.0f} ms at most"
    )


class RemoteFaults:
    """The tests; a module that subclasses it defines the fixture ``remote``, a ``Remote``."""

    @pytest.fixture
    def server(self, tmp_path: Path, remote: Remote) -> Iterator[ServerProcess]:
        """A server in front of it."""
        with make_server(tmp_path, remote.url) as process:
            yield process

    async def test_it_hangs(
        self, server: ServerProcess, remote: Remote, seed: str, show: Callable[[str], None]
    ) -> None:
        """SIGSTOP: no request waits longer than the limit; the fault known, all are quick; the loop never waits."""
        show(await hang(server, remote, seed, HANG_SECONDS))

    @pytest.mark.soak
    async def test_it_hangs_for_long(
        self, server: ServerProcess, remote: Remote, seed: str, soak_result: Callable[[str], None]
    ) -> None:
        """The same for 30 s."""
        soak_result(await hang(server, remote, seed, 30))

    async def test_it_is_killed_and_restarts(self, server: ServerProcess, remote: Remote, seed: str) -> None:
        """SIGKILL, and a start with its data, under load."""
        async with loaded(server, seed) as load:
            await until_stored(load, since=0)
            await asyncio.to_thread(remote.real.kill)
            await until_spooled(server)
            await asyncio.to_thread(remote.real.start)
            await until_stored(load, since=time.monotonic())
        assert load.seconds["spooled"]

    async def test_it_starts_only_after_the_server(self, tmp_path: Path, remote: Remote, seed: str) -> None:
        """The server is ready, takes events, and makes what it needs when the store is there."""
        await asyncio.to_thread(remote.real.kill)
        with make_server(tmp_path, remote.url) as server:
            async with loaded(server, seed) as load:
                await asyncio.sleep(1)
                assert set(load.seconds) == {"spooled"}
                await asyncio.to_thread(remote.real.start)
            assert server.terminate() == 0
        assert "Traceback" not in server.output()

    async def test_it_refuses_connections(self, tmp_path: Path, remote: Remote, seed: str) -> None:
        """All are cut, and no new ones are taken, for a while."""
        with make_server(tmp_path, remote.proxied) as server:
            async with loaded(server, seed) as load:
                remote.proxy.refuse()
                await until_spooled(server)
                await asyncio.sleep(2)
                remote.proxy.mend()
            assert load.slowest("spooled") < LIMIT_SECONDS + 0.5

    async def test_it_is_overloaded(self, tmp_path: Path, remote: Remote, seed: str) -> None:
        """It answers writes with an error that says so, for a while."""
        with make_server(tmp_path, remote.proxied) as server:
            async with loaded(server, seed) as load:
                remote.overload()
                await asyncio.sleep(4)
                assert "spooled" in load.seconds
                remote.proxy.mend()
            assert load.slowest("spooled") < LIMIT_SECONDS + 0.5

    @pytest.mark.parametrize("fault", ["CUT", "HANG", "LOSE"])
    async def test_its_answers_get_lost(self, tmp_path: Path, remote: Remote, seed: str, fault: str) -> None:
        """What was stored and not answered is spooled, and found to be there: once."""
        with make_server(tmp_path, remote.proxied) as server:
            async with loaded(server, seed) as load:
                for _ in range(5):
                    remote.lose_answers(fault, 2)
                    await asyncio.sleep(0.5)
                    remote.proxy.mend()
            assert load.slowest("spooled") < LIMIT_SECONDS + 0.5

    @pytest.mark.parametrize("phase", ["while it spools", "while it drains"])
    async def test_the_server_is_killed(self, tmp_path: Path, remote: Remote, seed: str, phase: str) -> None:
        """Kill -9 at random moments: after each start nothing acknowledged is missing, and nothing is twice."""
        random = Random(f"{seed}/{phase}")
        ledgers = []
        with make_server(tmp_path, remote.url) as server:
            for number in range(3):
                remote.real.pause()
                load = SpooledLoad(url_of(server), new_ledger(random), f"{seed}/{number}")
                running = asyncio.create_task(load.run(pause=PAUSE_SECONDS))
                await asyncio.sleep(random.uniform(1.5, 3))
                if phase == "while it drains":
                    remote.real.resume()
                    await asyncio.sleep(random.uniform(0, 0.6))
                server.kill()
                await running
                remote.real.resume()
                await asyncio.to_thread(server.start)
                await until_drained(server)
                await check(url_of(server), load.ledger)
                ledgers.append(load.ledger)
            for ledger in ledgers:
                await check(url_of(server), ledger)
        assert sum(len(ledger.acknowledged) for ledger in ledgers) > 100
