"""What is written before a claim: entries of the registers, and list rows; grouped by partition."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from cassandra.query import PreparedStatement

from backends.cassandra.shards import Placed, Shard, Shards
from backends.cassandra.statements import Statements

_BATCH_ROWS: Final = 200


class Write(NamedTuple):
    """Rows of one partition, and which events of the group need them."""

    statement: PreparedStatement
    rows: list[list[Any]]
    events: list[int]


class Entry(NamedTuple):
    """An entry of a register, and how it is written."""

    identity: tuple[str, ...]
    statement: PreparedStatement
    values: list[Any]


def entries_of(statements: Statements, placed: Placed) -> list[Entry]:
    """Return the entries that must be there before the rows of an event are."""
    entries = []
    for shard in placed.shards():
        if not shard.is_registered:
            entries += _entries_of(statements, shard)
    if not placed.by_type.is_registered:
        event = placed.event
        values = [event.event_type_id, event.event_type_version]
        entries.append(Entry(("type", *map(str, values)), statements.add_type, values))
    return entries


def _entries_of(statements: Statements, shard: Shard) -> list[Entry]:
    key = shard.key
    return [
        Entry(
            ("month", key.list, key.month),
            statements.add_month,
            [{int(key.month[5:])}, key.list, int(key.month[:4])],
        ),
        Entry(("shard", key.list, shard.name), statements.add_shard, [key.list, key.month, key.day, shard.name]),
    ]


def register_writes(
    statements: Statements, shards: Shards, placed: Sequence[Placed]
) -> dict[tuple[str, ...], tuple[Entry, list[int]]]:
    """Return the entries that are not there yet for a group, each with the events that need it."""
    needed: dict[tuple[str, ...], tuple[Entry, list[int]]] = {}
    for number, each in enumerate(placed):
        for entry in entries_of(statements, each):
            if not shards.is_known(entry.identity):
                needed.setdefault(entry.identity, (entry, []))[1].append(number)
    return needed


def ending_writes(statements: Statements, shards: Shards) -> list[Write]:
    """Return what says of partitions that get no more rows from where to where they go."""
    return [
        Write(
            statements.end_shard,
            [[shard.first, shard.last, shard.key.list, shard.key.month, shard.key.day, shard.name]],
            [],
        )
        for shard in shards.take_ended()
    ]


def row_writes(statements: Statements, placed: Sequence[Placed], numbers: Sequence[int]) -> list[Write]:
    """Return the list rows of those events of a group, grouped by partition, in batches of bounded size."""
    writes: dict[tuple[str, str], list[Write]] = {}
    for number in numbers:
        event, arrived, by_system, by_type, arrivals = placed[number]
        size = len(event.record)
        kind, version = event.event_type_id, event.event_type_version
        for shard, statement, row in (
            (
                by_system,
                statements.add_by_system,
                [event.smrtlink_id, by_system.key.day, by_system.name, event.at, event.uuid, kind, version, size],
            ),
            (
                by_type,
                statements.add_by_type,
                [kind, version, by_type.key.day, by_type.name, event.at, event.uuid, event.smrtlink_id, size],
            ),
            (arrivals, statements.add_arrival, [arrivals.key.day, arrivals.name, arrived, event.uuid, size]),
        ):
            of_partition = writes.setdefault((shard.key.list, shard.name), [])
            if not of_partition or len(of_partition[-1].rows) == _BATCH_ROWS:
                of_partition.append(Write(statement, [], []))
            of_partition[-1].rows.append(row)
            of_partition[-1].events.append(number)
    return [write for of_partition in writes.values() for write in of_partition]
