"""Reading: lists are keys first, then the claims on them, which hold the records."""

import asyncio
import logging
import time
from collections.abc import Sequence
from contextlib import aclosing
from typing import Final

from backends.base import Page, Position, Query
from backends.cassandra.claims import Claim, Claims
from backends.cassandra.connection import Connection
from backends.cassandra.counts import Counts
from backends.cassandra.lists import ListName, Row, Span, read_rows
from backends.cassandra.shards import system_list, type_list
from backends.cassandra.statements import Statements
from backends.record import is_intact

PIECE_BYTES: Final = 4 * 1024 * 1024
PIECE_ROWS: Final = 200
_MOST_ROWS: Final = 1000
_LOGGER: Final = logging.getLogger(__name__)


class Reading:
    """Reads events.

    Args:
        connection: asks.
        claims: reads records.
        counts: of what was found damaged.

    """

    def __init__(self, connection: Connection, claims: Claims, counts: Counts) -> None:
        self._connection = connection
        self._claims = claims
        self._counts = counts

    async def get(self, uuid: str, deadline: float) -> bytes | None:
        """Return the record of an event; see ``EventStore.get``."""
        record = await self._claims.read_record(uuid, deadline)
        return None if record is None or self.tell_damage(uuid, record) else record

    async def find(self, query: Query, limit: int, max_bytes: int, deadline: float) -> Page:
        """Return the first part of a list; see ``EventStore.find``."""
        statements = await self._connection.statements(deadline)
        lists = await self._lists(statements, query, deadline)
        wanted = min(limit + 1, _MOST_ROWS)
        page = _Collected(limit, max_bytes)
        span = Span.of(query)
        rows = read_rows(self._connection, statements, lists, span, limit=wanted, deadline=lambda: deadline)
        async with aclosing(rows):
            piece: list[Row] = []
            size = 0
            last: Position | None = None
            async for row in rows:
                if row.position == last:
                    continue
                last = row.position
                if piece and (len(piece) >= page.room_rows or size + row.bytes > page.room_bytes):
                    if await self._collect(page, piece, query, deadline):
                        return page.done()
                    piece, size = [], 0
                piece.append(row)
                size += row.bytes
            if await self._collect(page, piece, query, deadline):
                return page.done()
        return page.last()

    async def _collect(self, page: "_Collected", piece: Sequence[Row], query: Query, deadline: float) -> bool:
        """Add the events of rows that their claims agree with; tell whether the page is full, with more behind it."""
        claims = await asyncio.gather(*(self._claims.read(row.position.uuid, deadline) for row in piece))
        for row, claim in zip(piece, claims, strict=True):
            if claim is None or not _agrees(claim, row, query) or self.tell_damage(row.position.uuid, claim.record):
                continue
            if not page.add(row.position, claim.record):
                return True
        return False

    async def _lists(self, statements: Statements, query: Query, deadline: float) -> list[ListName]:
        kind, version = query.event_type_id, query.event_type_version
        if query.smrtlink_id is not None:
            statement = statements.by_system
            if version is not None:
                statement = statements.by_system_type_and_version
            elif kind is not None:
                statement = statements.by_system_and_type
            conditions = tuple(value for value in (kind, version) if value is not None)
            return [ListName(system_list(query.smrtlink_id), statement, (query.smrtlink_id,), conditions)]
        if kind is not None and version is not None:
            types = [(kind, version)]
        else:
            known = await self._connection.read(statements.types, [], deadline=deadline)
            types = [(each, number) for each, number in known if kind in (None, each)]
        return [ListName(type_list(*each), statements.by_type, each) for each in types]

    def tell_damage(self, uuid: str, record: bytes) -> bool:
        """Tell whether the record is not what was stored, and say so in the log."""
        if is_intact(record):
            return False
        self._counts.damaged += 1
        _LOGGER.error("event %s in claims is not what was stored: its checksum is wrong", uuid)
        return True


class _Collected:
    """A page that is being filled."""

    def __init__(self, limit: int, max_bytes: int) -> None:
        self._limit = limit
        self._max_bytes = max_bytes
        self._records: list[bytes] = []
        self._bytes = 0
        self._position: Position | None = None

    @property
    def room_rows(self) -> int:
        """How many rows are looked into together: those that the page still takes, and the one behind them."""
        return min(self._limit - len(self._records) + 1, PIECE_ROWS)

    @property
    def room_bytes(self) -> int:
        """How much is read together."""
        return min(max(self._max_bytes - self._bytes, 0), PIECE_BYTES)

    def add(self, position: Position, record: bytes) -> bool:
        """Add a record, unless the page is full."""
        if self._records and (len(self._records) == self._limit or self._bytes + len(record) > self._max_bytes):
            return False
        self._records.append(record)
        self._bytes += len(record)
        self._position = position
        return True

    def done(self) -> Page:
        """Return the page; there is more behind it."""
        return Page(self._records, self._position)

    def last(self) -> Page:
        """Return the page; there is nothing behind it."""
        return Page(self._records, None)


def _agrees(claim: Claim, row: Row, query: Query) -> bool:
    """Tell whether the event that has the uuid is the one that the row is of, and what was asked for."""
    return (
        claim.at == row.position.at
        and query.smrtlink_id in (None, claim.smrtlink_id)
        and query.event_type_id in (None, claim.event_type_id)
        and query.event_type_version in (None, claim.event_type_version)
    )


def remaining(timeout: float) -> float:
    """Return the moment (``time.monotonic``) so many seconds from now."""
    return time.monotonic() + timeout
