"""A server's process is ours to end, and never outlives us."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from servers.errors import NoServer
from servers.ports import free_port
from servers.runner import ProcessRunner
from servers.server import RealServer

TESTS = Path(__file__).parents[1]
CRASH = """
import os, signal, sys
from pathlib import Path
from servers.runner import ProcessRunner
runner = ProcessRunner(["sleep", "1000"], Path(sys.argv[1]))
runner.launch()
if sys.argv[2] == "paused":
    runner.pause()
print(runner.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


class _Server(RealServer):
    """Ready when its log says so."""

    def __init__(self, script: str, log: Path) -> None:
        super().__init__("the server", ProcessRunner(["sh", "-c", script], log))

    def ready(self) -> bool:
        return "ready" in self._runner.output()


@pytest.fixture
def runner(tmp_path: Path) -> Iterator[ProcessRunner]:
    """A process that runs."""
    runner = ProcessRunner(["sleep", "1000"], tmp_path / "log")
    runner.launch()
    yield runner
    runner.kill()


def _runs(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("how", ["running", "paused"])
def test_it_ends_when_the_tests_are_killed(tmp_path: Path, how: str) -> None:
    """Also when it is stopped and can do nothing itself."""
    environment = {**os.environ, "PYTHONPATH": str(TESTS)}
    command = [sys.executable, "-c", CRASH, str(tmp_path / "log"), how]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == -signal.SIGKILL, done.stderr
    deadline = time.monotonic() + 10
    while _runs(int(done.stdout)) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not _runs(int(done.stdout))


@pytest.mark.parametrize("end", ["kill", "terminate"])
@pytest.mark.parametrize("paused", [False, True])
def test_it_can_be_ended_and_started_again(runner: ProcessRunner, end: str, *, paused: bool) -> None:
    """Also out of a pause; ending it twice is harmless."""
    process = runner.pid
    if paused:
        runner.pause()
    begun = time.monotonic()
    getattr(runner, end)()
    getattr(runner, end)()
    assert time.monotonic() - begun < 20
    assert runner.ended()
    assert not _runs(process)
    runner.launch()
    assert not runner.ended()


def test_nothing_is_left_to_watch_over_it(runner: ProcessRunner) -> None:
    """The watchdog goes with it."""
    assert runner._watchdog is not None
    watchdog = runner._watchdog._process
    runner.kill()
    assert watchdog.returncode is not None


def test_a_server_that_ends_instead_of_starting_shows_its_log(tmp_path: Path) -> None:
    """At once, not after the time to get ready."""
    with pytest.raises(NoServer, match=r"the server ended instead of starting[^\n]*\ndisk on fire"):
        _Server("echo disk on fire; exit 3", tmp_path / "log").start()


def test_a_server_that_does_not_get_ready_shows_its_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And does not go on running."""
    monkeypatch.setattr("servers.server.READY_SECONDS", 0.5)
    server = _Server("echo looking for a cluster; sleep 1000", tmp_path / "log")
    with pytest.raises(NoServer, match=r"the server is not ready[^\n]*\nlooking for a cluster"), server:
        pass
    assert server._runner.ended()


def test_a_port_is_none_that_outgoing_connections_get() -> None:
    """A client that waits for its server would else be able to connect with itself."""
    first, _ = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    assert all(1024 < free_port() < first for _ in range(100))
