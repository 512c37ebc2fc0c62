"""A power cut: what the disk held at one moment, and nothing that was only in memory, is all that a start has.

The data directory is on an ext4 file system in an image. Under load the server is stopped for the moment that a copy of
the image takes (so that the copy is of one moment): what the kernel had not yet written is not in it. The copy is
mounted, which replays its journal, and served.
"""

import asyncio
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from random import Random
from uuid import UUID

import pytest

from support.soak import share_of
from tests.system.loop_device import make_image, mounted, require_root
from tests.system.server_process import ServerProcess
from tests.system.workload import Ledger, Workload, check

Show = Callable[[str], None]
MEGABYTES = 192


def _cut_power(server: ServerProcess, image: Path, copy: Path, ledger: Ledger) -> Ledger:
    """Copy the image as it is at one moment.

    Returns:
        What had been acknowledged before that moment; all else is uncertain.

    """
    server.stop_clock()
    before = Ledger(ledger.system)
    before.acknowledged = dict(ledger.acknowledged)
    subprocess.run(["cp", "--sparse=always", str(image), str(copy)], check=True)
    server.go_on()
    return before


async def _load_and_cut(server: ServerProcess, image: Path, copies: list[Path], random: Random) -> list[Ledger]:
    """Load the server, and cut the power several times in the meantime."""
    ledger = Ledger(str(UUID(bytes=random.randbytes(16), version=4)))
    workload = Workload(f"http://127.0.0.1:{server.port}", ledger, str(random.random()))
    sending = asyncio.create_task(workload.run())
    cuts = []
    for copy in copies:
        await asyncio.sleep(random.uniform(0.1, 1.5))
        cuts.append(_cut_power(server, image, copy, ledger))
    workload.stop()
    await sending
    for cut in cuts:
        cut.uncertain = {uuid: {body} for uuid, body in ledger.acknowledged.items()}
        for uuid, bodies in ledger.uncertain.items():
            cut.uncertain.setdefault(uuid, set()).update(bodies)
        cut.broken = ledger.broken
    return cuts


def _power_cuts(folder: Path, rounds: int, seed: str) -> int:
    """Cut the power several times and serve each copy; returns how many acknowledged events were looked for."""
    require_root()
    random = Random(seed)
    image, copies = folder / "disk.image", [folder / f"cut-{number}.image" for number in range(rounds)]
    make_image(image, MEGABYTES)
    with mounted(image, folder / "disk") as disk, ServerProcess(disk / "root", folder / "server.log") as server:
        cuts = asyncio.run(_load_and_cut(server, image, copies, random))
        assert server.terminate() == 0, server.output()
    for copy, cut in zip(copies, cuts, strict=True):
        _serve_copy(copy, cut, folder / "after", seed)
        copy.unlink()
    return sum(len(cut.acknowledged) for cut in cuts)


def _serve_copy(copy: Path, cut: Ledger, point: Path, seed: str) -> None:
    log = copy.with_suffix(".log")
    with mounted(copy, point) as disk, ServerProcess(disk / "root", log) as server:
        try:
            asyncio.run(check(f"http://127.0.0.1:{server.port}", cut))
        except AssertionError as error:
            error.add_note(f"{copy} with TEST_SEED={seed}\n{server.output()[-3000:]}")
            raise
        assert server.terminate() == 0, server.output()


def _line(rounds: int, acknowledged: int) -> str:
    return f"{rounds} power cuts: {acknowledged:,} events acknowledged before them, none lost or doubled"


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_acknowledged_events_survive_power_cuts(tmp_path: Path, seed: str, show: Show) -> None:
    """What was acknowledged before a power cut is there after it, by uuid and in the list, over 5 cuts (POWER_CUTS)."""
    rounds = int(os.environ.get("POWER_CUTS", "5"))
    show(_line(rounds, _power_cuts(tmp_path, rounds, seed)))


@pytest.mark.soak
def test_acknowledged_events_survive_100_power_cuts(tmp_path: Path, seed: str, soak_result: Show) -> None:
    """The same over 100 cuts, 5 of each disk."""
    rounds, acknowledged = share_of(100), 0
    for start in range(0, rounds, 5):
        (folder := tmp_path / str(start)).mkdir()
        acknowledged += _power_cuts(folder, min(5, rounds - start), f"{seed}-{start}")
        shutil.rmtree(folder)
    soak_result(_line(rounds, acknowledged))
