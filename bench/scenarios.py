"""What is measured: each function starts its servers on the first core, loads them from the second, returns figures."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any, Final, Self

from tests.system.server_process import PROJECT, ServerProcess

SERVER_CORE: Final = ["taskset", "-c", "0"]
LOAD_CORE: Final = ["taskset", "-c", "1"]
FILL_SEED: Final = 1_000
MILLION: Final = 1_000_000

Figures = dict[str, Any]


def load(kind: str, port: int, *, prefix: Sequence[str] = LOAD_CORE, **options: float | str) -> Figures:
    """Run the load generator, by default on its core.

    Args:
        kind: post, batch, put or get.
        port: of the server.
        prefix: words of a command that runs it.
        options: of the generator, by their long names.

    """
    words = [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    command = [*prefix, sys.executable, "-m", "bench.load", kind, "--port", str(port), *words]
    done = subprocess.run(command, cwd=PROJECT, stdout=subprocess.PIPE, check=True)
    figures: Figures = json.loads(done.stdout)
    return figures


def load_of(kind: str, server: ServerProcess, **options: Any) -> Figures:
    """Run the load generator against a server, and add the processor time that an event took there, in microseconds."""
    before = server.processor_seconds()
    figures = load(kind, server.port, **options)
    figures["processor_microseconds"] = (server.processor_seconds() - before) / figures["events_sent"] * 1e6
    return figures


@contextmanager
def bare() -> Iterator[ServerProcess]:
    """Run the bare application."""
    folder = PROJECT / "var" / "bench"
    server = ServerProcess(folder, folder / "bare.log", prefix=SERVER_CORE, module=["bench.bare"])
    try:
        yield server.start(path="/api/v1/events/any")
    finally:
        server.kill()


@contextmanager
def fresh_root() -> Iterator[Path]:
    """Make an empty data directory on the project's own disk, for the time of a block."""
    folder = PROJECT / "var" / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    root = Path(tempfile.mkdtemp(prefix="data-", dir=folder))
    try:
        yield root
    finally:
        shutil.rmtree(root)


@contextmanager
def serving(root: Path, *, prefix: Sequence[str] = SERVER_CORE, **environment: str) -> Iterator[ServerProcess]:
    """Run the server on a data directory, as out of the box but for an environment, and stop it cleanly."""
    with ServerProcess(root, root.with_suffix(".log"), prefix=prefix, **environment) as server:
        yield server
        code = server.terminate(120)
    assert code == 0, f"exit code {code}: {server.output()}"


class MemoryWatch:
    """The highest anonymous resident memory of a server over a block."""

    def __init__(self, server: ServerProcess) -> None:
        """Watch a server."""
        self.highest = 0
        self._server = server
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.25):
            self.highest = max(self.highest, self._server.anonymous_memory())


def _pairs(name: str, ours: list[Figures], theirs: list[Figures]) -> Figures:
    """Compare runs of the server with runs of the bare application, pair by pair."""
    rates = [[one["events_per_second"] for one in runs] for runs in (ours, theirs)]
    times = [[one["processor_microseconds"] for one in runs] for runs in (ours, theirs)]
    ratios = [one / other for one, other in zip(*rates, strict=True)]
    return {
        "name": name,
        "server": median(rates[0]),
        "bare": median(rates[1]),
        "ratio": median(ratios),
        "ratios": ratios,
        "processor_microseconds": {"server": median(times[0]), "bare": median(times[1])},
        "milliseconds": [one["milliseconds"] for one in ours],
    }


def single_posts(connections: int, pairs: int, seconds: float) -> Figures:
    """Alternate single POSTs to the server (an empty store each time) and to the bare application."""
    ours, theirs = [], []
    for seed in range(pairs):
        with fresh_root() as root, serving(root) as server:
            ours.append(load_of("post", server, connections=connections, seconds=seconds, seed=seed))
        with bare() as server:
            theirs.append(load_of("post", server, connections=connections, seconds=seconds, seed=seed))
    return _pairs(f"post_{connections}", ours, theirs)


def gets(pairs: int, seconds: float, stored: int) -> Figures:
    """Alternate GETs by uuid from the server and from the bare application, which returns a constant.

    The server runs all the time and is idle in between: after a start it would first read its log from the disk again.
    """
    ours, theirs = [], []
    with fresh_root() as root, serving(root) as server:
        load("batch", server.port, connections=4, events=stored, seconds=600, warm_up=0)
        for _ in range(pairs):
            ours.append(load_of("get", server, seconds=seconds, stored=stored))
            with bare() as peer:
                theirs.append(load_of("get", peer, seconds=seconds, stored=stored))
    return _pairs("get", ours, theirs)


def open_loop(rate: float, runs: int, seconds: float) -> Figures:
    """Send by a fixed schedule, and tell how late the answers were."""
    latencies = []
    for seed in range(runs):
        with fresh_root() as root, serving(root) as server:
            latencies.append(load("post", server.port, rate=rate, seconds=seconds, seed=seed)["milliseconds"])
    return {"name": "open_loop", "rate": rate, "p99": median(one["p99"] for one in latencies), "runs": latencies}


def batches(runs: int, events: int) -> Figures:
    """Post batches of 1,000 into an empty store, with four connections, until `events` are acknowledged."""
    rates, afterwards = [], []
    for seed in range(runs):
        with fresh_root() as root, serving(root) as server:
            figures = load("batch", server.port, connections=4, events=events, seconds=600, warm_up=0, seed=seed)
            rates.append(figures["events_per_second"])
            begin = time.monotonic()
            assert server.terminate(120) == 0
            afterwards.append(time.monotonic() - begin)
    return {"name": "batch", "rate": median(rates), "rates": rates, "events": events, "stop_seconds": afterwards}


def fill(root: Path, millions: int, unit: int = MILLION) -> list[float]:
    """Fill a store through the server, a unit of events at a time; returns the rate of each unit."""
    rates = []
    with serving(root) as server:
        for step in range(millions):
            figures = load(
                "batch", server.port, connections=4, events=unit, seconds=600, warm_up=0, seed=FILL_SEED + step
            )
            rates.append(figures["events_per_second"])
    return rates


def growth(sizes: list[int], rounds: int, seconds: float, unit: int = MILLION) -> Figures:
    """Compare stores of several sizes (in units), in turn, with a bare application in each turn.

    Returns:
        For each size the rates of POST and GET, relative to the bare application of the same round too; for the largest
        the fill's rates, the times to start, the memory, and the rate of batches.

    """
    roots = {size: Path(tempfile.mkdtemp(prefix=f"size-{size}-", dir=PROJECT / "var" / "bench")) for size in sizes}
    try:
        fills = {size: fill(root, size, unit) for size, root in roots.items() if size}
        rows: dict[int, dict[str, list[Figures]]] = {size: {"post": [], "get": []} for size in sizes}
        peers: dict[str, list[Figures]] = {"post": [], "get": []}
        for number in range(rounds):
            for size, root in roots.items():
                _measure_size(root, size, rows[size], number, seconds, unit)
            with bare() as peer:
                for kind, figures in peers.items():
                    figures.append(load_of(kind, peer, seconds=seconds))
        largest = roots[max(sizes)]
        return {
            "name": "growth",
            "unit": unit,
            "sizes": {
                size: {kind: _pairs(f"{kind} at {size}", rates[kind], peers[kind]) for kind in ("post", "get")}
                for size, rates in rows.items()
            },
            "fill": fills[max(sizes)],
            "start": starts(largest, rounds),
            **_memory_and_batch(largest, rounds, unit // 2),
        }
    finally:
        for root in roots.values():
            shutil.rmtree(root)


def _measure_size(
    root: Path, size: int, rates: dict[str, list[Figures]], number: int, seconds: float, unit: int
) -> None:
    if size == 0:
        shutil.rmtree(root)
        root.mkdir()
    with serving(root) as server:
        if size == 0:
            load("batch", server.port, connections=1, events=1_000, seconds=60, warm_up=0, seed=FILL_SEED)
        seed = 10_000 + size * 100 + number
        _warm(root)
        rates["post"].append(load_of("post", server, seconds=seconds, seed=seed))
        stored = {"seed": FILL_SEED, "seeds": max(1, size), "stored": unit if size else 1_000}
        rates["get"].append(load_of("get", server, seconds=seconds, **stored))


def _warm(root: Path) -> None:
    """Read all files, so that the page cache holds them as it does when a server has run for a while.

    A start drops the newest segment from the cache, to see what the disk really has.
    """
    for path in root.rglob("*"):
        if path.is_file():
            with path.open("rb", buffering=0) as file:
                while file.read(MILLION):
                    pass


def _memory_and_batch(root: Path, rounds: int, events: int) -> Figures:
    rates = []
    with serving(root) as server:
        at_rest = server.anonymous_memory()
        with MemoryWatch(server) as watch:
            load("post", server.port, seconds=5, seed=20_000)
            load("get", server.port, seconds=5, seed=FILL_SEED, stored=1_000)
            for number in range(rounds):
                options = {"connections": 4, "events": events, "seconds": 600, "warm_up": 0, "seed": 30_000 + number}
                rates.append(load("batch", server.port, **options)["events_per_second"])
    return {"memory": {"at_rest": at_rest, "highest": watch.highest}, "batch": {"rate": median(rates), "rates": rates}}


def starts(root: Path, rounds: int) -> Figures:
    """Time the start: of an empty store, after a clean stop, and after kill -9 under load; launch to ready."""
    times: dict[str, list[float]] = {"empty": [], "clean": [], "killed": []}
    server = ServerProcess(root, root.with_suffix(".log"), prefix=SERVER_CORE)
    for number in range(rounds):
        with fresh_root() as empty, ServerProcess(empty, empty.with_suffix(".log"), prefix=SERVER_CORE) as other:
            other.kill()
            shutil.rmtree(empty)
            times["empty"].append(_timed_start(other))
        times["clean"].append(_timed_start(server))
        loading = threading.Thread(target=_load_until_killed, args=(server.port, 40_000 + number))
        loading.start()
        time.sleep(2 + number % 3)
        server.kill()
        loading.join()
        times["killed"].append(_timed_start(server))
        server.terminate(120)
    return times


def _timed_start(server: ServerProcess) -> float:
    begin = time.monotonic()
    server.start()
    return time.monotonic() - begin


def _load_until_killed(port: int, seed: int) -> None:
    command = [*LOAD_CORE, sys.executable, "-m", "bench.load", "post", "--port", str(port), "--seed", str(seed)]
    subprocess.run([*command, "--seconds", "60"], cwd=PROJECT, capture_output=True, check=False, env=dict(os.environ))
