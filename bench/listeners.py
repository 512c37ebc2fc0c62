"""What listeners cost the hot path, and how fast a webhook is fed."""

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any, Final

from bench.scenarios import LOAD_CORE, SERVER_CORE, Figures, fresh_root, load, load_of
from tests.system.server_process import PROJECT, ServerProcess

_DELIVERED: Final = 20_000
_PATIENCE: Final = 120.0
_LISTENER: Final = """
[listeners.{name}]
type = "webhook"
url = "http://127.0.0.1:{port}/"
allowed_networks = ["127.0.0.0/8"]
{filter}
"""
_ONE_PERCENT: Final = "versions = [2]\ncondition = 'message.state == \"SUCCESSFUL\" && message.jobId {sign} 500000'"


@contextmanager
def _hook(folder: Path) -> Iterator[int]:
    """Run the receiver on the load's core."""
    port_file = folder / "hook-port"
    process = subprocess.Popen([*LOAD_CORE, sys.executable, "-m", "bench.hook", str(port_file)], cwd=PROJECT)
    try:
        while not (port_file.exists() and port_file.read_text()):
            time.sleep(0.02)
        yield int(port_file.read_text())
    finally:
        process.kill()
        process.wait()


def _received(port: int) -> dict[str, Any]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/") as answer:
        found: dict[str, Any] = json.loads(answer.read())
        return found


@contextmanager
def _serving(root: Path, toml: str | None) -> Iterator[ServerProcess]:
    more = {}
    if toml is not None:
        path = root.with_suffix(".toml")
        path.write_text(toml)
        more = {"SMRTFLOW_EVENT_LISTENERS": str(path)}
    with ServerProcess(root, root.with_suffix(".log"), prefix=SERVER_CORE, **more) as server:
        yield server
        assert server.terminate(120) == 0, server.output()


def hot_path(pairs: int, seconds: float) -> Figures:
    """Alternate single POSTs, one in a hundred of a type that three listeners take, with them and without.

    Each listener's condition is judged for each of these; one of the three holds, so 1 % of the traffic is delivered.
    """
    with_them, without, delivered = [], [], []
    options = {"connections": 64, "seconds": seconds, "other_every": 100}
    for seed in range(pairs):
        with fresh_root() as root, _hook(root.parent) as port:
            signs = {"a": "< 500000", "b": ">= 500000", "c": "== -1"}
            toml = "".join(
                _LISTENER.format(name=name, port=port, filter=_ONE_PERCENT.replace("{sign} 500000", sign))
                for name, sign in signs.items()
            )
            with _serving(root, toml) as server:
                with_them.append(load_of("post", server, seed=seed, **options))
            delivered.append(_received(port)["count"])
        (PROJECT / "var/bench/hook-port").unlink()
        with fresh_root() as root, _serving(root, None) as server:
            without.append(load_of("post", server, seed=seed, **options))
    rates = [[one["events_per_second"] for one in runs] for runs in (with_them, without)]
    ratios = [one / other for one, other in zip(*rates, strict=True)]
    return {
        "name": "listeners_hot_path",
        "with": median(rates[0]),
        "without": median(rates[1]),
        "ratio": median(ratios),
        "ratios": ratios,
        "processor_microseconds": {
            "with": median(one["processor_microseconds"] for one in with_them),
            "without": median(one["processor_microseconds"] for one in without),
        },
        "delivered": delivered,
    }


def delivery(runs: int) -> Figures:
    """Store events in batches, and tell how fast a webhook gets them, first to last, beside the storing of them."""
    rates = []
    for seed in range(runs):
        with fresh_root() as root, _hook(root.parent) as port:
            toml = _LISTENER.format(name="all", port=port, filter="")
            with _serving(root, toml) as server:
                load("batch", server.port, connections=4, events=_DELIVERED, seconds=60, warm_up=0, seed=seed)
                deadline = time.monotonic() + _PATIENCE
                while (found := _received(port))["count"] < _DELIVERED:
                    assert time.monotonic() < deadline, found
                    time.sleep(0.05)
                rates.append(_DELIVERED / (found["last"] - found["first"]))
        (PROJECT / "var/bench/hook-port").unlink()
    return {"name": "listeners_delivery", "events_per_second": median(rates), "runs": rates}
