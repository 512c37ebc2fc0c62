"""A person at a terminal sees how far it is; a file or a pipe gets none of that."""

import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

from tests.support.command_line import Run, Store
from tests.support.events import make_event
from tests.system.server_process import ServerProcess, clean_environment

SECONDS: Final = 30


def shown(arguments: Sequence[str], stop_after: str = "") -> str:
    """Run a command with standard error on a terminal, stop it once that shows a word, and return what it showed."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "eventserver", *arguments]
    environment = clean_environment(TERM="xterm", COLUMNS="120")
    output, deadline = b"", time.monotonic() + SECONDS
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=theirs) as process:
        os.close(theirs)
        try:
            while time.monotonic() < deadline:
                try:
                    output += os.read(ours, 65536)
                except OSError:  # the other end is closed
                    break
                if stop_after and stop_after.encode() in output:
                    process.send_signal(signal.SIGTERM)
                    stop_after = ""
            assert process.wait(SECONDS) == 0
        finally:
            process.kill()
            os.close(ours)
    return output.decode(errors="replace")


def test_a_copy_shows_how_many_events_are_copied(root: Path, tmp_path: Path, store: Store) -> None:
    """With --follow too, and what it says stands beside it."""
    store([make_event() for _ in range(1200)])
    copy = ("copy", "--from", "file:", "--root", str(root), "--to")
    once = shown([*copy, f"file://{tmp_path}/one"])
    assert "copying events" in once
    assert "1200/" in once
    followed = shown([*copy, f"file://{tmp_path}/two", "--follow"], stop_after="caught up")
    assert "1200/" in followed
    assert "caught up after 1200 events; copying what arrives" in followed


def test_a_comparison_shows_how_many_events_are_compared(run: Run, root: Path, tmp_path: Path, store: Store) -> None:
    """Of both stores together, each pair once."""
    store([make_event() for _ in range(1200)])
    run("copy", "--from", "file:", "--to", f"file://{tmp_path}/one", "--root", root)
    comparison = shown(["compare", "--from", "file:", "--to", f"file://{tmp_path}/one", "--root", str(root)])
    assert "comparing events" in comparison
    assert "1200/" in comparison


def test_a_simulation_shows_how_many_events_of_how_many_are_sent(root: Path, tmp_path: Path) -> None:
    """In batches, each event counts."""
    with ServerProcess(root, tmp_path / "server.log"):
        arguments = ["simulate", "--root", str(root), "--systems", "5", "--days", "4", "--until", "2026-11-24"]
        simulation = shown([*arguments, "--seed", "a"])
    assert "sending events" in simulation
    assert any(done == total != "0" for done, total in re.findall(r"(\d+)/(\d+)", simulation))


@pytest.mark.parametrize("command", ["copy", "compare"])
def test_what_is_no_terminal_gets_no_bar(run: Run, root: Path, tmp_path: Path, store: Store, command: str) -> None:
    """Nothing at all on standard error."""
    store([make_event()])
    run("copy", "--from", "file:", "--to", f"file://{tmp_path}/one", "--root", root)
    assert run(command, "--from", "file:", "--to", f"file://{tmp_path}/one", "--root", root).stderr == ""
