"""``GET /metrics``: the Prometheus exposition of plain counters, put together only when somebody asks."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import accumulate
from shutil import disk_usage
from typing import Final

from aiohttp import web
from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from backends.quarantine import Quarantine
from backends.statistics import Histogram, Statistic
from eventserver.counters import OTHER_TYPE, Counters
from eventserver.manager import ListenerFile, Listeners
from eventserver.web.keys import COUNTERS, LISTENER_FILE, LISTENERS, QUARANTINE, REGISTRY, SETTINGS, STORE

_PREFIX: Final = "eventserver_"


def routes() -> list[web.RouteDef]:
    """Return the route."""
    return [web.get("/metrics", get_metrics)]


async def get_metrics(request: web.Request) -> web.Response:
    """Read all counters."""
    app = request.app
    async with asyncio.timeout(app[SETTINGS].event_store_timeout_seconds):
        free = (await asyncio.to_thread(disk_usage, app[SETTINGS].event_root_dir)).free
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Snapshot(app, free))
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})


class _Snapshot(Collector):
    """Everything that one scrape shows."""

    def __init__(self, app: web.Application, free_bytes: int) -> None:
        self._app = app
        self._free_bytes = free_bytes

    def collect(self) -> Iterator[Metric]:
        """Yield one family after the other."""
        app = self._app
        loaded = {event_type_id for event_type_id, _ in app[REGISTRY].validators}
        yield from _of_intake(app[COUNTERS], loaded)
        yield _gauge("schemas", "Versions of event types in force", len(app[REGISTRY].validators))
        yield _gauge("disk_free_bytes", "Room on the file system of the data directory", self._free_bytes)
        yield from _of_statistics("store_", app[STORE].statistics())
        yield from _of_quarantine(app[QUARANTINE])
        yield from _of_listeners(app[LISTENERS], app[LISTENER_FILE])


def _of_intake(counters: Counters, loaded: set[str]) -> Iterator[Metric]:
    events = CounterMetricFamily(_PREFIX + "events", "Events by what became of them", labels=["outcome", "event_type"])
    for labels, count in _bounded(counters.outcomes, loaded).items():
        events.add_metric(labels, count)
    yield events
    problems = CounterMetricFamily(_PREFIX + "refused_requests", "Requests refused", labels=["status", "code"])
    for (status, code), count in counters.problems.items():
        problems.add_metric([str(status), code], count)
    yield problems
    reloads = CounterMetricFamily(_PREFIX + "schema_reloads", "Schemas read again", labels=["outcome"])
    for outcome, count in counters.reloads.items():
        reloads.add_metric([outcome], count)
    yield reloads
    yield CounterMetricFamily(_PREFIX + "batches", "Batch requests", value=counters.batches)
    yield _gauge("connections", "Connections that are open", counters.connections)
    yield _histogram("validate_seconds", "Time to parse and validate an event", counters.validate_seconds)
    yield _histogram("inspect_seconds", "Time to read an archive through", counters.inspect_seconds)
    yield _histogram("store_seconds", "Time until the store answered, the shared sync included", counters.store_seconds)


def _bounded(outcomes: Counter[tuple[str, str]], loaded: set[str]) -> Counter[tuple[str, str]]:
    """Put types that are not loaded together, so that there are never more labels than loaded types."""
    bounded: Counter[tuple[str, str]] = Counter()
    for (outcome, event_type_id), count in outcomes.items():
        bounded[str(outcome), event_type_id if event_type_id in loaded else OTHER_TYPE] += count
    return bounded


def _of_quarantine(quarantine: Quarantine) -> Iterator[Metric]:
    yield _gauge("quarantine_entries", "Refused bodies that are kept", quarantine.entries)
    yield _gauge("quarantine_bytes", "Size of the refused bodies that are kept", quarantine.bytes)
    yield _gauge("quarantine_file_bytes", "Size of the quarantine's files", quarantine.file_bytes)
    statistics = quarantine.statistics
    yield _gauge("quarantine_damaged_lines", "Lines found damaged at the start", statistics.damaged_lines)
    for name, description, counts in (
        ("kept", "Refused bodies that were kept", statistics.kept),
        ("repeated", "Refused bodies that were there already", statistics.repeated),
        ("evicted", "Refused bodies that gave way to a limit", statistics.evicted),
        ("dropped", "Refused bodies that an operator dropped, or a replay settled", statistics.dropped),
    ):
        family = CounterMetricFamily(f"{_PREFIX}quarantine_{name}", description, labels=["code"])
        for code, count in counts.items():
            family.add_metric([code], count)
        yield family


def _of_listeners(listeners: Listeners | None, file: ListenerFile | None) -> Iterator[Metric]:
    found = [] if listeners is None else listeners.status()
    for name, kind, key, description in (
        ("delivered", CounterMetricFamily, "delivered", "Events that a listener's receiver took"),
        ("failed_tries", CounterMetricFamily, "failedTries", "Tries that failed"),
        ("given_up", CounterMetricFamily, "givenUp", "Events that became dead letters"),
        ("condition_errors", CounterMetricFamily, "conditionErrors", "Events that a condition could not judge"),
        ("waiting", GaugeMetricFamily, "waiting", "Events on their way, and waiting in memory"),
        ("dead_letters", GaugeMetricFamily, "deadLetters", "Dead letters that wait for a decision"),
        ("behind", GaugeMetricFamily, "isBehind", "Whether a listener reads the log to catch up"),
    ):
        family = kind(f"{_PREFIX}listener_{name}", description, labels=["listener"])
        for listener in found:
            family.add_metric([listener["name"]], listener[key])
        yield family
    up = GaugeMetricFamily(_PREFIX + "listener_up", "Whether the last try was taken", labels=["listener"])
    for listener in found:
        up.add_metric([listener["name"]], listener["problem"] is None)
    yield up
    reloads = CounterMetricFamily(_PREFIX + "listener_reloads", "Changes of the listeners' file", labels=["outcome"])
    if file is not None:
        reloads.add_metric(["adopted"], file.adopted)
        reloads.add_metric(["refused"], file.refused)
    yield reloads


def _of_statistics(prefix: str, statistics: Iterable[Statistic]) -> Iterator[Metric]:
    for name, description, value in statistics:
        if isinstance(value, Histogram):
            yield _histogram(prefix + name, description, value)
        elif name.endswith("_total"):
            yield CounterMetricFamily(_PREFIX + prefix + name.removesuffix("_total"), description, value=value)
        else:
            yield _gauge(prefix + name, description, value)


def _gauge(name: str, description: str, value: float) -> Metric:
    return GaugeMetricFamily(_PREFIX + name, description, value=value)


def _histogram(name: str, description: str, histogram: Histogram) -> Metric:
    bounds = [*(repr(float(bound)) for bound in histogram.bounds), "+Inf"]
    buckets = list(zip(bounds, accumulate(histogram.counts), strict=True))
    return HistogramMetricFamily(_PREFIX + name, description, buckets=buckets, sum_value=histogram.sum)
