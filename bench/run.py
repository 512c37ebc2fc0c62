"""Measure the server against a bare aiohttp application, over growing stores, in front of Elasticsearch and Cassandra.

Each ratio comes from alternating runs of the two (A B A B ...), and is the median of the pairs' ratios. The server runs
as out of the box on the first core, with everything that it starts; the load generator runs on the second. What begins
with ``es_`` needs a real Elasticsearch, with ``cassandra_`` a real Cassandra, and is measured only when it is asked
for: ``--only es_post es_batch``.
"""

import argparse
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any, Final

from bench import cassandra_store, elasticsearch_store, listeners, report, scenarios
from tests.system.server_process import PROJECT

FOLDER: Final = PROJECT / "var" / "bench"
NAMES: Final = ["post_64", "post_256", "open_loop", "batch", "get", "growth", "listeners", "delivery"]
ELASTICSEARCH: Final = ["es_post", "es_batch", "es_stopped", "es_drain"]
CASSANDRA: Final = ["cassandra_post_group", "cassandra_post_periodic", "cassandra_lists"]


def measure(options: argparse.Namespace) -> Iterator[tuple[str, dict[str, Any]]]:
    """Run the scenarios asked for, one after the other."""
    pairs, seconds = (1, 2.0) if options.quick else (options.pairs, 8.0)
    events = 200_000 if options.quick else 1_200_000
    unit = 20_000 if options.quick else scenarios.MILLION
    found: dict[str, Any] = {}
    runs: dict[str, Callable[[], dict[str, Any]]] = {
        "post_64": lambda: scenarios.single_posts(64, pairs, seconds),
        "post_256": lambda: scenarios.single_posts(256, pairs, seconds),
        "open_loop": lambda: scenarios.open_loop(_half(found, seconds), pairs, seconds),
        "batch": lambda: scenarios.batches(pairs, events),
        "get": lambda: scenarios.gets(pairs, seconds, 100_000),
        "listeners": lambda: listeners.hot_path(pairs, seconds),
        "delivery": lambda: listeners.delivery(pairs),
        "growth": lambda: scenarios.growth([0, 1, 10], pairs, seconds / 2, unit),
    }
    for name in NAMES:
        if name in options.only:
            found[name] = runs[name]()
            yield name, found[name]


def measure_elasticsearch(options: argparse.Namespace) -> Iterator[tuple[str, dict[str, Any]]]:
    """Run the scenarios asked for that need a real Elasticsearch, all on the same one."""
    pairs, seconds = (1, 3.0) if options.quick else (options.pairs, 5.0)
    events = 20_000 if options.quick else 100_000
    asked = [name for name in ELASTICSEARCH if name in options.only]
    with ExitStack() as stack:
        bench = stack.enter_context(elasticsearch_store.running()) if asked else None
        for name in asked:
            assert bench is not None
            if name == "es_drain":
                yield name, elasticsearch_store.drain(bench, pairs, seconds, events)
            else:
                yield name, _ELASTICSEARCH[name](bench, pairs, seconds)


_ELASTICSEARCH: Final = {
    "es_post": elasticsearch_store.posts,
    "es_batch": elasticsearch_store.batches,
    "es_stopped": elasticsearch_store.stopped,
}


def measure_cassandra(options: argparse.Namespace) -> Iterator[tuple[str, dict[str, Any]]]:
    """Run the scenarios asked for that need a real Cassandra, each on one of its own."""
    pairs, seconds = (1, 3.0) if options.quick else (options.pairs, 5.0)
    events = scenarios.MILLION if options.full else 20_000 if options.quick else 200_000
    for name in CASSANDRA:
        if name not in options.only:
            continue
        if name == "cassandra_lists":
            yield name, cassandra_store.lists(events, pairs)
        else:
            yield name, cassandra_store.posts(name.rpartition("_")[2], pairs, seconds)


def _half(found: dict[str, Any], seconds: float) -> float:
    closed = found.get("post_64") or scenarios.single_posts(64, 1, seconds)
    return float(closed["server"]) / 2


def main() -> None:
    """Measure, print a table, keep the figures as JSON, and write them into the documentation when asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="short runs, one pair, small stores: for development")
    parser.add_argument("--full", action="store_true", help="cassandra_lists: a million events in place of 200,000")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--only", nargs="+", choices=[*NAMES, *ELASTICSEARCH, *CASSANDRA], default=NAMES)
    parser.add_argument("--write", action="store_true", help="write the table into the documentation")
    options = parser.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    now = datetime.now(UTC)
    results: dict[str, Any] = {"when": now.strftime("%Y-%m-%d"), "machine": report.machine()}
    path = Path(FOLDER / f"{now:%Y%m%dT%H%M%S}.json")
    for name, figures in chain(measure(options), measure_elasticsearch(options), measure_cassandra(options)):
        results[name] = figures
        path.write_text(json.dumps(results, indent=1))
        print(json.dumps(figures))
    for marker, found in (
        ("figures", report.rows(results)),
        ("listener figures", report.listener_rows(results)),
        ("elasticsearch figures", report.elasticsearch_rows(results)),
        ("cassandra figures", report.cassandra_rows(results)),
    ):
        if found:
            table = report.markdown(results, found)
            print(f"\n{table}")
            if options.write:
                report.write(marker, table)
    print(f"\n{path.relative_to(PROJECT)}")


if __name__ == "__main__":
    main()
