"""What the benches of a server in front of another one share."""

import json
import time
from statistics import median

from prometheus_client.parser import text_string_to_metric_families

from bench.scenarios import Figures
from servers.server import RealServer
from tests.system.server_process import ServerProcess
from tests.system.wire import get


def processor_seconds(server: RealServer) -> float:
    """Return the processor time that a real server has taken; 0 where it is not a process of this machine."""
    pid = getattr(server._runner, "pid", None)  # noqa: SLF001 - of the tests' own
    return time.clock_gettime((~pid << 3) | 2) if pid else 0.0


def until_up(server: ServerProcess, seconds: float = 60) -> None:
    """Wait until the server has prepared its store: a first start may go to the spool while that is slow."""
    deadline = time.monotonic() + seconds
    while not json.loads(get(server.port, "/health/ready").body)["parts"]["spool"]["storeIsUp"]:
        assert time.monotonic() < deadline, server.output()[-2000:]
        time.sleep(0.1)


def metric(server: ServerProcess, name: str) -> int:
    """Return a metric of the store."""
    for family in text_string_to_metric_families(get(server.port, "/metrics").body.decode()):
        if family.name == f"eventserver_store_{name}":
            return int(family.samples[0].value)
    raise AssertionError(f"there is no metric {name}")


def compare(server: list[Figures], **others: list[Figures]) -> Figures:
    """Return the median rate of each, and of the server its ratio to each other one, pair by pair."""
    rates = [one["events_per_second"] for one in server]
    found: Figures = {"server": median(rates), "ratios": {}, "runs": {"server": rates}}
    for name, figures in others.items():
        theirs = [one["events_per_second"] for one in figures]
        found[name] = median(theirs)
        found["ratios"][name] = median(one / other for one, other in zip(rates, theirs, strict=True))
        found["runs"][name] = theirs
    return found
