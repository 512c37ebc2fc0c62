"""The Elasticsearch store: one index for each version of an event type, all behind one alias (``layout``).

*Stored* means: acknowledged by Elasticsearch, which has synced it to disk on each copy of the shard in use
(``index.translog.durability: request``). Who has a uuid is settled by ``identity``; who reads sees what was
acknowledged before, whether Elasticsearch has refreshed by itself or not (``reading``).

Opening sends nothing: the store opens while Elasticsearch is away, and each call says so until it is back.
"""

import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from types import TracebackType
from typing import Any, Final, Self, cast

from backends.base import Arrival, Event, EventStore, Outcome, Page, Query
from backends.boarding import Admission
from backends.elasticsearch.bulk import Bulk
from backends.elasticsearch.claims import PATIENCE
from backends.elasticsearch.connection import Connection, problem
from backends.elasticsearch.counts import Counts
from backends.elasticsearch.documents import Documents
from backends.elasticsearch.identity import LEASE, Identity
from backends.elasticsearch.layout import Layout
from backends.elasticsearch.options import Options
from backends.elasticsearch.reading import Reading, refresh
from backends.elasticsearch.refreshing import Refresher
from backends.elasticsearch.tailing import Tailing
from backends.errors import StoreClosed, StoreUnavailable
from backends.statistics import Statistic

_MISSING: Final = 404


class ElasticsearchStore(EventStore):
    """See the module.

    Args:
        options: of the store URL.
        read_only: ``prepare`` and ``put`` are refused, so that nothing is changed.
        patience: see ``identity``; the same for all servers on one Elasticsearch.

    """

    def __init__(self, options: Options, *, read_only: bool = False, patience: float = PATIENCE) -> None:
        self._options = options
        self._read_only = read_only
        self._counts = Counts()
        self._connection = connection = Connection(options, self._counts)
        self.layout = layout = Layout(connection, options, lease=min(LEASE, patience), read_only=read_only)
        self._bulk = Bulk(connection, options, self._counts)
        documents = Documents(connection, layout, self._counts)
        identity = Identity(self._bulk, documents, layout, self._counts, patience)
        self._admission = Admission(
            identity.settle,
            max_events=options.bulk_events,
            max_bytes=options.bulk_bytes,
            timeout=options.timeout,
            backend="Elasticsearch",
        )
        events = Refresher(lambda: self._refresh(layout.events))
        claims = Refresher(lambda: self._refresh(layout.claims))
        self._reading = Reading(connection, documents, layout, events, self._counts)
        self._tailing = Tailing(
            connection, documents, layout, claims, self._counts, timeout=options.timeout, patience=patience
        )
        self._is_open = False

    async def __aenter__(self) -> Self:
        await self._connection.open()
        self._is_open = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._is_open:
            return
        self._is_open = False
        await self._admission.finish()
        await self.layout.close()
        await self._connection.close()

    async def prepare(self, schemas: Mapping[tuple[str, int], Mapping[str, Any]]) -> None:  # noqa: D102
        self._require_writable()
        await self.layout.prepare(schemas)

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
        """Ask each index to delete what it does not have: that takes the way of every write, and changes nothing."""
        self._require_open()
        deadline = self._deadline()
        names = [self.layout.claims, *self.layout.known()]
        for _ in range(2):
            units = [b'{"delete":{"_index":"%b","_id":"ping"}}\n' % name.encode() for name in names]
            items = [item for (item,) in await self._bulk.send_again(units, 1, deadline=deadline)]
            if any(item.kind == "index_not_found_exception" for item in items) and not self._read_only:
                await self.layout.prepare({}, deadline)
                continue
            break
        for item in items:
            if item.status != _MISSING and not 200 <= item.status < 300:  # noqa: PLR2004 - as HTTP has it
                raise problem(item.status, item.kind, item.reason)

    def statistics(self) -> list[Statistic]:  # noqa: D102
        return self._counts.describe()

    async def _refresh(self, name: str) -> None:
        self._counts.refreshes += 1
        await refresh(self._connection, self.layout, name, self._deadline())

    def _deadline(self) -> float:
        return time.monotonic() + self._options.timeout

    def _require_open(self) -> None:
        if not self._is_open:
            raise StoreClosed("the store is not open")

    def _require_writable(self) -> None:
        self._require_open()
        if self._read_only:
            raise StoreUnavailable("the store was opened for reading only")
