"""What the system tests share: a server for each test, or one for all bad input, held to its health."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Final

import pytest

from tests.system.bad_input import BODY_SECONDS, SYSTEM
from tests.system.loop_probe import LoopProbe
from tests.system.server_process import ServerProcess
from tests.system.wire import exchange, get, post
from tests.system.workload import make_event

LOOP_SECONDS: Final = float(os.environ.get("LOOP_SECONDS", "0.15"))
"""How long the event loop may be blocked: generous, since other tests share the machine; 0.05 is what is promised."""
MEMORY: Final = 64 * 1024 * 1024
"""How much one test may make the server grow."""
Show = Callable[[str], None]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    """Serve an empty directory."""
    with ServerProcess(tmp_path / "root", tmp_path / "server.log") as process:
        yield process


@pytest.fixture(scope="session")
def guarded_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Serve all tests of bad input: none may harm it."""
    folder = tmp_path_factory.mktemp("bad-input")
    limits = {"SMRTFLOW_EVENT_BODY_TIMEOUT_SECONDS": str(BODY_SECONDS)}
    with ServerProcess(folder / "root", folder / "server.log", **limits) as server:
        for _ in range(50):
            exchange(server.port, post(make_event(Random(), SYSTEM)[1]))
        yield server
        assert server.terminate() == 0, server.output()
        assert "Traceback" not in server.output(), server.output()


@pytest.fixture(scope="session")
def loop_probe(guarded_server: ServerProcess) -> Iterator[LoopProbe]:
    """Probe that server all the time."""
    with LoopProbe(guarded_server.process.pid, guarded_server.port) as probe:
        yield probe


@pytest.fixture
def guarded(
    guarded_server: ServerProcess, loop_probe: LoopProbe, request: pytest.FixtureRequest, show: Show
) -> Iterator[ServerProcess]:
    """Hold the server to its health around each test: it answers meanwhile, stays small, and loses nothing."""
    uuid, body = make_event(Random(), SYSTEM)
    assert exchange(guarded_server.port, post(body)).status == 201
    memory = guarded_server.anonymous_memory()
    loop_probe.longest_wait()
    yield guarded_server
    waited = loop_probe.longest_wait()
    grown = guarded_server.anonymous_memory() - memory
    if waited > 0.05 or grown > MEMORY / 4:
        show(f"{request.node.name}: waited {waited * 1000:.0f} ms, grew by {grown / 1e6:.0f} MB")
    assert get(guarded_server.port, f"/api/v1/events/{uuid}").body == body
    assert exchange(guarded_server.port, post(make_event(Random(), SYSTEM)[1])).status == 201
    assert waited < LOOP_SECONDS
    assert grown < MEMORY
