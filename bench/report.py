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


def _met(value: bool) -> str:  # noqa: FBT001 - the answer to a comparison
    return "yes" if value else "**no**"


def markdown(results: dict[str, Any]) -> str:
    """Return a table and the machine it was measured on."""
    lines = ["| measured | figure | promised | met |", "|---|---|---|---|"]
    lines += [f"| {' | '.join(row)} |" for row in rows(results)]
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
