"""Kill -9 of the sender and of the server, again and again: each event that was safe arrives, and once."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Final

import pytest

from tests.system.server_process import PROJECT, ServerProcess, clean_environment
from tests.system.wire import exchange, request

ROUNDS: Final = 6


def sender(server: ServerProcess, spool: Path, count: int) -> subprocess.Popen[str]:
    """Start a sender."""
    return subprocess.Popen(
        [
            sys.executable,
            "-m",
            "tests.system.spooling_sender",
            f"http://127.0.0.1:{server.port}",
            str(spool),
            str(count),
        ],
        stdout=subprocess.PIPE,
        text=True,
        cwd=PROJECT,
        env=clean_environment(PYTHONPATH=f"{PROJECT}:{PROJECT / 'tests'}"),
    )


@pytest.mark.slow
@pytest.mark.seeds(1)
def test_what_was_safe_in_the_spool_is_stored_once(seed: int, tmp_path: Path, show: Callable[[str], None]) -> None:
    """Events that were not told to be safe may be stored too: the kill came between the disk and the word."""
    random, told = Random(seed), list[str]()
    with ServerProcess(tmp_path / "root", tmp_path / "server.log") as server:
        for number in range(ROUNDS):
            with sender(server, tmp_path / "spool", 10_000) as process:
                assert process.stdout is not None
                first = process.stdout.readline()
                time.sleep(random.uniform(0, 0.8))
                if number % 2:
                    server.kill()
                    time.sleep(random.uniform(0, 0.5))
                process.kill()
                told += [line.strip() for line in [first, *process.stdout] if line.endswith("\n")]
            if number % 2:
                server.start()
        with sender(server, tmp_path / "spool", 0) as process:
            output, _ = process.communicate(timeout=90)
        assert output == "delivered\n"

        answer = exchange(server.port, request("GET", "/api/v1/events", headers=[("Accept", "application/x-ndjson")]))
        stored = [json.loads(line)["uuid"] for line in answer.body.splitlines()]
    show(f"{ROUNDS} kills of the sender, {ROUNDS // 2} of the server: {len(told)} told, {len(stored)} stored")
    assert len(told) > ROUNDS
    assert len(stored) == len(set(stored))
    assert set(told) <= set(stored)
    assert not list((tmp_path / "spool" / "dead-letters").rglob("*.ndjson"))
