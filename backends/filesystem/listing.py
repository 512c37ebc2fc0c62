"""Reading a part of a list out of the tables of one snapshot."""

from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np

from backends.base import Query
from backends.filesystem.rows import (
    BY_SYSTEM,
    BY_TIME,
    BY_TYPE,
    EVENT_TYPE,
    Entry,
    Rows,
    TableFormat,
    as_bytes,
    pack_instants,
    pack_uuids,
    positions_of,
    read_entries,
    sort_rows,
)
from backends.filesystem.snapshot import Snapshot
from backends.filesystem.sorted_table import lower_bound, upper_bound

_SCAN_ROWS: Final = 65_536

Accept = Callable[[Rows], Rows]


class _Range(NamedTuple):
    """Rows of one table that agree in a prefix, in the order of their positions."""

    table: TableFormat
    prefix: bytes
    event_types: tuple[bytes, ...] | None
    """Of these types only (where the prefix does not say it); None means of all."""


def list_entries(snapshot: Snapshot, query: Query, *, event_types: Sequence[int] | None, limit: int) -> list[Entry]:
    """Return the first entries of a list, behind ``query.after``.

    Every table gives as many rows as are wanted, from the place where the list begins; merged, these hold the list's
    first rows. So the cost does not depend on where in the list it begins.

    Args:
        snapshot: all parts of the index.
        query: conditions, direction, starting position.
        event_types: the numbers of the types that fit the query; None when it does not ask for a type.
        limit: the most entries.

    """
    parts = [
        positions_of(wanted.table, _read_range(rows, wanted, query, limit))
        for wanted in _ranges_of(query, event_types)
        for rows in _tables_of(snapshot, wanted.table)
    ]
    if not parts:
        return []
    rows = sort_rows(np.concatenate(parts), BY_TIME.key_width)
    return read_entries(rows[::-1][:limit] if query.descending else rows[:limit])


def _ranges_of(query: Query, event_types: Sequence[int] | None) -> Iterator[_Range]:
    numbers = None if event_types is None else tuple(EVENT_TYPE.pack(number) for number in event_types)
    if query.smrtlink_id is not None:
        if numbers != ():
            yield _Range(BY_SYSTEM, pack_uuids([query.smrtlink_id]), numbers)
    elif numbers is not None:
        for number in numbers:
            yield _Range(BY_TYPE, number, None)
    else:
        yield _Range(BY_TIME, b"", None)


def _tables_of(snapshot: Snapshot, table: TableFormat) -> Iterator[Rows]:
    for memory in (snapshot.active, *snapshot.frozen):
        yield memory.table(table)
    for run in (*snapshot.packed, *snapshot.written):
        yield run.tables[table.name]


def _read_range(rows: Rows, wanted: _Range, query: Query, limit: int) -> Rows:
    """Return the first rows (in the list's direction) of a table that the query asks for, in ascending order."""
    start, stop = _bounds(rows, wanted.prefix, query)
    if wanted.event_types is None:
        rows = rows[start:stop]
        return rows[-limit:] if query.descending else rows[:limit]
    return _scan(rows[start:stop], wanted, limit, descending=query.descending)


def _bounds(rows: Rows, prefix: bytes, query: Query) -> tuple[int, int]:
    start = lower_bound(rows, prefix + _instant(query.from_at))
    stop = lower_bound(rows, prefix + _instant(query.to_at)) if query.to_at else upper_bound(rows, prefix)
    if query.after is not None:
        position = prefix + pack_instants(query.after.at.encode()) + pack_uuids([query.after.uuid])
        if query.descending:
            stop = min(stop, lower_bound(rows, position))
        else:
            start = max(start, upper_bound(rows, position))
    return start, max(start, stop)


def _instant(at: str | None) -> bytes:
    return b"" if at is None else pack_instants(at.encode())


def _scan(rows: Rows, wanted: _Range, limit: int, *, descending: bool) -> Rows:
    """Return the first rows (in the list's direction) that are of certain event types, in ascending order."""
    assert wanted.event_types is not None
    offset = wanted.table.offset("event_type")
    numbers = np.frombuffer(b"".join(wanted.event_types), dtype=">u4")
    found: list[Rows] = []
    count, done, step = 0, 0, limit
    while done < len(rows) and count < limit:
        step = min(step * 2, max(limit, _SCAN_ROWS))
        part = rows[-done - step : len(rows) - done] if descending else rows[done : done + step]
        done += step
        column = np.ascontiguousarray(as_bytes(part)[:, offset : offset + EVENT_TYPE.size]).view(">u4").ravel()
        part = part[np.isin(column, numbers)]
        count += len(part)
        found.append(part)
    if descending:
        return np.concatenate([rows[:0], *reversed(found)])[-limit:]
    return np.concatenate([rows[:0], *found])[:limit]
