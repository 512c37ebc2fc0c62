"""kill -9 at random moments under load: what was acknowledged is there after the restart, once, with its content."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import NamedTuple
from uuid import UUID

import pytest

from support.soak import share_of
from tests.system.server_process import PROJECT, ServerProcess, clean_environment
from tests.system.workload import Ledger, Workload, check

Show = Callable[[str], None]


async def _load_and_kill(server: ServerProcess, workload: Workload, random: Random) -> None:
    """Load the server and kill it at a random moment."""
    sending = asyncio.create_task(workload.run())
    await asyncio.sleep(random.uniform(0.02, 0.8))
    server.kill(helpers=random.random() < 0.7)
    await sending


def _restart(server: ServerProcess, random: Random) -> float:
    """Start again, one time in four after a start that was killed too; returns the seconds it took."""
    server.kill()
    if random.random() < 0.25:
        server.launch()
        time.sleep(random.uniform(0, 1))
        server.kill()
    begin = time.monotonic()
    server.start()
    return time.monotonic() - begin


def _command(server: ServerProcess, *words: str) -> bytes:
    """Run a command of the server's on its directory and return what it wrote."""
    environment = clean_environment(SMRTFLOW_EVENT_ROOT_DIR=str(server.root))
    done = subprocess.run(
        [sys.executable, "-m", "eventserver", *words], env=environment, cwd=PROJECT, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


def _check_export(server: ServerProcess, ledgers: list[Ledger]) -> int:
    """Hold the exported log to all ledgers; returns how many events it has."""
    lines = _command(server, "export").splitlines()
    times = Counter(json.loads(line)["uuid"] for line in lines)
    repeated = [uuid for uuid, count in times.items() if count > 1]
    assert not repeated, f"exported more than once: {repeated[:5]}"
    found = {json.loads(line)["uuid"]: line for line in lines}
    for ledger in ledgers:
        for uuid, body in ledger.acknowledged.items():
            assert found.get(uuid, b"").startswith(body[:-1]), f"{uuid}: {found.get(uuid)!r}"
    return len(lines)


class Outcome(NamedTuple):
    """What became of some rounds."""

    acknowledged: int
    exported: int
    slowest_start: float

    def line(self, rounds: int) -> str:
        """Say it."""
        return (
            f"{rounds:,} kill rounds: {self.acknowledged:,} events acknowledged, none lost or doubled; "
            f"{self.exported:,} exported; slowest start {self.slowest_start:.2f} s"
        )


def _kill_rounds(folder: Path, rounds: int, seed: str) -> Outcome:
    """Kill and restart one server on one directory, again and again."""
    starts, ledgers = [], []
    with ServerProcess(folder / "root", folder / "server.log") as server:
        url = f"http://127.0.0.1:{server.port}"
        for number in range(rounds):
            random = Random(f"{seed}/{number}")
            ledger = Ledger(str(UUID(bytes=random.randbytes(16), version=4)))
            asyncio.run(_load_and_kill(server, Workload(url, ledger, f"{seed}/{number}/load"), random))
            starts.append(_restart(server, random))
            try:
                asyncio.run(check(url, ledger))
            except AssertionError as error:
                error.add_note(f"in round {number} with TEST_SEED={seed}\n{server.output()[-3000:]}")
                raise
            ledgers.append(ledger)
        for ledger in random.sample(ledgers, min(len(ledgers), 20)):
            asyncio.run(check(url, ledger))
        assert server.terminate() == 0, server.output()[-3000:]
        _command(server, "verify")
        exported = _check_export(server, ledgers)
    return Outcome(sum(len(one.acknowledged) for one in ledgers), exported, max(starts))


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_acknowledged_events_survive_kill(tmp_path: Path, seed: str, show: Show) -> None:
    """Over 20 rounds (KILL_ROUNDS) each acknowledged event is found once: by uuid, in its list, exported."""
    rounds = int(os.environ.get("KILL_ROUNDS", "20"))
    show(_kill_rounds(tmp_path, rounds, seed).line(rounds))


@pytest.mark.soak
def test_acknowledged_events_survive_1000_kills(tmp_path: Path, seed: str, show: Show, soak_result: Show) -> None:
    """The same over 1,000 rounds, 50 on each directory."""
    rounds, begin, outcomes = share_of(1000), time.monotonic(), []
    for start in range(0, rounds, 50):
        (folder := tmp_path / str(start)).mkdir()
        done = min(start + 50, rounds)
        outcomes.append(_kill_rounds(folder, done - start, f"{seed}-{start}"))
        shutil.rmtree(folder)
        each = (time.monotonic() - begin) / done
        show(f"{done:,} of {rounds:,} rounds, {each:.1f} s each; {each * (rounds - done) / 60:.0f} minutes more")
    acknowledged, exported, starts = zip(*outcomes, strict=True)
    soak_result(Outcome(sum(acknowledged), sum(exported), max(starts)).line(rounds))
