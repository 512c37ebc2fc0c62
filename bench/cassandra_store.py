"""What the Cassandra store costs: the server in front of a real Cassandra of one node, compared with its driver alone.

Everything runs on the same two cores, bound to none: the load generator, the server and Cassandra share them, as
they do on a small machine. Each run writes into a keyspace of its own, which is dropped afterwards.
"""

import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.client import HTTPConnection
from pathlib import Path
from statistics import median
from typing import Any, Final

from bench.events import SYSTEMS
from bench.remote import compare, metric, processor_seconds, until_up
from bench.scenarios import Figures, fresh_root, load_of, serving
from servers.cassandra import GROUP, PERIODIC, Cassandra, on_java
from tests.system.server_process import PROJECT, ServerProcess

CONNECTIONS: Final = 64
FREE: Final = ("nice", "-n", "0")
"""Bound to no core."""
DURABILITY: Final = {"group": GROUP, "periodic": PERIODIC}
KINDS: Final = ("claims", "grouped", "inserts")
PAGE: Final = 100
LIST: Final = f"/api/v1/events/smrt-link/{SYSTEMS[0]}"


class Bench:
    """A running Cassandra, and the server in front of it."""

    def __init__(self, cassandra: Cassandra) -> None:
        """Use a server that has started."""
        self.cassandra = cassandra
        self._number = 0

    @contextmanager
    def keyspace(self) -> Iterator[str]:
        """Have the name of a new keyspace, which is dropped in the end."""
        self._number += 1
        name = f"bench_{self._number}"
        try:
            yield name
        finally:
            self.cassandra.execute(f"DROP KEYSPACE IF EXISTS {name}")

    @contextmanager
    def serving(self, keyspace: str) -> Iterator[ServerProcess]:
        """Run the server with an empty root on a keyspace."""
        url = f"{self.cassandra.url}/{keyspace}"
        with fresh_root() as root, serving(root, prefix=(), SMRTFLOW_EVENT_STORE=url) as server:
            until_up(server)
            yield server

    def run(self, module: str, keyspace: str, *words: str) -> Figures:
        """Run a program that uses Cassandra by itself, and return the figures that it prints."""
        where = ["--port", str(self.cassandra.port), "--keyspace", keyspace]
        command = [*FREE, sys.executable, "-m", module, *words, *where]
        figures: Figures = json.loads(subprocess.run(command, cwd=PROJECT, stdout=subprocess.PIPE, check=True).stdout)
        return figures

    def post(self, seed: int, seconds: float) -> Figures:
        """Send single POSTs through the server; with the processor time of Cassandra, in microseconds an event."""
        with self.keyspace() as keyspace, self.serving(keyspace) as server:
            before = processor_seconds(self.cassandra)
            options = {"connections": CONNECTIONS, "seconds": seconds, "warm_up": seconds / 4, "seed": seed}
            figures = load_of("post", server, prefix=FREE, **options)
            spent = processor_seconds(self.cassandra) - before
            assert not metric(server, "spool_spooled"), "Cassandra was too slow, and events went to the spool"
            figures["cassandra_microseconds"] = spent / figures["events_sent"] * 1e6
            return figures

    def driver(self, kind: str, seed: int, seconds: float) -> Figures:
        """Let the driver write the same events; with the processor time of both, in microseconds an event."""
        with self.keyspace() as keyspace:
            words = [kind, "--seed", str(seed), "--connections", str(CONNECTIONS)]
            words += ["--seconds", str(seconds), "--warm-up", str(seconds / 4)]
            before = processor_seconds(self.cassandra)
            figures = self.run("bench.official_driver", keyspace, *words)
            spent = processor_seconds(self.cassandra) - before
            figures["cassandra_microseconds"] = spent / figures["events_sent"] * 1e6
            return figures


@contextmanager
def running(durability: str) -> Iterator[Bench]:
    """Start a real Cassandra for the time of the block, and warm it up.

    Args:
        durability: a key of ``DURABILITY``.

    """
    (PROJECT / "var" / "bench").mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="cassandra-", dir=PROJECT / "var" / "bench"))
    try:
        with on_java(DURABILITY[durability])(folder) as cassandra:
            bench = Bench(cassandra)
            # Java compiles what is used often.
            bench.driver("claims", 9_000, 12)
            bench.post(9_001, 12)
            yield bench
    finally:
        shutil.rmtree(folder)


def posts(durability: str, pairs: int, seconds: float) -> Figures:
    """Take turns: single POSTs through the server, and the same events by the driver alone, in several ways."""
    ours: list[Figures] = []
    others: dict[str, list[Figures]] = {kind: [] for kind in KINDS}
    with running(durability) as bench:
        for seed in range(pairs):
            ours.append(bench.post(seed, seconds))
            for kind in KINDS:
                others[kind].append(bench.driver(kind, seed, seconds))
    return {
        "name": f"cassandra_post_{durability}",
        **compare(server=ours, **others),
        "processor_microseconds": {"server": _processor(ours), **{kind: _processor(others[kind]) for kind in KINDS}},
        "milliseconds": [one["milliseconds"] for one in ours],
    }


def _processor(runs: list[Figures]) -> dict[str, Any]:
    """Return where an event's processor time goes: to the client of Cassandra, and to Cassandra."""
    return {
        "client": median(one["processor_microseconds"] for one in runs),
        "cassandra": median(one["cassandra_microseconds"] for one in runs),
    }


def lists(events: int, pairs: int, rounds: int = 40) -> Figures:
    """Fill a list with events of one system, then read its first page and one in the middle by turns."""
    with running("periodic") as bench, bench.keyspace() as keyspace:
        began = time.time()
        rate = bench.run("bench.cassandra_fill", keyspace, "--events", str(events))["events_per_second"]
        middle = datetime.fromtimestamp((began + time.time()) / 2, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        with bench.serving(keyspace) as server:
            turns = _read_by_turns(server, middle, pairs, rounds)
    return {
        "name": "cassandra_lists",
        "events": events,
        "fill": rate,
        "first": median(turn["first"] for turn in turns),
        "middle": median(turn["middle"] for turn in turns),
        "ratio": median(turn["middle"] / turn["first"] for turn in turns),
        "runs": turns,
    }


def _read_by_turns(server: ServerProcess, middle: str, pairs: int, rounds: int) -> list[dict[str, float]]:
    """Read the first page and one behind an instant by turns; returns the median milliseconds of each turn."""
    connection = HTTPConnection("127.0.0.1", server.port, timeout=60)
    # The position behind the first event from there on; without the filter, as one comes to it page by page.
    _, link = _read(connection, f"{LIST}?from={middle}&limit=1")
    found = re.search(r"cursor=([^&>]+)", link)
    assert found, link
    pages = {"first": f"{LIST}?limit={PAGE}", "middle": f"{LIST}?limit={PAGE}&cursor={found[1]}"}
    for path in pages.values():
        _median_milliseconds(connection, path, rounds)
    turns = [
        {name: _median_milliseconds(connection, path, rounds) for name, path in pages.items()} for _ in range(pairs)
    ]
    connection.close()
    return turns


def _read(connection: HTTPConnection, path: str) -> tuple[list[Any], str]:
    """Read a page, and the link to the one behind it."""
    connection.request("GET", path)
    answer = connection.getresponse()
    body = answer.read()
    assert answer.status == 200, body
    return json.loads(body), answer.getheader("Link", "")


def _median_milliseconds(connection: HTTPConnection, path: str, rounds: int) -> float:
    taken = []
    for _ in range(rounds):
        began = time.perf_counter()
        page, _ = _read(connection, path)
        taken.append((time.perf_counter() - began) * 1_000)
        assert len(page) == PAGE
    return median(taken)
