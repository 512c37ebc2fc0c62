"""The statements, all prepared once for each connection."""

import re
from dataclasses import dataclass, fields
from typing import Final

from cassandra.cluster import Session
from cassandra.query import PreparedStatement

from backends.cassandra.layout import NAME, name_of
from backends.cassandra.options import Options

ALL_TYPES: Final = "all"
_TABLE: Final = re.compile(r"\b(INTO|UPDATE|FROM) (\w+)")
_CLAIM: Final = "smrtlink_id, event_type_id, event_type_version, at, writer, arrived, record"
_TEXTS: Final = {
    "claim": f"INSERT INTO claims (uuid, {_CLAIM}) VALUES (?, ?, ?, ?, ?, ?, ?, ?) IF NOT EXISTS",
    "claim_closed": """UPDATE claims SET smrtlink_id = ?, event_type_id = ?, event_type_version = ?, at = ?, writer = ?,
        arrived = ?, record = ? WHERE uuid = ? IF record = null AND closed = ?""",
    "close": "UPDATE claims SET closed = ? WHERE uuid = ? IF record = null AND closed = ?",
    "read_claim": f"SELECT {_CLAIM}, closed FROM claims WHERE uuid = ?",
    "read_record": "SELECT record FROM claims WHERE uuid = ?",
    "add_by_system": """INSERT INTO events_by_system (smrtlink_id, day, shard, at, uuid, event_type_id,
        event_type_version, bytes) VALUES (?, ?, ?, ?, ?, ?, ?, ?)""",
    "add_by_type": """INSERT INTO events_by_type (event_type_id, event_type_version, day, shard, at, uuid, smrtlink_id,
        bytes) VALUES (?, ?, ?, ?, ?, ?, ?, ?)""",
    "add_arrival": "INSERT INTO arrivals (day, shard, at, uuid, bytes) VALUES (?, ?, ?, ?, ?)",
    "add_type": f"INSERT INTO event_types (part, event_type_id, event_type_version) VALUES ('{ALL_TYPES}', ?, ?)",
    "add_month": "UPDATE months SET months = months + ? WHERE list = ? AND year = ?",
    "add_shard": "INSERT INTO shards (list, month, day, shard) VALUES (?, ?, ?, ?)",
    "end_shard": "UPDATE shards SET first = ?, last = ? WHERE list = ? AND month = ? AND day = ? AND shard = ?",
    "types": f"SELECT event_type_id, event_type_version FROM event_types WHERE part = '{ALL_TYPES}' LIMIT 100000",
    "months": "SELECT year, months FROM months WHERE list = ? LIMIT 10000",
    "ping": f"UPDATE layout SET pinged = toTimestamp(now()) WHERE name = '{NAME}' IF EXISTS",
}
_SHARDS: Final = "SELECT day, shard, first, last FROM shards WHERE list = ? AND month = ? AND day >= ? AND day <= ?"
_RANGE: Final = "AND (at, uuid) > (?, ?) AND (at, uuid) < (?, ?)"
_BY_SYSTEM: Final = "SELECT at, uuid, bytes FROM events_by_system WHERE smrtlink_id = ? AND day = ? AND shard = ?"
_BY_TYPE: Final = """SELECT at, uuid, bytes FROM events_by_type WHERE event_type_id = ? AND event_type_version = ?
    AND day = ? AND shard = ?"""
_ARRIVALS: Final = "SELECT at, uuid, bytes FROM arrivals WHERE day = ? AND shard = ?"


@dataclass(frozen=True)
class Directed:
    """A statement that reads a part of a list in one direction or the other."""

    ascending: PreparedStatement
    descending: PreparedStatement

    def towards(self, *, descending: bool) -> PreparedStatement:
        """Return the one for a direction."""
        return self.descending if descending else self.ascending


@dataclass(frozen=True)
class Statements:
    """See the module; made by ``prepare``."""

    claim: PreparedStatement
    claim_closed: PreparedStatement
    close: PreparedStatement
    read_claim: PreparedStatement
    read_record: PreparedStatement
    add_by_system: PreparedStatement
    add_by_type: PreparedStatement
    add_arrival: PreparedStatement
    add_type: PreparedStatement
    add_month: PreparedStatement
    add_shard: PreparedStatement
    end_shard: PreparedStatement
    types: PreparedStatement
    months: PreparedStatement
    ping: PreparedStatement
    shards: Directed
    by_system: Directed
    """Values: system, day, shard, four for the range, limit."""
    by_system_and_type: Directed
    """The same, with the type before the limit; the node filters within the one partition."""
    by_system_type_and_version: Directed
    """The same, with type and version."""
    by_type: Directed
    arrivals: Directed


_CONDITIONAL: Final = frozenset({"claim", "claim_closed", "close", "ping"})


def prepare(session: Session, options: Options) -> Statements:
    """Prepare all; blocks.

    Raises:
        Exception: the driver's.

    """

    def ready(text: str, *, repeatable: bool = True) -> PreparedStatement:
        # With full names: what is prepared after a USE has another meaning, and identity, on another connection.
        statement = session.prepare(_TABLE.sub(lambda match: f"{match[1]} {name_of(options, match[2])}", text, count=1))
        # What may be done twice may be sent to a second node; of a claim the driver must not decide that.
        statement.is_idempotent = repeatable
        return statement

    def directed(text: str, first: str, suffix: str = "") -> Directed:
        return Directed(
            ready(f"{text} ORDER BY {first} ASC LIMIT ?{suffix}"),
            ready(f"{text} ORDER BY {first} DESC LIMIT ?{suffix}"),
        )

    single = {name: ready(text, repeatable=name not in _CONDITIONAL) for name, text in _TEXTS.items()}
    of_type = f"{_BY_SYSTEM} {_RANGE} AND event_type_id = ?"
    statements = Statements(
        **single,
        shards=directed(_SHARDS, "day"),
        by_system=directed(f"{_BY_SYSTEM} {_RANGE}", "at"),
        by_system_and_type=directed(of_type, "at", " ALLOW FILTERING"),
        by_system_type_and_version=directed(f"{of_type} AND event_type_version = ?", "at", " ALLOW FILTERING"),
        by_type=directed(f"{_BY_TYPE} {_RANGE}", "at"),
        arrivals=directed(f"{_ARRIVALS} {_RANGE}", "at"),
    )
    assert len(single) + 6 == len(fields(statements))
    return statements
