"""The Cassandra store: claims that hold the records, and lists of keys (``layout`` draws the tables).

*Stored* means: claimed by a lightweight transaction that was committed at the consistency of the store's URL
(``LOCAL_QUORUM``); how durable that is on each node is its ``commitlog_sync``. Who reads sees what was acknowledged
before, as reads have the same consistency.

Opening connects. Later on, the store connects again by itself, and each call says so while it can't.
"""

import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from types import TracebackType
from typing import Any, Self, cast

from backends.base import Arrival, Event, EventStore, Outcome, Page, Query
from backends.boarding import Admission
from backends.cassandra.claims import Claims
from backends.cassandra.clock import ArrivalClock
from backends.cassandra.connection import Connection
from backends.cassandra.counts import Counts
from backends.cassandra.options import Options
from backends.cassandra.problems import LayoutMissing
from backends.cassandra.reading import Reading
from backends.cassandra.shards import Shards
from backends.cassandra.tailing import PATIENCE, Tailing
from backends.cassandra.writing import Writing
from backends.errors import StoreClosed, StoreUnavailable
from backends.statistics import Statistic

_GROUP_BYTES = 4 * 1024 * 1024


class CassandraStore(EventStore):
    """See the module.

    Args:
        options: of the store URL.
        read_only: ``prepare`` and ``put`` are refused, so that nothing is changed.
        patience: see ``tailing``.

    """

    def __init__(self, options: Options, *, read_only: bool = False, patience: float = PATIENCE) -> None:
        self._options = options
        self._read_only = read_only
        self._patience = patience
        self._counts = Counts()
        self._is_open = False

    async def __aenter__(self) -> Self:
        options, counts = self._options, self._counts
        self._connection = connection = Connection(options, counts, read_only=self._read_only)
        claims = Claims(connection, counts)
        shards = Shards(options.shard_rows, counts)
        writing = Writing(connection, claims, shards, counts, ArrivalClock())
        self._admission = Admission(
            writing.settle,
            max_events=options.group_events,
            max_bytes=_GROUP_BYTES,
            timeout=options.timeout,
            backend="Cassandra",
        )
        self._reading = Reading(connection, claims, counts)
        self._tailing = Tailing(
            connection,
            claims,
            self._reading.tell_damage,
            timeout=options.timeout,
            patience=self._patience,
            read_only=self._read_only,
        )
        await connection.open(self._deadline())
        self._is_open = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._is_open:
            return
        self._is_open = False
        await self._admission.finish()
        await self._connection.close()

    async def prepare(self, schemas: Mapping[tuple[str, int], Mapping[str, Any]]) -> None:  # noqa: ARG002 - none needed
        """See that the tables are there, made anew if need be: any event can be kept in them."""
        self._require_writable()
        await self._ping()

    async def put(self, events: Sequence[Event]) -> list[Outcome]:  # noqa: D102
        self._require_writable()
        return await self._admission.put(events) if events else []

    async def get(self, uuid: str) -> bytes | None:  # noqa: D102
        self._require_open()
        return await self._reading.get(uuid, self._deadline())

    async def find(self, query: Query, *, limit: int, max_bytes: int) -> Page:  # noqa: D102
        self._require_open()
        return await self._reading.find(query, limit, max_bytes, self._deadline())

    async def tail(self, token: str | None = None) -> AsyncIterator[Arrival]:  # noqa: D102
        self._require_open()
        arrivals = cast("AsyncGenerator[Arrival, None]", self._tailing.tail(token))
        async with aclosing(arrivals):
            async for arrival in arrivals:
                self._require_open()
                yield arrival

    async def ping(self) -> None:
        """Write the moment down where the version of the layout is: as a claim, on the way of every claim."""
        self._require_open()
        await self._ping()

    async def _ping(self) -> None:
        deadline = self._deadline()
        for attempt in range(2):
            try:
                statements = await self._connection.statements(deadline)
                await self._connection.change(statements.ping, [], deadline=deadline)
            except LayoutMissing:
                # It is made again by the next connection.
                if attempt:
                    raise
            else:
                return

    def statistics(self) -> list[Statistic]:  # noqa: D102
        return self._counts.describe()

    def _deadline(self) -> float:
        return time.monotonic() + self._options.timeout

    def _require_open(self) -> None:
        if not self._is_open:
            raise StoreClosed("the store is not open")

    def _require_writable(self) -> None:
        self._require_open()
        if self._read_only:
            raise StoreUnavailable("the store was opened for reading only")
