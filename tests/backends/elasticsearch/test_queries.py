"""docs/how-to/query-elasticsearch.md is true: each query in it, run on simulated events, answers what Python counts."""

import asyncio
import json
import re
import shutil
import subprocess
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import pytest

from backends.base import Event, Status
from backends.elasticsearch import ElasticsearchStore, Options
from backends.record import finish_record
from eventserver.config import packaged_schemas
from eventserver.message import parse
from eventserver.schemas import SchemaRegistry
from eventserver.simulation import Simulation
from servers.elasticsearch import Elasticsearch

pytestmark = pytest.mark.slow

PAGE: Final = (Path(__file__).parents[3] / "docs/how-to/query-elasticsearch.md").read_text()
QUERY: Final = re.compile(r"^## (.+)\n(?:(?!## ).*\n)*?```sh\n(curl (?:(?!```).*\n)+)```$", re.MULTILINE)
QUERIES: Final = {title: query for title, query in QUERY.findall(PAGE) if "localhost:9200" in query}
DAYS: Final = 35
"""More than the queries look back."""
ENDS: Final = {"SUCCESSFUL", "SUCCCESSFUL", "FAILED", "TERMINATED"}
JOB: Final = "smrtlink_job_change_state"
Sent = list[dict[str, Any]]
Ask = Callable[[str], Any]


def registry() -> SchemaRegistry:
    """Return the schemas of this release."""
    registry = SchemaRegistry(packaged_schemas())
    registry.load()
    return registry


@pytest.fixture(scope="module")
def sent() -> Sent:
    """Simulated events as values, with ``moment`` and ``system``, oldest first."""
    return [
        {**event, "moment": datetime.fromisoformat(event["createdAt"]).astimezone(UTC), "system": event["smrtLinkId"]}
        for event in map(json.loads, simulation().events())
    ]


def simulation() -> Simulation:
    """Return some systems that end with the last midnight: queries look back from now."""
    return Simulation(registry().schemas, systems=10, days=DAYS, until=datetime.now(UTC), seed="s2")


@pytest.fixture(scope="module")
def module_prefix(elasticsearch: Elasticsearch) -> Iterator[str]:
    """What the names of the indices of all tests of this module begin with."""
    prefix = f"test-{uuid4().hex[:12]}"
    elasticsearch.heal()
    yield prefix
    elasticsearch.heal()
    elasticsearch.remove(prefix)


@pytest.fixture(scope="module")
def stored(elasticsearch: Elasticsearch, module_prefix: str) -> str:
    """Store the events as the server does, and make them visible; return where."""
    url = f"{elasticsearch.url.replace('http', 'elasticsearch', 1)}/{module_prefix}"
    asyncio.run(store(url, [finished(event) for event in simulation().events()]))
    elasticsearch.request("POST", f"/{module_prefix}/_refresh")
    return f"{elasticsearch.url}/{module_prefix}"


async def store(url: str, events: list[Event]) -> None:
    """Store events in bulks."""
    async with ElasticsearchStore(Options.parse(url, timeout=60)) as store:
        await store.prepare(registry().schemas)
        for start in range(0, len(events), 1000):
            outcomes = await store.put(events[start : start + 1000])
            assert {outcome.status for outcome in outcomes} == {Status.STORED}


def finished(original: bytes) -> Event:
    """Return an event as a store takes it."""
    message = parse(original)
    record = finish_record(original, message.at, f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}Z")
    return Event(
        message.uuid, message.smrtlink_id, message.event_type_id, message.event_type_version, message.at, record
    )


@pytest.fixture(scope="module")
def ask(stored: str) -> Ask:
    """Run the query under a heading as it stands there, but for the server and the prefix."""

    def ask(title: str) -> Any:
        command = QUERIES[title].replace("http://localhost:9200/smrtlink-events", stored)
        assert command != QUERIES[title]
        ended = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=True)
        answer = json.loads(ended.stdout)
        assert "error" not in answer, answer["error"]
        assert answer.get("_shards", {}).get("failed", 0) == 0, answer
        return answer

    return ask


def buckets(answer: Any, *names: str) -> list[Any]:
    """Return the groups of an aggregation."""
    for name in ("aggregations", *names):
        answer = answer[name]
    found: list[Any] = answer["buckets"]
    assert found
    assert answer.get("sum_other_doc_count", 0) == 0
    return found


def lately(events: Sent) -> Sent:
    """Return what is not older than ``now-30d/d``."""
    first = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=30)
    return [event for event in events if event["moment"] >= first]


def of_type(events: Sent, event_type_id: str, *states: str) -> Sent:
    """Return the events of a type, whatever its version; in some states only, if asked to."""
    found = [event for event in events if event["eventTypeId"] == event_type_id]
    return [event for event in found if event["message"]["state"] in states] if states else found


def in_milliseconds(moment: datetime) -> int:
    """Return a moment as Elasticsearch counts."""
    return round(moment.timestamp() * 1000)


def test_each_query_of_the_page_is_tested() -> None:
    """Ten questions and one more: none is added to the page without its answer here."""
    assert PAGE.count("curl -sS 'http://localhost:9200") == len(QUERIES) == 11
    missing = [title for title in QUERIES if f'ask("{title}")' not in Path(__file__).read_text()]
    assert missing == []


def test_types_and_versions(ask: Ask, sent: Sent) -> None:
    """Everything that was sent is there."""
    answer = ask("1. What do systems send?")
    assert answer["hits"]["total"] == {"value": len(sent), "relation": "eq"}
    found = {
        (kind["key"], version["key"]): version["doc_count"]
        for kind in buckets(answer, "types")
        for version in kind["versions"]["buckets"]
    }
    assert found == Counter((event["eventTypeId"], event["eventTypeVersion"]) for event in sent)
    assert {(JOB, 1), (JOB, 2)} <= found.keys()


def test_failures_per_day_and_site(ask: Ask, sent: Sent) -> None:
    """Over both versions of the job's event, and with the sites that tell no name."""
    found = {
        (day["key_as_string"], site["key"]): site["doc_count"]
        for day in buckets(ask("2. How many jobs failed, per day and site?"), "days")
        for site in day["sites"]["buckets"]
    }
    failed = of_type(lately(sent), JOB, "FAILED")
    assert found == Counter((f"{each['moment']:%Y-%m-%d}", each.get("dnsName", "(no name)")) for each in failed)
    assert "(no name)" in {site for _, site in found}
    assert len(failed) < len(of_type(sent, JOB, "FAILED"))


def test_jobs_by_type_and_state(ask: Ask, sent: Sent) -> None:
    """Misspelt states are states."""
    found = {
        (kind["key"], state["key"]): state["doc_count"]
        for kind in buckets(ask("3. How many jobs of each type went into each state?"), "types")
        for state in kind["states"]["buckets"]
    }
    jobs = of_type(sent, JOB)
    assert found == Counter((event["message"]["jobTypeId"], event["message"]["state"]) for event in jobs)
    assert {"FAILED", "SUCCESSFUL", "SUCCCESSFUL"} <= {state for _, state in found}


def test_systems_by_failures(ask: Ask, sent: Sent) -> None:
    """The worst first."""
    groups = buckets(ask("4. On which systems do most jobs fail?"), "systems")
    found = {group["key"]: (group["doc_count"], group["failed"]["doc_count"]) for group in groups}
    ended = Counter(event["system"] for event in of_type(sent, JOB, *ENDS))
    failed = Counter(event["system"] for event in of_type(sent, JOB, "FAILED"))
    assert found == {system: (number, failed[system]) for system, number in ended.items()}
    order = [group["failed"]["doc_count"] for group in groups]
    assert order == sorted(order, reverse=True)
    assert order[0] > order[-1]


def test_silent_systems(ask: Ask, sent: Sent) -> None:
    """The longest silent first."""
    last = {event["system"]: in_milliseconds(event["moment"]) for event in sent}
    groups = buckets(ask("5. Which systems are silent, and since when?"), "systems")
    assert {group["key"]: round(group["last"]["value"]) for group in groups} == last
    assert [group["last"]["value"] for group in groups] == sorted(last.values())


def test_longest_silence(ask: Ask, sent: Sent) -> None:
    """Picked out of the answer as the page says, it is the one between two neighbouring events."""
    answer = ask("6. What was the longest silence of a system?")
    found = {
        system["key"]: max(
            (later["first"]["value"] - earlier["last"]["value"])
            for earlier, later in pairwise(system["days"]["buckets"])
        )
        for system in buckets(answer, "systems")
        if len(system["days"]["buckets"]) > 1
    }
    heard: dict[str, list[datetime]] = defaultdict(list)
    for event in lately(sent):
        heard[event["system"]].append(event["moment"])
    longest = {
        system: max(
            (in_milliseconds(later) - in_milliseconds(earlier), earlier.date() != later.date())
            for earlier, later in pairwise(moments)
        )
        for system, moments in heard.items()
        if len(moments) > 1
    }
    over_midnight = {system: gap for system, (gap, is_over_midnight) in longest.items() if is_over_midnight}
    assert len(over_midnight) > 5
    assert {system: gap for system, gap in found.items() if system in over_midnight} == over_midnight
    longest_of_all = max(gap for gap, _ in longest.values())
    assert max(found.values()) == longest_of_all > timedelta(days=2) / timedelta(milliseconds=1)
    if shutil.which("jq"):
        assert hours_by_jq(answer) == sorted((int(gap // 3_600_000) for gap in found.values()), reverse=True)[:10]


def hours_by_jq(answer: Any) -> list[int]:
    """Run the page's own way to pick the silences out."""
    (program,) = re.findall(r"^```sh\n(jq (?:(?!```).*\n)+)```$", PAGE, re.MULTILINE)
    command = ["bash", "-c", program]
    ended = subprocess.run(command, input=json.dumps(answer), capture_output=True, text=True, timeout=60, check=True)
    return [int(line.split()[0]) for line in ended.stdout.splitlines()]


def test_version_of_each_system(ask: Ask, sent: Sent) -> None:
    """The newest of each, once."""
    hits = ask("7. Which version does each system run?")["hits"]["hits"]
    found = {hit["fields"]["smrtlinkId"][0]: hit["_source"]["message"]["smrtlinkVersion"] for hit in hits}
    signed = of_type(sent, "eula_signed")
    assert found == {event["system"]: event["message"]["smrtlinkVersion"] for event in signed}
    assert len(hits) == len(found) < len(signed)
    assert len(set(found.values())) >= 3


def test_versions_and_metrics_of_jobs(ask: Ask, sent: Sent) -> None:
    """Distinct systems, not events."""
    answer = ask("8. Which versions are in the field, and who allows metrics of jobs?")
    found: dict[str, tuple[int, dict[str, int]]] = {
        version["key"]: (
            version["systems"]["value"],
            {each["key_as_string"]: each["systems"]["value"] for each in version["metrics_of_jobs"]["buckets"]},
        )
        for version in buckets(answer, "versions")
    }
    systems: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for event in of_type(lately(sent), "sl_inst_upgrade_notification"):
        message = event["message"]
        systems[message["smrtlinkVersion"]][json.dumps(message["enableJobMetrics"])].add(event["system"])
    assert found == {
        version: (len(set().union(*choices.values())), {choice: len(each) for choice, each in choices.items()})
        for version, choices in systems.items()
    }


def test_active_systems_per_day(ask: Ask, sent: Sent) -> None:
    """Of the last 30 days."""
    groups = buckets(ask("9. How many systems are active each day?"), "days")
    systems: dict[str, set[str]] = defaultdict(set)
    for event in lately(sent):
        systems[f"{event['moment']:%Y-%m-%d}"].add(event["system"])
    assert {group["key_as_string"]: group["systems"]["value"] for group in groups} == {
        day: len(each) for day, each in systems.items()
    }
    assert len(groups) == 30


def test_newest_failures(ask: Ask, sent: Sent) -> None:
    """Newest first, with what is needed to find the job."""
    answer = ask("10. What are the newest failures of pipelines?")
    failed = [
        event for event in of_type(sent, "sl_job_metrics", "FAILED") if event["message"]["jobTypeId"] == "pbsmrtpipe"
    ]
    newest = sorted(failed, key=lambda event: (event["moment"], event["uuid"]), reverse=True)[:20]
    sources = [hit["_source"] for hit in answer["hits"]["hits"]]
    assert [(source["smrtLinkId"], source["message"]["id"]) for source in sources] == [
        (event["system"], event["message"]["id"]) for event in newest
    ]
    assert [source["message"]["movieIds"] for source in sources] == [event["message"]["movieIds"] for event in newest]
    pipelines = {group["key"]: group["doc_count"] for group in buckets(answer, "pipelines")}
    assert pipelines == Counter(event["message"]["pipelineId"] for event in failed)


def test_what_is_not_indexed(ask: Ask) -> None:
    """Of these events, nothing."""
    assert ask("And: is anything missing from the answers?")["count"] == 0
