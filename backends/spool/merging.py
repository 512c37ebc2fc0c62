"""Lists over the backend and what waits for it, as one.

The backend's page says how far this page reaches; what waits is put in up to there. What waits counts before what the
backend has under the same uuid: it is what a ``get`` answers, so a list never shows a uuid twice, not even one for
which the backend has another event, at another place of the list.

What is drained stays in the index for a while, hidden by its place. Going over it costs nothing that grows: each such
event is in the backend, and so on the same page.
"""

import heapq
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from backends.base import Page, Position, Query
from backends.log import LogPosition, Place
from backends.record import at_of, uuid_of
from backends.spool.backend import Backend
from backends.spool.backlog import Backlog
from backends.spool.live_index import is_behind

_MOST_ENTRIES: Final = 1000


class Item(NamedTuple):
    """A record, and its place in the list."""

    position: Position
    record: bytes


class _Wanted(NamedTuple):
    """What a page should hold."""

    query: Query
    limit: int
    max_bytes: int


async def find_merged(backend: Backend, backlog: Backlog, query: Query, *, limit: int, max_bytes: int) -> Page:
    """Do what ``EventStore.find`` promises, over both.

    Raises:
        StoreUnavailable: one of them can't be read.

    """
    # Each event that was acknowledged before this waits behind the position, or is in the backend.
    with backlog.pinned() as drained:
        while True:
            page = await backend.read(backend.store.find(query, limit=limit, max_bytes=max_bytes))
            items = await backlog.threads.run(_read_items, page)
            candidates = backlog.find_places([item.position.uuid for item in items], behind=drained)
            wanted = _Wanted(query, limit, max_bytes)
            merged = await backlog.threads.run(_merge, backlog, drained, wanted, page, items, candidates)
            if merged.records or merged.next is None:
                return merged
            query = query._replace(after=merged.next)


def _read_items(page: Page) -> list[Item]:
    """Return a page of the backend with the positions of its records; takes about 2 us for each."""
    return [Item(Position(at_of(record), uuid_of(record)), record) for record in page.records]


def _merge(
    backlog: Backlog,
    drained: LogPosition,
    wanted: _Wanted,
    page: Page,
    items: Sequence[Item],
    candidates: Mapping[str, Sequence[Place]],
) -> Page:
    """Put what waits into a page of the backend; blocks."""
    query = wanted.query
    waiting = {uuid for uuid, places in candidates.items() if backlog.reader.first(uuid, places) is not None}
    there = (item for item in items if item.position.uuid not in waiting)
    here = _read_waiting(backlog, drained, query, page.next, wanted.limit)
    records: list[bytes] = []
    size, last = 0, query.after
    for position, record in heapq.merge(there, here, key=_position_of, reverse=query.descending):
        size += len(record)
        if records and (len(records) == wanted.limit or size > wanted.max_bytes):
            return Page(records, last)
        records.append(record)
        last = position
    return Page(records, page.next)


def _position_of(item: Item) -> Position:
    return item.position


def _read_waiting(
    backlog: Backlog, drained: LogPosition, query: Query, end: Position | None, limit: int
) -> Iterator[Item]:
    """Yield what waits, in the list's direction, up to a position and including it."""
    after, count = query.after, min(limit + 1, _MOST_ENTRIES)
    while True:
        entries = backlog.list_entries(query._replace(after=after), limit=count)
        for at, uuid, place in entries:
            after = Position(at, uuid)
            if end is not None and (after < end if query.descending else after > end):
                return
            if is_behind(place, drained) and (record := backlog.reader.intact(place)) is not None:
                yield Item(after, record)
        if len(entries) < count:
            return
