"""Run the soak, all of it or some parts, and write what came of each part into the documentation.

``make soak`` calls it (``make soak PART="kill power"`` for some parts, ``ARGS="--share 0.02"`` for a short try, which
writes nothing). Each part is one run of pytest with a seed of its own, which is printed; ``TEST_SEED`` sets it.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from random import SystemRandom
from types import MappingProxyType
from typing import Final, NamedTuple
from xml.etree import ElementTree as ET

from bench import report

ROOT = Path(__file__).parent.parent
PROPERTIES = ("tests/backends", "tests/contract", "tests/eventserver")


class Part(NamedTuple):
    """One part of the soak.

    Attributes:
        minutes: about how long it takes in full, on two cores.
        arguments: what pytest is asked to run.
        figure: what is said when the tests say nothing themselves; ``{tests}`` is how many passed.
        environment: variables that are set for it.

    """

    minutes: int
    arguments: tuple[str, ...]
    figure: str = ""
    environment: Mapping[str, str] = MappingProxyType({})


ELASTICSEARCH_8: Final = "8.19.0"


PARTS = {
    "kill": Part(30, ("tests/system/test_kill.py", "-m", "soak")),
    "publish": Part(25, ("tests/system/test_publish_kill.py", "-m", "soak")),
    "power": Part(8, ("tests/system/test_power_cut.py", "-m", "soak")),
    "models": Part(
        40,
        (*PROPERTIES, "-m", "(hypothesis or seeds) and not soak", "--hypothesis-profile=soak"),
        "{tests} models and properties, with 50 times the examples of `make test`: none was refuted",
    ),
    "fuzz": Part(
        60,
        ("tests/system/test_fuzz.py", "-m", "soak"),
        "100,000 bodies and 100,000 requests, edited anywhere: judged as another reader of JSON does; the server lived",
    ),
    "api": Part(30, ("tests/eventserver/web/test_openapi_truth.py", "-m", "soak")),
    "growth": Part(20, ("tests/system/test_growth.py", "-m", "soak")),
    "outage": Part(
        3, ("tests/system/test_spool_elasticsearch.py", "tests/system/test_spool_cassandra.py", "-m", "soak")
    ),
    "partitions": Part(10, ("tests/backends/cassandra/test_bounds.py", "-m", "soak")),
    "elasticsearch": Part(
        8,
        ("tests/contract", "tests/backends/elasticsearch", "-k", "elasticsearch"),
        f"{{tests}} tests of the store, the contract among them, on Elasticsearch {ELASTICSEARCH_8}: all as on 9",
        {"SMRTFLOW_TEST_ELASTICSEARCH_VERSION": ELASTICSEARCH_8},
    ),
}


class Outcome(NamedTuple):
    """What came of a part."""

    passed: bool
    figure: str


def run(name: str, share: float, seed: str) -> Outcome:
    """Run a part and return what came of it."""
    part = PARTS[name]
    print(f"\n=== {name}: about {part.minutes * share:.0f} minutes (TEST_SEED={seed})", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "report.xml"
        options = ["--timeout=0", f"--hypothesis-seed={seed}", f"--junit-xml={path}", "-o", "junit_family=xunit1", "-q"]
        environment = {**os.environ, "TEST_SEED": seed, "SOAK_SHARE": str(share), **part.environment}
        code = subprocess.run(
            [sys.executable, "-m", "pytest", *options, *part.arguments], cwd=ROOT, env=environment, check=False
        ).returncode
        return read_report(path, code, part)


def read_report(path: Path, code: int, part: Part) -> Outcome:
    """Read what pytest has written down; it passed if pytest says so and no test was left out."""
    if not path.exists():
        return Outcome(passed=False, figure=f"pytest ended with {code}")
    suites = ET.parse(path)
    cases = list(suites.iter("testcase"))
    failed = [
        f"{case.get('classname')}.{case.get('name')}"
        for case in cases
        if list(case.iter("failure")) or list(case.iter("error"))
    ]
    skipped = [case for case in cases if list(case.iter("skipped"))]
    figures = [found.get("value", "") for found in suites.iter("property") if found.get("name") == "figure"]
    if code or failed or skipped or not cases:
        why = f"{len(failed)} failed, {len(skipped)} skipped: {', '.join(failed[:3])}"
        return Outcome(passed=False, figure="<br>".join([why, *figures]))
    return Outcome(passed=True, figure="<br>".join(figures) or part.figure.format(tests=f"{len(cases):,}"))


def table(block: str, name: str, line: str) -> str:
    """Return the table of results with one part's row replaced; the other rows stay."""
    rows = dict(re.findall(r"(?m)^\| ([a-z]+) \| (.+) \|$", block))
    rows.pop("part", None)
    rows[name] = line
    lines = [f"| {part} | {rows.get(part, 'never | ')} |" for part in PARTS]
    return "\n".join(["| part | when | result |", "|---|---|---|", *lines])


def write(name: str, outcome: Outcome, seed: str, page: Path = report.PAGE) -> None:
    """Write the row of a part into the documentation."""
    found = re.search(r"(?s)<!-- soak -->\n(.*)\n<!-- end of soak -->", page.read_text())
    assert found is not None, f"{page} has no place for the soak"
    figure = outcome.figure if outcome.passed else f"**failed**: {outcome.figure}"
    when = f"{datetime.now(UTC):%Y-%m-%d}, {report.machine()}"
    report.write("soak", table(found[1], name, f"{when} | {figure.replace('|', '/')} (seed {seed})"), page)


def main() -> int:
    """Run the parts that are asked for, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "parts", nargs="*", choices=[[], *PARTS], metavar="part", help=f"{', '.join(PARTS)}; all by default"
    )
    parser.add_argument("--share", type=float, default=1.0, help="1 is the full length; less is a try")
    options = parser.parse_args()
    failures = 0
    for name in options.parts or PARTS:
        seed, begin = os.environ.get("TEST_SEED") or str(SystemRandom().randrange(10**6)), time.monotonic()
        outcome = run(name, options.share, seed)
        minutes = (time.monotonic() - begin) / 60
        said = f"{'passed' if outcome.passed else 'FAILED'} in {minutes:.1f} minutes (seed {seed}): {outcome.figure}"
        print(f"=== {name} {said.replace('<br>', '; ')}", flush=True)
        failures += not outcome.passed
        if options.share == 1:
            write(name, outcome, seed)
    return min(failures, 1)


if __name__ == "__main__":
    sys.exit(main())
