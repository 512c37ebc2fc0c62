"""The figures as a table for people, and its place in the documentation."""

import platform
import re
from pathlib import Path
from typing import Any, Final

from tests.system.server_process import PROJECT

PAGE: Final = PROJECT / "docs" / "explanation" / "performance.md"
MEGABYTE: Final = 1_000_000

Row = tuple[str, str, str, str]


def rows(results: dict[str, Any]) -> list[Row]:
    """Return what was measured, the figure, what was promised, and whether it is met."""
    found: list[Row] = []
    for name, promise in (("post_64", 0.7), ("post_256", 0.8), ("get", 0.8)):
        if name in results:
            found.append(_ratio_row(results[name], promise))
    if "open_loop" in results:
        figure = results["open_loop"]
        title = f"single POST by schedule, {figure['rate']:,.0f}/s (half the maximum), p99"
        found.append((title, f"{figure['p99']:.1f} ms", "< 10 ms", _met(figure["p99"] < 10)))
    if "batch" in results:
        figure = results["batch"]
        title = f"NDJSON batches of 1,000 into an empty store, {figure['events']:,} events"
        found.append((title, f"{figure['rate']:,.0f} events/s", ">= 90,000 events/s", _met(figure["rate"] >= 90_000)))
    if "growth" in results:
        found += _growth_rows(results["growth"])
    return found


def _ratio_row(figure: dict[str, Any], promise: float) -> Row:
    kind, _, connections = figure["name"].partition("_")
    title = f"single POST, {connections} connections" if kind == "post" else "GET by uuid, 64 connections"
    times = figure["processor_microseconds"]
    measured = (
        f"{figure['ratio']:.2f} of a bare handler ({figure['server']:,.0f} to {figure['bare']:,.0f} /s; "
        f"by processor time {times['bare'] / times['server']:.2f}: {times['server']:.1f} to {times['bare']:.1f} us)"
    )
    return title, measured, f">= {promise}", _met(figure["ratio"] >= promise)


def _growth_rows(growth: dict[str, Any]) -> list[Row]:
    unit, found = growth["unit"], []
    for kind in ("post", "get"):
        ratios = {int(size): figure[kind]["ratio"] for size, figure in growth["sizes"].items()}
        rates = ", ".join(f"{figure[kind]['server']:,.0f}" for figure in growth["sizes"].values())
        difference = 1 - min(ratios.values()) / max(ratios.values())
        title = f"{kind.upper()} at {', '.join(f'{size * unit:,}' for size in ratios)} stored"
        found.append((title, f"{rates} /s: {difference:.0%} apart", "< 15 %", _met(difference < 0.15)))
    largest = f"{max(int(size) for size in growth['sizes']) * unit:,}"
    for how, text in (("clean", "a clean stop"), ("killed", "kill -9 under load")):
        slowest, empty = max(growth["start"][how]), max(growth["start"]["empty"])
        found.append(
            (
                f"start at {largest} after {text}, slowest of {len(growth['start'][how])}",
                f"{slowest:.2f} s (an empty store: {empty:.2f} s)",
                "< 1 s",
                _met(slowest < 1),
            )
        )
    highest = growth["memory"]["highest"] / MEGABYTE
    measured = f"{highest:.0f} MB under load, {growth['memory']['at_rest'] / MEGABYTE:.0f} MB at rest"
    found.append((f"anonymous memory at {largest}", measured, "< 200 MB", _met(highest < 200)))
    ratio, rate = growth["batch"]["rate"] / growth["fill"][0], growth["batch"]["rate"]
    measured = f"{rate:,.0f} events/s, {ratio:.2f} of the first {unit:,}"
    found.append((f"batches at {largest}", measured, ">= 0.5", _met(ratio >= 0.5)))
    return found


def elasticsearch_rows(results: dict[str, Any]) -> list[Row]:
    """Return the same for what was measured in front of Elasticsearch."""
    makers = {"es_post": _post_rows, "es_batch": _batch_rows, "es_stopped": _stopped_rows, "es_drain": _drain_rows}
    return [row for name, make in makers.items() if name in results for row in make(results[name])]


def _post_rows(figure: dict[str, Any]) -> list[Row]:
    ratios, times, server = figure["ratios"], figure["processor_microseconds"], f"{figure['server']:,.0f}"
    spent = f"by processor time {times['server']:.0f} us of the server, {times['elasticsearch']:.0f} of Elasticsearch"
    return [
        (
            "single POST, 64 connections, to as many of `PUT index/_create/uuid` straight to Elasticsearch",
            f"{ratios['straight']:.2f} ({server} to {figure['straight']:,.0f} /s; {spent})",
            ">= 0.8",
            _met(ratios["straight"] >= 0.8),
        ),
        (
            "the same, to 64 `create` at a time by the official client",
            f"{ratios['client']:.1f} ({server} to {figure['client']:,.0f} /s)",
            ">= 3",
            _met(ratios["client"] >= 3),
        ),
    ]


def _batch_rows(figure: dict[str, Any]) -> list[Row]:
    ratio = figure["ratios"]["client"]
    rates = f"{figure['server']:,.0f} to {figure['client']:,.0f} events/s; over one connection {figure['single']:,.0f}"
    title = "NDJSON batches of 1,000, four connections, to the client's `async_bulk` alone"
    return [(title, f"{ratio:.2f} ({rates})", ">= 0.7", _met(ratio >= 0.7))]


def _stopped_rows(figure: dict[str, Any]) -> list[Row]:
    p99, ratio = figure["p99"], figure["ratio"]
    return [
        (
            f"Elasticsearch is stopped, and that is known: p99 of a POST at {figure['rate']:,.0f}/s, to the files'",
            f"{ratio:.2f} ({p99['server']:.1f} to {p99['files']:.1f} ms)",
            "<= 2",
            _met(ratio <= 2),
        ),
        (
            "the longest POST while it is stopped under load",
            f"{figure['longest'] / 1000:.2f} s",
            "< 2 s",
            _met(figure["longest"] < 2_000),
        ),
    ]


def _drain_rows(figure: dict[str, Any]) -> list[Row]:
    ratios, rate = figure["ratios"], f"{figure['server']:,.0f}"
    return [
        (
            f"a spool of {figure['events']:,} events drains, to single POSTs into Elasticsearch",
            f"{ratios['intake']:.1f} ({rate} to {figure['intake']:,.0f} /s)",
            ">= 2",
            _met(ratios["intake"] >= 2),
        ),
        (
            "the same, to the single POSTs into the spool alone that filled it",
            f"{ratios['filled']:.1f} ({rate} to {figure['filled']:,.0f} /s)",
            ">= 2",
            _met(ratios["filled"] >= 2),
        ),
    ]


def cassandra_rows(results: dict[str, Any]) -> list[Row]:
    """Return the same for what was measured in front of Cassandra."""
    found: list[Row] = []
    for name in ("cassandra_post_group", "cassandra_post_periodic"):
        if name in results:
            found += _claim_rows(results[name], name.rpartition("_")[2])
    if "cassandra_lists" in results:
        figure = results["cassandra_lists"]
        title = f"a page of 100 in the middle of {figure['events']:,} events of one system, to the first page"
        measured = f"{figure['ratio']:.2f} ({figure['middle']:.1f} to {figure['first']:.1f} ms)"
        found.append((title, measured, "0.8 to 1.2", _met(0.8 <= figure["ratio"] <= 1.2)))
    return found


def _claim_rows(figure: dict[str, Any], durability: str) -> list[Row]:
    ratios, times, server = figure["ratios"], figure["processor_microseconds"], f"{figure['server']:,.0f}"

    def spent(name: str) -> str:
        return f"{times[name]['client']:.0f} + {times[name]['cassandra']:,.0f} us"

    def row(title: str, name: str, promise: float | None) -> Row:
        measured = f"{ratios[name]:.2f} ({server} to {figure[name]:,.0f} /s; {spent('server')} to {spent(name)})"
        return title, measured, *(("", "") if promise is None else (f">= {promise}", _met(ratios[name] >= promise)))

    return [
        row(
            f"`commitlog_sync: {durability}`: single POST, 64 connections, to the driver alone, 64 events",
            "claims",
            0.85,
        ),
        row("the same, to the driver alone with rows in groups as the store has them", "grouped", None),
        row("the same, to the driver alone with a plain insert in place of the claim", "inserts", None),
    ]


def listener_rows(results: dict[str, Any]) -> list[Row]:
    """Return what was measured of listeners."""
    found: list[Row] = []
    if "listeners" in results:
        figure = results["listeners"]
        times = figure["processor_microseconds"]
        measured = (
            f"{figure['ratio']:.2f} of that without ({figure['with']:,.0f} to {figure['without']:,.0f} /s; by "
            f"processor time {times['without'] / times['with']:.2f}: {times['with']:.1f} to {times['without']:.1f} us)"
        )
        title = "single POST with three listeners that take 1 %, 64 connections"
        found.append((title, measured, ">= 0.95", _met(figure["ratio"] >= 0.95)))
    if "delivery" in results:
        rate = results["delivery"]["events_per_second"]
        title = "delivery to one webhook, a post for each event"
        found.append((title, f"{rate:,.0f} events/s", ">= 2,000 events/s", _met(rate >= 2_000)))
    return found


def _met(value: bool) -> str:  # noqa: FBT001 - the answer to a comparison
    return "yes" if value else "**no**"


def markdown(results: dict[str, Any], found: list[Row]) -> str:
    """Return rows of results as a table, and the machine it was measured on."""
    lines = ["| measured | figure | promised | met |", "|---|---|---|---|"]
    lines += [f"| {' | '.join(row)} |" for row in found]
    return "\n".join([*lines, "", f"{results['when']}, {machine()}."])


def machine() -> str:
    """Say what this was run on, without naming the machine."""
    text = Path("/proc/cpuinfo").read_text()
    models = re.findall(r"model name\s*: (.+)", text) or [platform.processor()]
    gibibytes = int(re.findall(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())[0]) / 1024**2
    return (
        f"{len(models)} cores ({models[0]}), {gibibytes:.0f} GiB, Linux {platform.release().split('-')[0]}, "
        f"Python {platform.python_version()}"
    )


def write(marker: str, text: str, page: Path = PAGE) -> None:
    """Put a text between the two comments of a marker in a page."""
    begin, end = f"<!-- {marker} -->", f"<!-- end of {marker} -->"
    before, found, rest = page.read_text().partition(begin)
    _, closed, after = rest.partition(end)
    assert found, f"{page} has no {begin}"
    assert closed, f"{page} has no {end}"
    page.write_text(f"{before}{begin}\n{text}\n{end}{after}")
