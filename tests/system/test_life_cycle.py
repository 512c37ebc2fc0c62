"""Signals to a real process: SIGTERM finishes what has begun, SIGHUP takes the schemas anew."""

import asyncio
import json
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from tests.system.server_process import PROJECT, ServerProcess
from tests.system.wire import Answer, Wire, exchange, get, post, request
from tests.system.workload import Ledger, Workload, check, make_event

SYSTEM = "8d2c3ab4-f46e-11e6-a35c-3c15c2cc8f88"
PATIENCE = 10.0


def _terminate_behind(server: ServerProcess) -> threading.Thread:
    """Send SIGTERM and wait for the end in another thread."""
    thread = threading.Thread(target=server.terminate)
    thread.start()
    deadline = time.monotonic() + PATIENCE
    while server.probe("/health/live", 1.0) and time.monotonic() < deadline:
        time.sleep(0.02)
    return thread


def test_stop_finishes_a_half_received_request(server: ServerProcess) -> None:
    """A request whose body is half received when SIGTERM comes is answered 201 and stored; then the exit code is 0."""
    uuid, body = make_event(Random(1), SYSTEM)
    data = post(body)
    with Wire(server.port) as wire:
        wire.send(data[:-40])
        time.sleep(0.2)
        ending = _terminate_behind(server)
        time.sleep(0.3)
        assert server.process.poll() is None
        wire.send(data[-40:])
        answer = wire.answer()
        assert (answer.status, answer.body) == (201, body)
        assert wire.closed()
    ending.join()
    assert server.process.returncode == 0, server.output()
    server.start()
    assert get(server.port, f"/api/v1/events/{uuid}").body == body


def test_stop_closes_idle_connections(server: ServerProcess) -> None:
    """Connections that only wait for a next request do not hold up a stop."""
    with Wire(server.port) as idle, Wire(server.port):
        idle.send(request("GET", "/status"))
        assert idle.answer().status == 200
        begin = time.monotonic()
        assert server.terminate() == 0
        assert time.monotonic() - begin < 5
        assert idle.closed()


def test_stop_does_not_wait_forever(tmp_path: Path) -> None:
    """A request that never arrives whole holds up a stop for the time limit only, and the exit code is 0."""
    with (
        ServerProcess(
            tmp_path / "root", tmp_path / "server.log", SMRTFLOW_EVENT_SHUTDOWN_TIMEOUT_SECONDS="1"
        ) as server,
        Wire(server.port) as wire,
    ):
        wire.send(post(make_event(Random(2), SYSTEM)[1])[:-1])
        time.sleep(0.2)
        assert server.terminate(15) == 0, server.output()


def test_stop_under_load_loses_nothing(server: ServerProcess) -> None:
    """SIGTERM under load: exit code 0, and each acknowledged event is there after the next start."""
    url, ledger = f"http://127.0.0.1:{server.port}", Ledger(SYSTEM)

    async def load_and_stop() -> int:
        sending = asyncio.create_task(Workload(url, ledger, "stop").run())
        await asyncio.sleep(1)
        code = await asyncio.to_thread(server.terminate)
        await sending
        return code

    assert asyncio.run(load_and_stop()) == 0, server.output()
    assert len(ledger.acknowledged) > 100
    server.start()
    asyncio.run(check(url, ledger))


def test_second_start_on_the_port_is_one_line(server: ServerProcess, tmp_path: Path) -> None:
    """A port that is taken is a clear error at the start, not a trace."""
    second = ServerProcess(tmp_path / "other", tmp_path / "second.log", SMRTFLOW_SERVER_PORT=str(server.port))
    assert second.run_to_its_end() in {1, 2}
    assert str(server.port) in second.output()
    assert "Traceback" not in second.output()


@pytest.fixture
def schemas(tmp_path: Path) -> Path:
    """Copy the schemas that come with the server."""
    return shutil.copytree(PROJECT / "schemas", tmp_path / "schemas")


@pytest.fixture
def reloading(schemas: Path, tmp_path: Path) -> Iterator[ServerProcess]:
    """Serve with schemas that only SIGHUP reloads."""
    with ServerProcess(
        tmp_path / "root",
        tmp_path / "server.log",
        SMRTFLOW_EVENT_SCHEMA_DIR=str(schemas),
        SMRTFLOW_EVENT_SCHEMA_POLL_SECONDS="3600",
    ) as server:
        yield server


def _post_type(server: ServerProcess, event_type_id: str) -> Answer:
    body = make_event(Random(), SYSTEM)[1].replace(b"smrtlink_job_change_state", event_type_id.encode())
    return exchange(server.port, post(body))


def _await_status(server: ServerProcess, event_type_id: str, status: int) -> Answer:
    deadline = time.monotonic() + PATIENCE
    while (answer := _post_type(server, event_type_id)).status != status and time.monotonic() < deadline:
        time.sleep(0.05)
    assert answer.status == status, answer
    return answer


def test_reload_by_signal(reloading: ServerProcess, schemas: Path) -> None:
    """After SIGHUP an event type whose schema was added is taken, without a restart."""
    assert _post_type(reloading, "sl_new_type").code == "unknown_event_type"
    shutil.copytree(schemas / "sl_test_event", schemas / "sl_new_type")
    reloading.reload()
    _await_status(reloading, "sl_new_type", 201)


def test_reload_of_a_bad_file_changes_nothing(reloading: ServerProcess, schemas: Path) -> None:
    """After SIGHUP with a broken schema the set before stays in force, and the log says which file and why."""
    bad = schemas / "smrtlink_job_change_state" / "1.json"
    good = bad.read_text()
    bad.write_text(good[: len(good) // 2])
    shutil.copytree(schemas / "sl_test_event", schemas / "sl_new_type")
    reloading.reload()
    deadline = time.monotonic() + PATIENCE
    while "smrtlink_job_change_state/1.json" not in reloading.output() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert "smrtlink_job_change_state/1.json" in reloading.output()
    assert _post_type(reloading, "smrtlink_job_change_state").status == 201
    assert _post_type(reloading, "sl_new_type").code == "unknown_event_type"
    bad.write_text(good)
    reloading.reload()
    _await_status(reloading, "sl_new_type", 201)


def test_signals_under_load_refuse_nobody(reloading: ServerProcess) -> None:
    """A reload under load refuses no event."""
    url, ledger = f"http://127.0.0.1:{reloading.port}", Ledger(SYSTEM)

    async def load_and_reload() -> None:
        workload = Workload(url, ledger, "reload")
        sending = asyncio.create_task(workload.run())
        for _ in range(5):
            await asyncio.sleep(0.2)
            reloading.reload()
        workload.stop()
        await sending

    asyncio.run(load_and_reload())
    asyncio.run(check(url, ledger))
    assert json.loads(get(reloading.port, "/status").body)["uptime"] > 0
