"""What the Elasticsearch store costs: the server in front of a real Elasticsearch, compared with others.

Everything runs on the same two cores, bound to none: the load generator, the server and Elasticsearch share them, as
they do on a small machine. Each run writes into new indices, which are removed afterwards.
"""

import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any, Final

from prometheus_client.parser import text_string_to_metric_families

from bench.scenarios import SERVER_CORE, Figures, fresh_root, load, load_of, serving
from servers.elasticsearch import Elasticsearch, prepare
from tests.system.server_process import PROJECT, ServerProcess
from tests.system.wire import get

CONNECTIONS: Final = 64
BATCH_CONNECTIONS: Final = 4
TYPE: Final = "smrtlink_job_change_state-1"
STRAIGHT: Final = "straight"
"""The index of those who write past the server."""
FREE: Final = ("nice", "-n", "0")
"""Bound to no core."""
KNOWN_SECONDS: Final = 3.0
"""After this a fault is known: the store time limit, and some."""
_COPIED: Final = ("number_of_shards", "translog", "auto_expand_replicas")


class Bench:
    """A running Elasticsearch, and the server in front of it."""

    def __init__(self, elasticsearch: Elasticsearch) -> None:
        """Use a server that has started."""
        self.elasticsearch = elasticsearch
        self.port = int(elasticsearch.url.rpartition(":")[2])
        self._number = 0
        self._index: dict[str, Any] = {}

    @contextmanager
    def server(self, *, is_pinned: bool = False) -> Iterator[ServerProcess]:
        """Run the server with an empty root and new indices."""
        self._number += 1
        prefix = f"bench-{self._number}"
        url = f"{self.elasticsearch.url.replace('http:', 'elasticsearch:')}/{prefix}"
        cores = SERVER_CORE if is_pinned else ()
        try:
            with fresh_root() as root, serving(root, prefix=cores, SMRTFLOW_EVENT_STORE=url) as server:
                _until_up(server)
                if not self._index:
                    self._index = self._read_index(f"{prefix}-{TYPE}-000001")
                yield server
        finally:
            self.elasticsearch.remove(prefix)

    @contextmanager
    def straight_index(self) -> Iterator[None]:
        """Have an empty index with the mapping and the settings of the server's own, for the time of the block."""
        if not self._index:
            with self.server():
                pass
        self.elasticsearch.request("PUT", f"/{STRAIGHT}", self._index)
        try:
            yield
        finally:
            self.elasticsearch.remove(STRAIGHT)

    def straight(self, seed: int, seconds: float) -> Figures:
        """Send the same events one by one past the server, with the same load generator."""
        with self.straight_index():
            return load(
                "put",
                self.port,
                prefix=FREE,
                connections=CONNECTIONS,
                seconds=seconds,
                warm_up=seconds / 4,
                seed=seed,
                index=STRAIGHT,
            )

    def client(self, kind: str, seed: int, seconds: float) -> Figures:
        """Let the official client send them."""
        words = ["--url", self.elasticsearch.url, "--index", STRAIGHT, "--seed", str(seed), "--seconds", str(seconds)]
        words += ["--connections", str(CONNECTIONS), "--warm-up", str(seconds / 4)]
        with self.straight_index():
            command = [sys.executable, "-m", "bench.official_client", kind, *words]
            done = subprocess.run(command, cwd=PROJECT, stdout=subprocess.PIPE, check=True)
        figures: Figures = json.loads(done.stdout)
        return figures

    def post(self, kind: str, connections: int, seed: int, seconds: float) -> Figures:
        """Send them through the server; with the processor time of Elasticsearch, in microseconds an event."""
        with self.server() as server:
            before = self.processor_seconds()
            figures = load_of(
                kind,
                server,
                prefix=FREE,
                connections=connections,
                seconds=seconds,
                warm_up=seconds / 4,
                seed=seed,
            )
            spent = self.processor_seconds() - before
            assert not _metric(server, "spool_spooled"), "Elasticsearch was too slow, and events went to the spool"
            figures["elasticsearch_microseconds"] = spent / figures["events_sent"] * 1e6
            return figures

    def processor_seconds(self) -> float:
        """Return the processor time that Elasticsearch has taken; 0 where it is not a process of this machine."""
        pid = getattr(self.elasticsearch._runner, "pid", None)  # noqa: SLF001 - of the tests' own
        return time.clock_gettime((~pid << 3) | 2) if pid else 0.0

    def _read_index(self, name: str) -> dict[str, Any]:
        (found,) = self.elasticsearch.request("GET", f"/{name}").values()
        settings = found["settings"]["index"]
        return {
            "mappings": found["mappings"],
            "settings": {"index": {key: settings[key] for key in _COPIED if key in settings}},
        }


@contextmanager
def running() -> Iterator[Bench]:
    """Start a real Elasticsearch for the time of the block, and warm it up."""
    folder = Path(tempfile.mkdtemp(prefix="elasticsearch-", dir=PROJECT / "var" / "bench"))
    with prepare()(folder) as elasticsearch:
        bench = Bench(elasticsearch)
        # Java compiles what is used often: cold, an event takes it twice as long, too long for a batch of the server's.
        bench.straight(9_000, 6)
        bench.client("bulk", 9_001, 12)
        bench.post("post", CONNECTIONS, 9_002, 15)
        yield bench


def posts(bench: Bench, pairs: int, seconds: float) -> Figures:
    """Take turns: single POSTs through the server, the same straight to Elasticsearch, and by the official client."""
    ours, straight, client = [], [], []
    for seed in range(pairs):
        ours.append(bench.post("post", CONNECTIONS, seed, seconds))
        straight.append(bench.straight(seed, seconds))
        client.append(bench.client("create", seed, seconds))
    return {
        "name": "es_post",
        **_rates(server=ours, straight=straight, client=client),
        **_processor(ours),
        "milliseconds": {"server": ours[0]["milliseconds"], "straight": straight[0]["milliseconds"]},
    }


def batches(bench: Bench, pairs: int, seconds: float) -> Figures:
    """Take turns: batches of 1,000 over four connections and over one, and the client's ``async_bulk``."""
    ours, single, client = [], [], []
    for seed in range(pairs):
        ours.append(bench.post("batch", BATCH_CONNECTIONS, seed, seconds))
        single.append(bench.post("batch", 1, seed, seconds))
        client.append(bench.client("bulk", seed, seconds))
    return {"name": "es_batch", **_rates(server=ours, single=single, client=client), **_processor(ours)}


def stopped(bench: Bench, pairs: int, seconds: float) -> Figures:
    """Stop Elasticsearch under load; then send by a schedule, in turn with the filesystem store.

    Here the server has the first core and the load generator the second: Elasticsearch needs none.
    """
    with fresh_root() as root, serving(root) as server:
        rate = load("post", server.port, seconds=seconds, seed=8_000)["events_per_second"] / 4
    options = {"rate": rate, "seconds": seconds, "connections": CONNECTIONS}
    ours, theirs, longest = [], [], []
    for seed in range(pairs):
        with bench.server(is_pinned=True) as server:
            stopping = threading.Timer(KNOWN_SECONDS, bench.elasticsearch.pause)
            stopping.start()
            try:
                found = load(
                    "post",
                    server.port,
                    connections=CONNECTIONS,
                    seconds=3 * KNOWN_SECONDS,
                    warm_up=0,
                    seed=seed,
                )
                longest.append(found["milliseconds"]["max"])
                ours.append(load("post", server.port, seed=1_000 + seed, **options)["milliseconds"])
            finally:
                stopping.join()
                bench.elasticsearch.resume()
            until_drained(server)
        with fresh_root() as root, serving(root) as server:
            theirs.append(load("post", server.port, seed=1_000 + seed, **options)["milliseconds"])
    return {
        "name": "es_stopped",
        "rate": rate,
        "p99": {"server": median(one["p99"] for one in ours), "files": median(one["p99"] for one in theirs)},
        "ratio": median(one["p99"] / other["p99"] for one, other in zip(ours, theirs, strict=True)),
        "longest": max(longest),
        "runs": {"server": ours, "files": theirs, "longest": longest},
    }


def drain(bench: Bench, pairs: int, seconds: float, events: int) -> Figures:
    """Fill a spool while Elasticsearch is stopped, let it drain, then send single POSTs as long."""
    filled, drained, intake = [], [], []
    for seed in range(pairs):
        with bench.server() as server:
            bench.elasticsearch.pause()
            try:
                load("post", server.port, prefix=FREE, events=CONNECTIONS, connections=CONNECTIONS, warm_up=0, seed=7)
                options = {"events": events, "connections": CONNECTIONS, "seconds": 600, "warm_up": 0, "seed": seed}
                filled.append(load("post", server.port, prefix=FREE, **options))
            finally:
                bench.elasticsearch.resume()
            before = bench.processor_seconds(), server.processor_seconds()
            drained.append({"events_per_second": until_drained(server)})
            drained[-1]["processor_microseconds"] = (server.processor_seconds() - before[1]) / events * 1e6
            drained[-1]["elasticsearch_microseconds"] = (bench.processor_seconds() - before[0]) / events * 1e6
        intake.append(bench.post("post", CONNECTIONS, seed, seconds))
    return {
        "name": "es_drain",
        "events": events,
        **_rates(server=drained, filled=filled, intake=intake),
        **_processor(drained),
    }


def until_drained(server: ServerProcess, seconds: float = 300) -> float:
    """Wait until nothing is in the spool; returns the events that left it in a second, from the first to the last."""
    deadline = time.monotonic() + seconds
    # Whoever asks whether it is ready lets the next attempt be made now.
    get(server.port, "/health/ready")
    begin, most = time.monotonic(), 0
    while time.monotonic() < deadline:
        now, left = time.monotonic(), _metric(server, "spool_events")
        if left == 0:
            return most / (now - begin)
        if left >= most:
            begin, most = now, left
        time.sleep(0.05)
    raise AssertionError(f"it does not drain: {server.output()[-2000:]}")


def _until_up(server: ServerProcess, seconds: float = 60) -> None:
    """Wait until the server has made its indices: a first start may go to the spool while Elasticsearch is slow."""
    deadline = time.monotonic() + seconds
    while not json.loads(get(server.port, "/health/ready").body)["parts"]["spool"]["storeIsUp"]:
        assert time.monotonic() < deadline, server.output()[-2000:]
        time.sleep(0.1)


def _metric(server: ServerProcess, name: str) -> int:
    for family in text_string_to_metric_families(get(server.port, "/metrics").body.decode()):
        if family.name == f"eventserver_store_{name}":
            return int(family.samples[0].value)
    raise AssertionError(f"there is no metric {name}")


def _rates(server: list[Figures], **others: list[Figures]) -> Figures:
    """Return the median rate of each, and of the server its ratio to each other one, pair by pair."""
    rates = [one["events_per_second"] for one in server]
    found: Figures = {"server": median(rates), "ratios": {}, "runs": {"server": rates}}
    for name, figures in others.items():
        theirs = [one["events_per_second"] for one in figures]
        found[name] = median(theirs)
        found["ratios"][name] = median(one / other for one, other in zip(rates, theirs, strict=True))
        found["runs"][name] = theirs
    return found


def _processor(runs: list[Figures]) -> Figures:
    """Return where an event's processor time goes."""
    return {
        "processor_microseconds": {
            "server": median(one["processor_microseconds"] for one in runs),
            "elasticsearch": median(one["elasticsearch_microseconds"] for one in runs),
        }
    }
