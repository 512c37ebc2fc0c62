"""Reading a list: a merge of partitions that are opened only when the list comes to where they begin.

What is waiting to be read is a heap of *sources*, each with the place before which it holds nothing: a list, a month of
it, a partition, the rest of a partition. The first one is either the list's next row, or is opened, and what is in it
takes its place in the heap. Several are opened at once, more each time, since a list may have one row a day.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable, Sequence
from heapq import heapify, heappop, heappush, nsmallest
from itertools import chain
from typing import Any, Final, NamedTuple, Self

from backends.base import Position, Query
from backends.cassandra.connection import Connection
from backends.cassandra.statements import Directed, Statements

_MOST_OPENED: Final = 32
_SHARDS: Final = 500
_LOW: Final = ""
_HIGH: Final = "~"


class Row(NamedTuple):
    """A row of a list."""

    position: Position
    bytes: int
    """How large the record is, if the claim agrees."""
    shard: str


class Span(NamedTuple):
    """A part of a list, without both ends, and the direction that it is read in."""

    low: Position = Position(_LOW, _LOW)
    high: Position = Position(_HIGH, _HIGH)
    descending: bool = False

    @classmethod
    def of(cls, query: Query) -> Self:
        """Return the part that a query asks for."""
        low, high = Position(query.from_at or _LOW, _LOW), Position(query.to_at or _HIGH, _LOW)
        if query.after is not None and query.descending:
            high = min(high, query.after)
        elif query.after is not None:
            low = max(low, query.after)
        return cls(low, high, query.descending)

    @property
    def is_empty(self) -> bool:
        """Whether nothing can be in it."""
        return self.low >= self.high

    def touches(self, first: str, last: str) -> bool:
        """Tell whether rows of these instants, or beginnings of instants, may be in it."""
        return last + _HIGH > self.low.at and first <= self.high.at

    def behind(self, position: Position) -> Self:
        """Return what is left behind a position."""
        return self._replace(high=position) if self.descending else self._replace(low=position)


class ListName(NamedTuple):
    """A list: its name in the register, and how its partitions are read."""

    name: str
    statement: Directed
    key: tuple[Any, ...]
    """The first columns of the partition key."""
    conditions: tuple[Any, ...] = ()
    """Values of what the node filters by."""


class _Place:
    """A position that compares as the list runs."""

    __slots__ = ("descending", "position")

    def __init__(self, position: Position, descending: bool) -> None:  # noqa: FBT001 - of every row
        self.position = position
        self.descending = descending

    def __lt__(self, other: "_Place") -> bool:
        return self.position > other.position if self.descending else self.position < other.position


class _Context(NamedTuple):
    connection: Connection
    statements: Statements
    deadline: Callable[[], float]
    limit: int

    async def read(self, statement: Directed, values: Sequence[Any], span: Span) -> list[Any]:
        prepared = statement.towards(descending=span.descending)
        return await self.connection.read(prepared, values, deadline=self.deadline())


class _Source(ABC):
    """Something that rows come out of.

    Attributes:
        place: before it there is nothing in this one.

    """

    def __init__(self, first: Position, last: Position, span: Span) -> None:
        self.span = span
        position = min(last, span.high) if span.descending else max(first, span.low)
        self.place = _Place(position, span.descending)

    def __lt__(self, other: "_Source") -> bool:
        return self.place < other.place

    @abstractmethod
    async def open(self, context: _Context) -> "list[_Source]":
        """Return what is in it."""


class _Found(_Source):
    """A row, and the rows behind it."""

    def __init__(self, rows: list[Row], rest: "_Source | None", span: Span) -> None:
        super().__init__(rows[-1].position, rows[-1].position, span)
        self.place = _Place(rows[-1].position, span.descending)
        self.rows = rows
        self.rest = rest

    async def open(self, context: _Context) -> list[_Source]:
        raise NotImplementedError

    def take(self) -> tuple[Row, _Source | None]:
        """Return the row, and the source that takes this one's place."""
        row = self.rows.pop()
        if not self.rows:
            return row, self.rest
        self.place = _Place(self.rows[-1].position, self.span.descending)
        return row, self


class _Partition(_Source):
    def __init__(self, listed: ListName, day: str, shard: str, ends: tuple[str, str], span: Span) -> None:
        super().__init__(Position(ends[0], _LOW), Position(ends[1] + _HIGH, _HIGH), span)
        self.listed = listed
        self.day = day
        self.shard = shard

    async def open(self, context: _Context) -> list[_Source]:
        span = self.span
        values = [*self.listed.key, self.day, self.shard, *span.low, *span.high, *self.listed.conditions, context.limit]
        found = await context.read(self.listed.statement, values, span)
        if not found:
            return []
        rows = [Row(Position(at, uuid), size, self.shard) for at, uuid, size in reversed(found)]
        rest = None
        if len(found) == context.limit:
            last = rows[0].position
            rest = _Partition(self.listed, self.day, self.shard, (last.at, last.at), span.behind(last))
        return [_Found(rows, rest, span)]


class _Month(_Source):
    def __init__(self, listed: ListName, month: str, days: tuple[str, str], span: Span) -> None:
        super().__init__(Position(days[0], _LOW), Position(days[1] + _HIGH, _HIGH), span)
        self.listed = listed
        self.month = month
        self.days = days

    async def open(self, context: _Context) -> list[_Source]:
        statements, span = context.statements, self.span
        values = [self.listed.name, self.month, *self.days, _SHARDS]
        found = await context.read(statements.shards, values, span)
        if len(found) == _SHARDS:
            found = await self._whole_days(found, context)
        sources: list[_Source] = [
            _Partition(self.listed, day, shard, (first or day, last or day), span)
            for day, shard, first, last in found
            if span.touches(first or day, last or day)
        ]
        if len(found) >= _SHARDS:
            sources += self._rest(found[-1][0])
        return sources

    async def _whole_days(self, found: list[Any], context: _Context) -> list[Any]:
        """Read the last day of an answer as a whole: any of its partitions may hold the next row."""
        day = found[-1][0]
        values = [self.listed.name, self.month, day, day, 2**31 - 1]
        whole = await context.read(context.statements.shards, values, self.span)
        return [shard for shard in found if shard[0] != day] + whole

    def _rest(self, day: str) -> list[_Source]:
        first, last = self.days
        days = (first, _before(day)) if self.span.descending else (_behind(day), last)
        return [_Month(self.listed, self.month, days, self.span)] if days[0] <= days[1] else []


class _List(_Source):
    def __init__(self, listed: ListName, span: Span) -> None:
        super().__init__(span.low, span.high, span)
        self.listed = listed

    async def open(self, context: _Context) -> list[_Source]:
        found = await context.connection.read(
            context.statements.months, [self.listed.name], deadline=context.deadline()
        )
        months = [f"{year:04}-{month:02}" for year, months in found for month in months]
        # The first and the last day that the part can touch; days that are none do no harm.
        first, last = self.span.low.at[:10], self.span.high.at[:10]
        return [
            _Month(self.listed, month, (max(f"{month}-01", first), min(f"{month}-31", last)), self.span)
            for month in months
            if self.span.touches(month, month)
        ]


def _behind(day: str) -> str:
    return f"{day[:8]}{int(day[8:]) + 1:02}"


def _before(day: str) -> str:
    return f"{day[:8]}{int(day[8:]) - 1:02}"


async def read_rows(
    connection: Connection,
    statements: Statements,
    lists: Sequence[ListName],
    span: Span,
    *,
    limit: int,
    deadline: Callable[[], float],
) -> AsyncGenerator[Row, None]:
    """Run through the rows of several lists as one; of one event there may be several.

    Args:
        connection: asks.
        statements: prepared.
        lists: which.
        span: which part.
        limit: rows that are asked for at once.
        deadline: returns the moment (``time.monotonic``) by which the next answer must be there.

    Raises:
        StoreError: a part can't be read now.

    """
    context = _Context(connection, statements, deadline, limit)
    heap: list[_Source] = [] if span.is_empty else [_List(each, span) for each in lists]
    width = len(heap)
    while heap:
        source = heappop(heap)
        if isinstance(source, _Found):
            row, rest = source.take()
            if rest is not None:
                heappush(heap, rest)
            yield row
            continue
        near = [each for each in nsmallest(min(width, _MOST_OPENED), heap) if not isinstance(each, _Found)]
        found = await asyncio.gather(*(each.open(context) for each in (source, *near)))
        heap = [each for each in heap if each not in near]
        heap += chain.from_iterable(found)
        heapify(heap)
        if isinstance(source, _Partition):
            width = min(2 * width, _MOST_OPENED)
