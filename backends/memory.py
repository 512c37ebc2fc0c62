"""The reference implementation: every promise of ``backends.base``, in the fewest lines, kept in memory.

Read this one to learn what a store does. Where another store answers otherwise, ``tests/contract`` fails it. It is as
durable as the process; the events stay with the object, so closing and opening it again is its restart.

No method gives way to another while it works, so a ``put`` is judged and done in one step: nothing is ever in
flight, and everything that other stores do about that is not needed here.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from backends.base import Arrival, Event, EventStore, Outcome, Page, Position, Query, Status
from backends.equality import same_content
from backends.errors import InvalidStoreURL, StoreClosed
from backends.record import original_of


def from_url(url: str, *, root: Path, read_only: bool, timeout: float) -> "MemoryStore":  # noqa: ARG001 - needs none
    """Make the store of ``memory:``.

    Raises:
        InvalidStoreURL: it has parts that mean nothing here.

    """
    if any(urlsplit(url)[1:]):
        msg = f"{url!r} should be memory:"
        raise InvalidStoreURL(msg)
    return MemoryStore()


class MemoryStore(EventStore):
    """Events in a dictionary, by uuid; their positions in a sorted list; their arrivals in another."""

    def __init__(self) -> None:
        self._open = False
        self._events: dict[str, Event] = {}
        self._order: list[Position] = []
        self._arrivals: list[Event] = []

    async def __aenter__(self) -> Self:
        """Open; what an earlier opening stored is there."""
        self._open = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close; idempotent."""
        self._open = False

    async def prepare(self, schemas: Mapping[tuple[str, int], Mapping[str, Any]]) -> None:  # noqa: ARG002 - none needed
        """Do nothing: any event can be kept."""
        self._require_open()

    async def put(self, events: Sequence[Event]) -> list[Outcome]:
        """Judge and store events in their order; see ``EventStore.put``."""
        self._require_open()
        return [self._put(event) for event in events]

    def _put(self, event: Event) -> Outcome:
        present = self._events.get(event.uuid)
        if present is None:
            self._events[event.uuid] = event
            insort(self._order, Position(event.at, event.uuid))
            self._arrivals.append(event)
            return Outcome(Status.STORED)
        same = same_content(original_of(present.record), original_of(event.record))
        return Outcome(Status.DUPLICATE if same else Status.CONFLICT, present.record)

    async def get(self, uuid: str) -> bytes | None:
        """Return a record by its uuid, or None."""
        self._require_open()
        event = self._events.get(uuid)
        return None if event is None else event.record

    async def find(self, query: Query, *, limit: int, max_bytes: int) -> Page:
        """Return the first part of a list; see ``EventStore.find``."""
        self._require_open()
        records: list[bytes] = []
        size = 0
        last: Position | None = None
        for position in self._positions(query):
            event = self._events[position.uuid]
            if not _fits(event, query):
                continue
            size += len(event.record)
            if records and (len(records) == limit or size > max_bytes):
                return Page(records, last)
            records.append(event.record)
            last = position
        return Page(records, None)

    def _positions(self, query: Query) -> Iterator[Position]:
        """Run through the positions within the bounds of a query, in its direction."""
        start, stop = 0, len(self._order)
        if query.from_at is not None:
            start = bisect_left(self._order, Position(query.from_at, ""))
        if query.to_at is not None:
            stop = bisect_left(self._order, Position(query.to_at, ""))
        if query.after is not None and query.descending:
            stop = min(stop, bisect_left(self._order, query.after))
        elif query.after is not None:
            start = max(start, bisect_right(self._order, query.after))
        indices = range(start, stop)
        return (self._order[index] for index in (reversed(indices) if query.descending else indices))

    async def tail(self, token: str | None = None) -> AsyncIterator[Arrival]:
        """Run through all events in order of arrival; a token is the number of events up to there."""
        self._require_open()
        count = 0 if token is None else self._count(token)
        for event in islice(self._arrivals, count, len(self._arrivals)):
            self._require_open()
            count += 1
            yield Arrival(event, str(count))

    def _count(self, token: str) -> int:
        count = int(token[:20]) if token.isascii() and token.isdecimal() else 0
        if 0 < count <= len(self._arrivals) and token == str(count):
            return count
        msg = f"not a token of this store: {token[:40]!r}"
        raise ValueError(msg)

    async def ping(self) -> None:
        """Return: there is always room."""
        self._require_open()

    def _require_open(self) -> None:
        """Raise ``StoreClosed`` unless the store is open; each method comes through here first."""
        if not self._open:
            msg = "the store is not open"
            raise StoreClosed(msg)


def _fits(event: Event, query: Query) -> bool:
    """Tell whether an event meets the conditions that are not about order."""
    return (
        query.smrtlink_id in (None, event.smrtlink_id)
        and query.event_type_id in (None, event.event_type_id)
        and query.event_type_version in (None, event.event_type_version)
    )
