"""Kill -9 of who publishes and of the event server, again and again, beside a webhook receiver that fails at random."""

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Final, NamedTuple

import pytest

from support.soak import share_of
from tests.system.failing_receiver import failing_receiver, wait_for_all
from tests.system.server_process import PROJECT, ServerProcess, clean_environment
from tests.system.webhook_receiver import SECRET
from tests.system.wire import exchange, request

Show = Callable[[str], None]
_FAILING_SHARE: Final = 0.05
_TOML: Final = """
[listeners.central]
type = "webhook"
url = "http://127.0.0.1:{server}/api/v1/events"
allowed_networks = ["127.0.0.0/8"]
first_wait_seconds = 0.05
longest_wait_seconds = 0.5
tries = 10000

[listeners.hook]
type = "webhook"
url = "http://127.0.0.1:{hook}/hook"
secret = "env:HOOK_SECRET"
allowed_networks = ["127.0.0.0/8"]
first_wait_seconds = 0.02
longest_wait_seconds = 0.1
timeout_seconds = 0.5
tries = 100
"""


class Outcome(NamedTuple):
    """What came of some rounds."""

    told: int
    """Events whose publisher was told that they are safe."""
    stored: int
    """Events at the event server."""
    deliveries: int
    """What the webhook receiver took."""

    def line(self, rounds: int) -> str:
        """Return it in words."""
        return (
            f"{rounds:,} kills of who publishes, in every other one of the event server too: {self.told:,} events "
            f"published, all at the server once ({self.stored:,}) and at a failing webhook ({self.deliveries:,} posts)"
        )


def _publisher(folder: Path, count: int) -> subprocess.Popen[str]:
    """Start a program that publishes."""
    words = [str(folder / "smrtlink"), str(folder / "listeners.toml"), str(count)]
    return subprocess.Popen(
        [sys.executable, "-m", "tests.system.publishing_sender", *words],
        stdout=subprocess.PIPE,
        text=True,
        cwd=PROJECT,
        env=clean_environment(HOOK_SECRET=SECRET.decode()),
    )


def _publish_and_kill(folder: Path, server: ServerProcess, random: Random, *, with_server: bool) -> list[str]:
    """Publish until a random moment; return what was told to be safe."""
    with _publisher(folder, 100_000) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        time.sleep(random.uniform(0, 0.5))
        if with_server:
            server.kill()
            time.sleep(random.uniform(0, 0.3))
        process.kill()
        told = [line.strip() for line in [first, *process.stdout] if line.endswith("\n")]
    if with_server:
        server.start()
    return told


def _stored(server: ServerProcess) -> list[str]:
    answer = exchange(server.port, request("GET", "/api/v1/events", headers=[("Accept", "application/x-ndjson")]))
    return [json.loads(line)["uuid"] for line in answer.body.splitlines()]


def _kill_rounds(folder: Path, rounds: int, seed: str) -> Outcome:
    told: list[str] = []
    with (
        failing_receiver(folder, _FAILING_SHARE) as (port, taken),
        ServerProcess(folder / "root", folder / "server.log") as server,
    ):
        (folder / "listeners.toml").write_text(_TOML.format(server=server.port, hook=port))
        for number in range(rounds):
            random = Random(f"{seed}/{number}")
            told += _publish_and_kill(folder, server, random, with_server=number % 2 == 1)
        with _publisher(folder, 0) as process:
            assert process.wait(600) == 0
        stored, deliveries = _stored(server), wait_for_all(taken, set(told), 300)
    assert len(told) > rounds
    assert max(Counter(stored).values()) == 1
    # What was not told to be safe may be there too: the kill came between the disk and the word.
    assert set(told) <= set(stored) == set(deliveries)
    assert not list((folder / "smrtlink").rglob("dead-letters/*/*.ndjson"))
    return Outcome(len(told), len(stored), deliveries.total())


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_what_was_published_is_stored_once(tmp_path: Path, seed: str, show: Show) -> None:
    """Over 4 rounds each event that was safe is at the event server once, and at the webhook at least once."""
    show(_kill_rounds(tmp_path, 4, seed).line(4))


@pytest.mark.soak
def test_what_was_published_survives_300_kills(tmp_path: Path, seed: str, show: Show, soak_result: Show) -> None:
    """The same over 300 rounds, 25 on each directory."""
    rounds, outcomes = share_of(300), list[Outcome]()
    for start in range(0, rounds, 25):
        (folder := tmp_path / str(start)).mkdir()
        done = min(start + 25, rounds)
        outcomes.append(_kill_rounds(folder, done - start, f"{seed}-{start}"))
        show(f"{done} of {rounds} rounds")
    soak_result(Outcome(*map(sum, zip(*outcomes, strict=True))).line(rounds))
