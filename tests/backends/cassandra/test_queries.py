"""docs/how-to/query-cassandra.md is true: each statement in it, run on simulated events, answers what Python counts."""

import asyncio
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple
from uuid import uuid4

import pytest
from cassandra.cluster import Session

from backends.base import Event, Status
from backends.cassandra import CassandraStore, Options
from backends.record import finish_record
from eventserver.config import packaged_schemas
from eventserver.message import parse
from eventserver.schemas import SchemaRegistry
from eventserver.simulation import Simulation
from servers.cassandra import Cassandra

pytestmark = pytest.mark.slow

PAGE: Final = (Path(__file__).parents[3] / "docs/how-to/query-cassandra.md").read_text()
QUERY: Final = re.compile(r"^## (.+)\n(?:(?!## ).*\n)*?```cql\n((?:(?!```).*\n)+)```$", re.MULTILINE)
QUERIES: Final = dict(QUERY.findall(PAGE))
SYSTEM: Final = "2319db24-f46e-11e6-a35c-3c15c2cc8f88"
UUID: Final = "83927d00-f46c-11e6-9f9b-3c15c2cc8f88"
SHARDS: Final = "'4f1c2a90b7de.1', '9a0e11c2d3f4.1'"
JOB: Final = ("smrtlink_job_change_state", 1)
UNTIL: Final = datetime(2026, 11, 26, tzinfo=UTC)
Ask = Callable[..., list[Any]]


class Stored(NamedTuple):
    """What lies in a keyspace."""

    keyspace: str
    events: list[Event]


@pytest.fixture(scope="module")
def stored(cassandra: Cassandra) -> Iterator[Stored]:
    """Store simulated events by two servers, with shards of few rows, so that each list has several."""
    keyspace = f"test_{uuid4().hex[:12]}"
    cassandra.heal()
    registry = SchemaRegistry(packaged_schemas())
    registry.load()
    simulation = Simulation(registry.schemas, systems=4, days=4, until=UNTIL, seed="s2")
    events = [finished(original) for original in simulation.events()]
    options = replace(Options.parse(f"{cassandra.url}/{keyspace}", timeout=60), shard_rows=20)
    for part in (events[::2], events[1::2]):
        asyncio.run(store(options, part))
    yield Stored(keyspace, events)
    cassandra.heal()
    cassandra.execute(f"DROP KEYSPACE IF EXISTS {keyspace}")


async def store(options: Options, events: Sequence[Event]) -> None:
    """Store events."""
    async with CassandraStore(options) as store:
        await store.prepare({})
        assert {outcome.status for outcome in await store.put(events)} == {Status.STORED}


def finished(original: bytes) -> Event:
    """Return an event as a store takes it."""
    message = parse(original)
    record = finish_record(original, message.at, f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}Z")
    return Event(
        message.uuid, message.smrtlink_id, message.event_type_id, message.event_type_version, message.at, record
    )


@pytest.fixture(scope="module")
def ask(stored: Stored, session: Session) -> Ask:
    """Run the statement under a heading as it stands there, but for the values that the page asks to put in."""
    session.execute(f"USE {stored.keyspace}")

    def ask(title: str, **values: str) -> list[Any]:
        (shard, *_) = values.get("shards", SHARDS).split(",")
        text = QUERIES[title].replace(SHARDS, values.get("shards", SHARDS)).replace("'4f1c2a90b7de.1'", shard)
        text = text.replace(SYSTEM, values.get("system", SYSTEM)).replace(UUID, values.get("uuid", UUID))
        day, hour = values.get("day", "2026-11-24"), int(values.get("hour", "08"))
        text = text.replace("T08'", f"T{hour:02}'").replace("T09'", f"T{hour + 1:02}'")
        return list(session.execute(text.replace("2026-11-24", day).replace("2026-11'", f"{day[:7]}'")))

    return ask


@pytest.fixture(scope="module")
def busy(stored: Stored) -> tuple[str, str]:
    """Return the system and the day with most events."""
    ((found, _),) = Counter((event.smrtlink_id, event.at[:10]) for event in stored.events).most_common(1)
    return found


def shards_of(session: Session, list_name: str, day: str) -> str:
    """Return a list's shards of a day, as CQL has them, from the register."""
    query = "SELECT shard FROM shards WHERE list = %s AND month = %s AND day = %s"
    names = [row.shard for row in session.execute(query, (list_name, day[:7], day))]
    assert len(names) > 1
    return ", ".join(f"'{name}'" for name in names)


def test_each_statement_of_the_page_is_tested() -> None:
    """None is added to the page without its answer here."""
    assert PAGE.count("```cql") == len(QUERIES) == 9
    assert [title for title in QUERIES if f'"{title}"' not in Path(__file__).read_text()] == []


def test_an_event_by_its_uuid(ask: Ask, stored: Stored) -> None:
    """The record is the event; an unknown uuid has no row."""
    event = stored.events[7]
    (row,) = ask("1. Is this event stored, and what does it say?", uuid=event.uuid)
    assert row.record.encode() == event.record
    assert ask("1. Is this event stored, and what does it say?") == []


def test_types(ask: Ask, stored: Stored) -> None:
    """Each type and version that was sent."""
    found = {tuple(row) for row in ask("2. Which types of events are there?")}
    assert found == {(event.event_type_id, event.event_type_version) for event in stored.events}
    assert JOB in found


def test_months_and_days_of_a_system(ask: Ask, stored: Stored, busy: tuple[str, str]) -> None:
    """The registers name what the lists have; a full shard says from where to where its rows go."""
    system, _ = busy
    sent = [event.at for event in stored.events if event.smrtlink_id == system]
    months = ask("3. In which months did a system send?", system=system)
    assert {f"{row.year}-{month:02}" for row in months for month in row.months} == {at[:7] for at in sent}
    rows = ask("4. On which days of a month did it send, and in which shards are they?", system=system)
    assert {row.day for row in rows} == {at[:10] for at in sent if at[:7] == "2026-11"}
    full = [row for row in rows if row.first is not None]
    assert full
    assert all(row.day == row.first[:10] == row.last[:10] for row in full)


def test_a_day_of_a_system(ask: Ask, stored: Stored, session: Session, busy: tuple[str, str]) -> None:
    """All of it from all shards, and an hour of one shard in its order."""
    system, day = busy
    shards = shards_of(session, f"system/{system}", day)
    sent = [each for each in stored.events if each.smrtlink_id == system and each.at[:10] == day]
    rows = ask("5. What did it send on a day?", system=system, day=day, shards=shards)
    assert sorted(map(tuple, rows)) == sorted(
        (each.at, each.uuid, each.event_type_id, each.event_type_version) for each in sent
    )
    (first, *_) = shards.split(", ")
    query = f"SELECT at, uuid FROM events_by_system WHERE smrtlink_id = %s AND day = %s AND shard = {first}"
    rows = [tuple(row) for row in session.execute(query, (system, day))]
    hour = rows[len(rows) // 2][0][11:13]
    found = ask("6. And in one hour of it, the newest first?", system=system, day=day, shards=first, hour=hour)
    assert [tuple(row) for row in found] == [row for row in reversed(rows) if row[0][11:13] == hour]


def test_how_many_of_a_type(ask: Ask, stored: Stored, session: Session, busy: tuple[str, str]) -> None:
    """Over all systems."""
    _, day = busy
    shards = shards_of(session, f"type/{JOB[0]}/{JOB[1]}", day)
    ((count,),) = ask("7. How many events of a type are there on a day?", day=day, shards=shards)
    assert count == sum(
        (each.event_type_id, each.event_type_version, each.at[:10]) == (*JOB, day) for each in stored.events
    )


def test_arrivals(ask: Ask, stored: Stored, session: Session) -> None:
    """Everything arrived, whatever day it tells of."""
    found: list[Any] = []
    for row in session.execute("SELECT day FROM shards WHERE list = 'arrivals' ALLOW FILTERING"):
        day = row.day
        if day not in {at[:10] for at, _ in found}:
            shards = shards_of(session, "arrivals", day)
            title = "8. What arrived on a day, in the order of arrival?"
            found += map(tuple, ask(title, day=day, shards=shards))
    assert {uuid for _, uuid in found} == {event.uuid for event in stored.events}


def test_layout(ask: Ask) -> None:
    """The version, and a moment."""
    (row,) = ask("9. Which layout is this, and when did a server look after it last?")
    assert row.version == 1
    assert row.pinged is not None
