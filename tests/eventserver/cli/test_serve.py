"""``eventserver serve`` that can't serve: one line that says why, an exit code, never a trace."""

import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from backends.lock import DirectoryLock, holder_of
from tests.support.command_line import Run

Refused = tuple[int, list[str]]


def serve(*options: object) -> Refused:
    """Run a server that should not come up, and return its exit code and what it said."""
    command = [sys.executable, "-m", "eventserver", "serve", "--host", "127.0.0.1", *map(str, options)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert "Traceback" not in ended.stderr
    return ended.returncode, [line for line in ended.stderr.splitlines() if line.startswith("Error: ")]


@pytest.fixture
def running(root: Path) -> Iterator[str]:
    """A server on the root; its address as it stands in the lock file."""
    command = [sys.executable, "-m", "eventserver", "serve", "--host", "127.0.0.1", "--port", "0", "--root", root]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 30
        while not (holder := holder_of(root) or "").startswith("pid "):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield holder
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


@pytest.mark.parametrize("same_port", [True, False])
def test_a_second_server_is_refused_and_told_who_has_the_directory(
    root: Path, running: str, *, same_port: bool
) -> None:
    """Exit code 2; also when the first thing that it can't have is the port."""
    match = re.fullmatch(r"pid \d+ at http://127\.0\.0\.1:(\d+)", running)
    assert match
    port = match[1] if same_port else "0"
    assert serve("--root", root, "--port", port) == (2, [f"Error: {root} is in use by {running}"])


def test_a_command_that_owns_the_directory_is_named_too(root: Path) -> None:
    """Whatever it is that has it."""
    with DirectoryLock(root, "pid 1, eventserver import"):
        assert serve("--root", root, "--port", 0) == (2, [f"Error: {root} is in use by pid 1, eventserver import"])


def test_a_port_that_somebody_else_has_is_named(root: Path) -> None:
    """Exit code 1: it may be free later."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        expected = f"Error: can't listen on 127.0.0.1:{port}: Address already in use"
        assert serve("--root", root, "--port", port) == (1, [expected])


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 1; here a file stands in its place."""
    root = tmp_path / "file"
    root.write_text("")
    monkeypatch.setenv("SMRTFLOW_EVENT_ROOT_DIR", str(root))
    assert serve("--port", 0) == (1, [f"Error: the data directory {root} can't be written: File exists"])


def test_a_directory_without_schemas_is_named(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 2."""
    monkeypatch.setenv("SMRTFLOW_EVENT_SCHEMA_DIR", str(tmp_path / "none"))
    code, lines = serve("--root", root, "--port", 0)
    assert code == 2
    assert str(tmp_path / "none") in lines[0]


def test_a_store_that_nobody_knows_is_named(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 2."""
    monkeypatch.setenv("SMRTFLOW_EVENT_STORE", "oracle://host")
    code, lines = serve("--root", root, "--port", 0)
    assert code == 2
    assert "'oracle://host'" in lines[0]


def test_a_port_that_is_none_is_wrong_usage(run: Run) -> None:
    """Exit code 2, before anything is opened."""
    assert run("serve", "--port", "http").exit_code == 2
    result = run("serve", "--port", 70000)
    assert result.exit_code == 2
    assert "SMRTFLOW_SERVER_PORT (command line)" in result.stderr
