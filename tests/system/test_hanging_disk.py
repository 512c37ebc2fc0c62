"""A disk that does not answer: nothing is acknowledged, and the server can be stopped."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from tests.system.server_process import ServerProcess
from tests.system.wire import exchange, get, post
from tests.system.workload import make_event

SYSTEM = "8d2c3ab4-f46e-11e6-a35c-3c15c2cc8f88"
STORE_SECONDS = 2
STOP_SECONDS = 12
"""A request in flight fails after 1.25 times the store's limit, the index is left after a second; and some to spare."""


@pytest.fixture
def switch(tmp_path: Path) -> Path:
    """The disk hangs once this file is there."""
    return tmp_path / "hang"


@pytest.fixture
def hanging(tmp_path: Path, switch: Path) -> Iterator[ServerProcess]:
    """Serve on that disk."""
    with ServerProcess(
        tmp_path / "root",
        tmp_path / "server.log",
        module=("tests.system.hanging_server", "serve"),
        HANG_WHEN_THERE=str(switch),
        SMRTFLOW_EVENT_STORE_TIMEOUT_SECONDS=str(STORE_SECONDS),
    ) as server:
        yield server


def stop(server: ServerProcess) -> float:
    """Send SIGTERM, hold the server to exit code 0, and return how long it took."""
    begun = time.monotonic()
    assert server.terminate() == 0, server.output()
    return time.monotonic() - begun


def test_stop_on_a_disk_that_hangs(hanging: ServerProcess, switch: Path) -> None:
    """Posts get 503, then SIGTERM ends it in time: exit code 0, a line says what was left, nothing is lost."""
    acknowledged = {}
    random = Random(1)
    for _ in range(20):
        uuid, body = make_event(random, SYSTEM)
        assert exchange(hanging.port, post(body)).status == 201
        acknowledged[uuid] = body
    switch.touch()
    answer = exchange(hanging.port, post(make_event(random, SYSTEM)[1]))
    assert (answer.status, answer.code) == (503, "storage_unavailable")
    assert get(hanging.port, f"/api/v1/events/smrt-link/{SYSTEM}").status == 503
    assert get(hanging.port, "/health/ready").status == 503
    assert stop(hanging) < STOP_SECONDS
    assert "unsynced lines: 1, none was acknowledged" in hanging.output()
    assert "Traceback" not in hanging.output()
    switch.unlink()
    hanging.start()
    for uuid, body in acknowledged.items():
        assert get(hanging.port, f"/api/v1/events/{uuid}")[::2] == (200, body)


def test_stop_while_posts_wait_for_a_disk_that_hangs(hanging: ServerProcess, switch: Path) -> None:
    """Requests in flight at SIGTERM are answered 503; then the process ends."""
    random = Random(2)
    assert exchange(hanging.port, post(make_event(random, SYSTEM)[1])).status == 201
    switch.touch()
    statuses: list[int] = []
    senders = [
        threading.Thread(target=lambda body: statuses.append(exchange(hanging.port, post(body)).status), args=(body,))
        for _, body in (make_event(random, SYSTEM) for _ in range(8))
    ]
    for sender in senders:
        sender.start()
    time.sleep(0.5)
    assert stop(hanging) < STOP_SECONDS
    for sender in senders:
        sender.join()
    assert statuses == [503] * 8
    assert "Traceback" not in hanging.output()


def test_stop_while_a_refused_event_waits_to_be_kept(hanging: ServerProcess, switch: Path) -> None:
    """What can't be kept is not refused either, and the process ends all the same."""
    assert exchange(hanging.port, post(make_event(Random(3), SYSTEM)[1])).status == 201
    switch.touch()
    assert exchange(hanging.port, post(b"{")).status == 503
    assert stop(hanging) < STOP_SECONDS + 20
