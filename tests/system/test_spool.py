"""A server with a store elsewhere, real processes both: the store hangs, dies, comes late; the server is killed."""

import asyncio
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from tests.support.remote_store import RemoteProcess
from tests.support.spool import until
from tests.system.loop_device import make_image, mounted
from tests.system.server_process import PROJECT, ServerProcess, clean_environment
from tests.system.spooled_load import SpooledLoad, new_ledger, until_drained, url_of
from tests.system.wire import get
from tests.system.workload import check

MODULE = ("tests.support.eventserver_with_remote",)
ROOM = 6 * 1024 * 1024
"""Bytes that are left on the small disk: what a busy machine fills in a moment."""
LIMIT_SECONDS = 2.0
pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


@pytest.fixture
def remote(tmp_path: Path) -> Iterator[RemoteProcess]:
    """A remote store that runs."""
    with RemoteProcess(tmp_path / "remote") as process:
        yield process


@pytest.fixture
def server(tmp_path: Path, remote: RemoteProcess) -> Iterator[ServerProcess]:
    """A server in front of it."""
    with make_server(tmp_path, remote.url) as process:
        yield process


def make_server(folder: Path, store: str, **more: str) -> ServerProcess:
    """Return a server, not started."""
    environment = {"SMRTFLOW_EVENT_STORE": store, "SMRTFLOW_EVENT_STORE_TIMEOUT_SECONDS": str(LIMIT_SECONDS), **more}
    return ServerProcess(folder / "root", folder / "server.log", module=(*MODULE, "serve"), **environment)


async def test_a_store_that_hangs_under_load(server: ServerProcess, remote: RemoteProcess, seed: str) -> None:
    """SIGSTOP: nobody waits longer than the limit, and, once the fault is known, as on the disk; nothing is missing."""
    load = SpooledLoad(url_of(server), new_ledger(Random(seed)), seed)
    running = asyncio.create_task(load.run())
    await asyncio.sleep(1)
    remote.stop_clock()
    await asyncio.sleep(LIMIT_SECONDS + 0.5)
    known = time.monotonic()
    await asyncio.sleep(4)
    ended = time.monotonic()
    remote.go_on()
    await asyncio.sleep(1.5)
    load.stop()
    await running
    await until_drained(server)
    assert load.refused == []
    assert {"stored", "spooled"} <= set(load.seconds)
    assert load.slowest("spooled") < LIMIT_SECONDS + 0.5
    calm = sorted(took for began, took in load.seconds["spooled"] if known < began < ended)
    assert len(calm) > 100
    assert calm[int(len(calm) * 0.99)] < 0.5
    await check(url_of(server), load.ledger)


async def test_a_store_that_dies_and_comes_back(server: ServerProcess, remote: RemoteProcess, seed: str) -> None:
    """SIGKILL and a restart on its data, again and again, under load."""
    load = SpooledLoad(url_of(server), new_ledger(Random(seed)), seed)
    running = asyncio.create_task(load.run())
    for _ in range(3):
        await asyncio.sleep(0.7)
        remote.kill()
        await asyncio.sleep(0.7)
        await asyncio.to_thread(remote.start)
    load.stop()
    await running
    await until_drained(server)
    assert load.refused == []
    assert len(load.seconds["spooled"]) > 20
    await check(url_of(server), load.ledger)


async def test_a_server_that_starts_before_its_store(tmp_path: Path, seed: str) -> None:
    """It takes events, is ready, and says 503 where it can't know; the store starts, and gets them."""
    remote = RemoteProcess(tmp_path / "remote")
    with make_server(tmp_path, remote.url) as server:
        load = SpooledLoad(url_of(server), new_ledger(Random(seed)), seed)
        running = asyncio.create_task(load.run())
        await asyncio.sleep(1)
        load.stop()
        await running
        assert load.refused == []
        assert set(load.seconds) == {"spooled"}
        uuid, body = next(iter(load.ledger.acknowledged.items()))
        assert get(server.port, f"/api/v1/events/{uuid}").body == body
        answer = get(server.port, "/api/v1/events")
        assert (answer.status, json.loads(answer.body)["code"]) == (503, "storage_unavailable")
        unknown = "83927d00-f46c-11e6-9f9b-3c15c2cc8f88"
        assert get(server.port, f"/api/v1/events/{unknown}").status == 503
        with remote:
            await until_drained(server)
            await check(url_of(server), load.ledger)
            assert server.terminate() == 0


@pytest.mark.parametrize("phase", ["while it spools", "while it drains"])
async def test_a_server_that_is_killed(tmp_path: Path, remote: RemoteProcess, seed: str, phase: str) -> None:
    """Kill -9 at random moments: after each start nothing that was acknowledged is missing, and nothing is twice."""
    random = Random(f"{seed}/{phase}")
    ledgers = []
    with make_server(tmp_path, remote.url) as server:
        for number in range(6):
            remote.kill()
            load = SpooledLoad(url_of(server), new_ledger(random), f"{seed}/{number}")
            running = asyncio.create_task(load.run())
            await asyncio.sleep(random.uniform(0.3, 1.0))
            if phase == "while it drains":
                await asyncio.to_thread(remote.start)
                await asyncio.sleep(random.uniform(0, 0.4))
            server.kill()
            await running
            if phase == "while it spools":
                await asyncio.to_thread(remote.start)
            await asyncio.to_thread(server.start)
            await until_drained(server)
            await check(url_of(server), load.ledger)
            ledgers.append(load.ledger)
        for ledger in ledgers:
            await check(url_of(server), ledger)
    assert sum(len(ledger.acknowledged) for ledger in ledgers) > 100


async def test_a_full_spool(tmp_path: Path, remote: RemoteProcess, seed: str) -> None:
    """507 and not ready when the store is away and the spool is full; when the store is back, all is well by itself."""
    with make_server(tmp_path, remote.url, SMRTFLOW_EVENT_SPOOL_MAX_BYTES="200 kB") as server:
        remote.kill()
        load = SpooledLoad(url_of(server), new_ledger(Random(seed)), seed)
        running = asyncio.create_task(load.run(4, batches=False))
        await until(lambda: bool(load.refused))
        # A large event may be refused while smaller ones still have room.
        while await asyncio.to_thread(server.probe, "/health/ready") != 503:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.1)
        load.stop()
        await running
        assert all(text.startswith("507") for text in load.refused), load.refused[:3]
        assert len(load.ledger.acknowledged) > 20
        parts = json.loads(get(server.port, "/health/ready").body)["parts"]
        assert parts["store"] == {"ready": False, "code": "storage_full"}
        assert parts["spool"]["events"] > 20
        await asyncio.to_thread(remote.start)
        await until_drained(server)
        assert server.probe("/health/ready") == 200
        for uuid in load.ledger.uncertain.keys() - load.ledger.acknowledged.keys():
            assert get(server.port, f"/api/v1/events/{uuid}").status == 404
        load.ledger.uncertain.clear()
        await check(url_of(server), load.ledger)


async def test_a_full_disk_under_the_spool(tmp_path: Path, remote: RemoteProcess, seed: str) -> None:
    """507 while the store is away and the disk is full; with room again it takes events, without a restart."""
    make_image(tmp_path / "disk.image", 48)
    with mounted(tmp_path / "disk.image", tmp_path / "disk") as disk:
        ballast = disk / "ballast"
        with make_server(disk, remote.url) as server:
            remote.kill()
            await asyncio.to_thread(ballast.write_bytes, bytes(shutil.disk_usage(disk).free - ROOM))
            load = SpooledLoad(url_of(server), new_ledger(Random(seed)), seed)
            running = asyncio.create_task(load.run(4))
            await until(lambda: bool(load.refused))
            assert all("storage_full" in text for text in load.refused), load.refused[:3]
            assert server.probe("/health/ready") == 503
            await asyncio.to_thread(ballast.unlink)
            await until(lambda: server.probe("/health/ready") == 200)
            load.refused.clear()
            count = len(load.ledger.acknowledged)
            await until(lambda: len(load.ledger.acknowledged) > count + 50)
            load.stop()
            await running
            await asyncio.to_thread(remote.start)
            await until_drained(server)
            await check(url_of(server), load.ledger)
            assert server.terminate() == 0


async def test_another_store_gets_what_waits(tmp_path: Path, remote: RemoteProcess, seed: str) -> None:
    """A switch of the URL with events in the spool drains them there: to another remote one, and to the file store."""
    remote.kill()
    for store in (None, "file:"):
        with make_server(tmp_path, remote.url) as server:
            load = SpooledLoad(url_of(server), new_ledger(Random(seed)), f"{seed}/{store}")
            running = asyncio.create_task(load.run())
            await asyncio.sleep(0.5)
            load.stop()
            await running
            assert server.terminate() == 0
        with RemoteProcess(tmp_path / f"other-{store}") as other, make_server(tmp_path, store or other.url) as server:
            await until_drained(server)
            await check(url_of(server), load.ledger)
            assert server.terminate() == 0


def command(folder: Path, store: str, *words: str) -> "subprocess.CompletedProcess[str]":
    """Run a command of the server."""
    environment = clean_environment(SMRTFLOW_EVENT_ROOT_DIR=str(folder / "root"), SMRTFLOW_EVENT_STORE=store)
    return subprocess.run(
        [sys.executable, "-m", *MODULE, *words],
        env=environment,
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )


async def test_the_commands(tmp_path: Path, remote: RemoteProcess, seed: str) -> None:
    """status, verify, export and drain, beside a running server and without one."""
    with make_server(tmp_path, remote.url) as server:
        remote.kill()
        load = SpooledLoad(url_of(server), new_ledger(Random(seed)), seed)
        running = asyncio.create_task(load.run(8))
        await asyncio.sleep(0.7)
        load.stop()
        await running
        count = len(load.ledger.acknowledged)
        for _ in ("beside the server", "without it"):
            told = command(tmp_path, remote.url, "spool", "status")
            assert told.returncode == 0, told.stderr
            assert told.stdout.startswith(f"events that wait: {count}, ")
            assert "the oldest arrived" in told.stdout
            assert ("the store has been away for" in told.stdout) != ("no server is running" in told.stdout)
            told = command(tmp_path, remote.url, "spool", "verify")
            assert (told.returncode, told.stdout) == (0, f"All is well: {count} events wait.\n")
            told = command(tmp_path, remote.url, "spool", "export")
            assert told.returncode == 0, told.stderr
            assert {json.loads(line)["uuid"] for line in told.stdout.splitlines()} == load.ledger.acknowledged.keys()
            server.kill()
        await asyncio.to_thread(remote.start)
        told = command(tmp_path, remote.url, "events", "list")
        assert (told.returncode, told.stdout) == (0, "")
        assert "Events wait in the spool" in told.stderr
        told = command(tmp_path, remote.url, "spool", "drain")
        assert (told.returncode, told.stdout) == (0, f"{count} events were handed over.\n"), told.stderr
        told = command(tmp_path, remote.url, "spool", "drain")
        assert (told.returncode, told.stdout) == (0, "Nothing waits.\n"), told.stderr
        await asyncio.to_thread(server.start)
        told = command(tmp_path, remote.url, "spool", "drain")
        assert (told.returncode, told.stdout) == (0, "Nothing waits.\n"), told.stderr
        await check(url_of(server), load.ledger)
