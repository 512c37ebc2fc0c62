"""``eventserver simulate``: believable traffic, made from the schemas, sent to a server."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from eventserver.config import packaged_schemas
from eventserver.message import parse
from eventserver.schemas import SchemaRegistry
from eventserver.simulation import Simulation
from tests.support.command_line import Run
from tests.support.schema_directory import SchemaDirectory
from tests.system.server_process import ServerProcess
from tests.system.wire import get

UNTIL = datetime(2026, 11, 24, tzinfo=UTC)
SMALL = ("--systems", 5, "--days", 4, "--until", "2026-11-24", "--seed", "a")
TOLD = re.compile(r"(\d+) events in [\d.]+ s \(seed (\S+)\): (.*)\n")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server for all tests of this module; each sends traffic of its own seed."""
    folder = tmp_path_factory.mktemp("simulate")
    with ServerProcess(folder / "root", folder / "server.log") as process:
        yield process


@pytest.fixture(scope="module")
def registry() -> SchemaRegistry:
    """The schemas of this release."""
    registry = SchemaRegistry(packaged_schemas())
    registry.load()
    return registry


def traffic(registry: SchemaRegistry, *, systems: int = 40, days: int = 14, seed: str = "a") -> list[dict[str, Any]]:
    """Return the events of a simulation as values."""
    simulation = Simulation(registry.schemas, systems=systems, days=days, until=UNTIL, seed=seed)
    return [json.loads(event) for event in simulation.events()]


def told(output: str) -> tuple[int, str, str]:
    """Take the summary apart: how many events, the seed, and the verdicts."""
    match = TOLD.fullmatch(output)
    assert match is not None, output
    return int(match[1]), match[2], match[3]


@pytest.mark.parametrize("how", [(), ("--batch", 1), ("--batch", 1, "--connections", 16), ("--batch", 7)])
def test_all_events_are_stored_in_batches_and_one_by_one(run: Run, server: ServerProcess, how: tuple[object]) -> None:
    """The server has each of them, and the summary says so."""
    seed = "-".join(map(str, ("how", *how)))
    result = run("simulate", "--url", f"http://127.0.0.1:{server.port}/", *SMALL, "--seed", seed, *how)
    assert result.exit_code == 0, result.output
    number, _, verdicts = told(result.stdout)
    assert verdicts == f"{number} stored"
    assert number > 100


def test_run_again_nothing_is_stored_twice(run: Run, server: ServerProcess) -> None:
    """The same seed and days are the same events; another seed makes others."""
    command = ("simulate", "--url", f"http://127.0.0.1:{server.port}", *SMALL, "--seed", "again")
    number, seed, verdicts = told(run(*command).stdout)
    assert (seed, verdicts) == ("again", f"{number} stored")
    assert told(run(*command).stdout) == (number, "again", f"{number} duplicate")
    assert "duplicate" not in run(*command, "--seed", "other").stdout


def test_the_server_on_the_data_directory_is_found(run: Run, server: ServerProcess) -> None:
    """Where no URL is given."""
    assert told(run("simulate", "--root", server.root, *SMALL, "--seed", "root").stdout)[2].endswith(" stored")


def test_a_rate_is_kept(run: Run, server: ServerProcess) -> None:
    """No more events a second than asked for."""
    url = f"http://127.0.0.1:{server.port}"
    started = monotonic()
    result = run("simulate", "--url", url, *SMALL, "--days", 2, "--seed", "rate", "--rate", 100)
    seconds = monotonic() - started
    number = told(result.stdout)[0]
    assert number > 30
    assert number / 100 * 0.8 - 0.1 <= seconds < number / 100 + 5


def test_refusals_are_counted_and_make_the_exit_code_1(run: Run, server: ServerProcess, tmp_path: Path) -> None:
    """A type that the server does not know, in batches and one by one."""
    schemas = SchemaDirectory(tmp_path / "schemas")
    schemas.write("sl_nowhere")
    (tmp_path / "c.toml").write_text(f'event_schema_dir = "{schemas.path}"\n')
    for batch in (1, 100):
        command = ("simulate", "--url", f"http://127.0.0.1:{server.port}", "--config", tmp_path / "c.toml", *SMALL)
        result = run(*command, "--days", 30, "--batch", batch)
        number, _, verdicts = told(result.stdout)
        assert result.exit_code == 1
        assert verdicts == f"{number} unknown_event_type"
        assert f"events not taken: {number}" in result.stderr


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "127.0.0.1:8070", "nonsense"])
def test_a_server_that_does_not_answer_is_named(run: Run, url: str) -> None:
    """One line, exit code 1, and still the summary."""
    result = run("simulate", "--url", url, *SMALL)
    assert result.exit_code == 1
    assert f"the server at {url} does not answer" in result.stderr
    assert told(result.stdout) == (0, "a", "nothing sent")


def test_an_answer_that_the_next_would_get_too_stops_it(run: Run, server: ServerProcess) -> None:
    """A server that does not have the address, say."""
    result = run("simulate", "--url", f"http://127.0.0.1:{server.port}/elsewhere", *SMALL)
    assert result.exit_code == 1
    assert "stopped: " in result.stderr


def test_a_seed_decides_everything(registry: SchemaRegistry) -> None:
    """Byte by byte; and it is told how many there will be."""
    first, second, other = (
        Simulation(registry.schemas, systems=9, days=5, until=UNTIL, seed=seed) for seed in ("a", "a", "b")
    )
    events = list(first.events())
    assert events == list(second.events()) == list(first.events())
    assert first.count() == len(events)
    assert not set(events) & set(other.events())


def test_all_of_it_is_valid_in_order_and_within_the_days(registry: SchemaRegistry) -> None:
    """Oldest first; no uuid twice; every type that has a schema occurs, but for the bundles'."""
    simulation = Simulation(registry.schemas, systems=40, days=14, until=UNTIL, seed="a")
    messages = [parse(event) for event in simulation.events()]
    moments = [message.at for message in messages]
    assert moments == sorted(moments)
    assert f"{UNTIL - timedelta(days=14):%Y-%m-%d}" <= moments[0]
    assert moments[-1] < f"{UNTIL:%Y-%m-%d}"
    assert len({message.uuid for message in messages}) == len(messages)
    bundles = {
        key[0] for key, schema in registry.schemas.items() if "uploadedBundlePath" in schema.get("properties", {})
    }
    assert len(bundles) == 5
    assert not bundles & {message.event_type_id for message in messages}
    assert {(message.event_type_id, message.event_type_version) for message in messages} >= registry.schemas.keys() - {
        (event_type_id, version)
        for event_type_id, version in registry.schemas
        if ((event_type_id, version + 1) in registry.schemas and version > 1) or event_type_id in bundles
    }


def test_jobs_run_through_their_states(registry: SchemaRegistry) -> None:
    """In order, each state once; most end well, some fail."""
    jobs: dict[tuple[str, int], list[str]] = {}
    for event in traffic(registry):
        if event["eventTypeId"] == "smrtlink_job_change_state":
            message = event["message"]
            jobs.setdefault((event["smrtLinkId"], message["jobId"]), []).append(message["state"])
    whole = ["CREATED", "SUBMITTED", "RUNNING"]
    gap_free = [states for states in jobs.values() if states[0] == "CREATED"]
    assert sum(states[:3] == whole[: len(states)] for states in gap_free) > 0.95 * len(gap_free)
    ends = Counter(states[3] for states in gap_free if len(states) == 4)
    assert ends["SUCCESSFUL"] > 3 * ends["FAILED"] > 3 * ends["TERMINATED"] > 0
    assert ends["SUCCCESSFUL"]


def test_versions_change_and_some_systems_fall_silent(registry: SchemaRegistry) -> None:
    """Several versions in the field, upgrades among them; silences of days."""
    events = traffic(registry, days=30)
    versions: dict[str, list[str]] = {}
    heard: dict[str, list[datetime]] = {}
    for event in events:
        heard.setdefault(event["smrtLinkId"], []).append(datetime.fromisoformat(event["createdAt"]))
        if event["eventTypeId"] == "eula_signed":
            versions.setdefault(event["smrtLinkId"], []).append(event["message"]["smrtlinkVersion"])
    assert len({version for each in versions.values() for version in each}) >= 3
    assert any(len(set(each)) > 1 for each in versions.values())
    silent = [each for each in heard.values() if UNTIL - each[-1] > timedelta(days=3)]
    assert 1 <= len(silent) < len(heard) / 3


def test_a_type_that_is_new_is_sent_as_its_examples_are(tmp_path: Path) -> None:
    """A schema is all that it takes."""
    directory = SchemaDirectory(tmp_path / "schemas")
    directory.write("sl_new", examples=[{"name": "from the example"}])
    registry = SchemaRegistry(directory.path)
    registry.load()
    events = traffic(registry)
    assert events
    assert all(event["message"] == {"name": "from the example"} for event in events)


def test_what_is_sent_is_what_the_server_gives_back(run: Run, server: ServerProcess, registry: SchemaRegistry) -> None:
    """One of the events, looked up."""
    run("simulate", "--url", f"http://127.0.0.1:{server.port}", *SMALL, "--seed", "back")
    event = next(Simulation(registry.schemas, systems=5, days=4, until=UNTIL, seed="back").events())
    assert get(server.port, f"/api/v1/events/{json.loads(event)['uuid']}").body == event
