"""Measure the server against a bare aiohttp application, and over growing stores.

Each ratio comes from alternating runs of the two (A B A B ...), and is the median of the pairs' ratios. The server runs
as out of the box on the first core, with everything that it starts; the load generator runs on the second.
"""

import argparse
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from bench import listeners, report, scenarios
from tests.system.server_process import PROJECT

FOLDER: Final = PROJECT / "var" / "bench"
NAMES: Final = ["post_64", "post_256", "open_loop", "batch", "get", "growth", "listeners", "delivery"]


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


def _half(found: dict[str, Any], seconds: float) -> float:
    closed = found.get("post_64") or scenarios.single_posts(64, 1, seconds)
    return float(closed["server"]) / 2


def main() -> None:
    """Measure, print a table, keep the figures as JSON, and write them into the documentation when asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="short runs, one pair, small stores: for development")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--only", nargs="+", choices=NAMES, default=NAMES)
    parser.add_argument("--write", action="store_true", help="write the table into the documentation")
    options = parser.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    now = datetime.now(UTC)
    results: dict[str, Any] = {"when": now.strftime("%Y-%m-%d"), "machine": report.machine()}
    path = Path(FOLDER / f"{now:%Y%m%dT%H%M%S}.json")
    for name, figures in measure(options):
        results[name] = figures
        path.write_text(json.dumps(results, indent=1))
        print(json.dumps(figures))
    table = report.markdown(results)
    print(f"\n{table}\n\n{path.relative_to(PROJECT)}")
    if options.write:
        report.write("figures", table)


if __name__ == "__main__":
    main()
