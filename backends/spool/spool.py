"""The spool as an event store: what the backend can't take now is acknowledged all the same."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, cast

from backends.base import Arrival, Event, EventStore, Outcome, Page, Query
from backends.disk import Disk
from backends.errors import StoreClosed
from backends.spool.backend import Backend
from backends.spool.backlog import Backlog
from backends.spool.backoff import Backoff
from backends.spool.drain import BULK_EVENTS, Drain, OnConflict
from backends.spool.drainer import Drainer
from backends.spool.ledger import Sizes
from backends.spool.merging import find_merged
from backends.spool.router import Router
from backends.spool.state import SpoolState, age_of, describe
from backends.statistics import Statistic

TIMEOUT: Final = 2.0
_DISK_SHARE: Final = 0.75
"""The log looks for what is late four times in its timeout."""
_PATIENCE_SHARE: Final = 0.25


class Spool(EventStore):
    """See the package.

    A ``put`` takes no longer than the timeout: six tenths of it belong to the backend, the rest to the disk.

    Args:
        store: the backend's, not opened. It is opened again after an opening has failed.
        directory: of the spool, made when missing; the caller owns it.
        on_conflict: keeps an acknowledged event for which the backend turned out to have another one.
        schemas: what the backend is prepared for before anything is drained, as by ``prepare``.
        sizes: bounds.
        timeout: seconds that a call may take.
        disk: the system calls.
        backoff: how long to wait between attempts to reach the backend.
        bulk_events: the most events that are drained at a time.

    """

    def __init__(
        self,
        store: EventStore,
        directory: Path,
        *,
        on_conflict: OnConflict,
        schemas: Mapping[tuple[str, int], Mapping[str, Any]] | None = None,
        sizes: Sizes | None = None,
        timeout: float = TIMEOUT,
        disk: Disk | None = None,
        backoff: Backoff | None = None,
        bulk_events: int = BULK_EVENTS,
    ) -> None:
        self._timeout = timeout
        self._backlog = Backlog(directory, disk=disk or Disk(), sizes=sizes or Sizes(), timeout=timeout * _DISK_SHARE)
        self._backend = Backend(store, schemas=schemas, timeout=timeout, wake=self._wake)
        self._drain = Drain(
            self._backend, self._backlog, on_conflict=on_conflict, timeout=timeout, bulk_events=bulk_events
        )
        self._drainer = Drainer(self._backend, self._backlog, self._drain, backoff or Backoff())
        self._router = Router(self._backend, self._backlog, timeout=timeout, wake=self._drainer.wake)
        self._accepting = False

    async def __aenter__(self) -> Self:
        await self._backlog.open()
        try:
            await self._backend.open()
        except BaseException:
            await self._backlog.close()
            raise
        self._drainer.start()
        self._accepting = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._accepting:
            return
        self._accepting = False
        await self._router.finish()
        await self._drainer.stop()
        await self._backlog.close()
        await self._backend.close()

    @property
    def backend(self) -> EventStore:
        """The store that it wraps."""
        return self._backend.store

    async def prepare(self, schemas: Mapping[tuple[str, int], Mapping[str, Any]]) -> None:
        """Prepare the backend; while it is away that is remembered, and done before anything is drained."""
        self._require_open()
        await self._backend.prepare(schemas)

    async def put(self, events: Sequence[Event]) -> list[Outcome]:  # noqa: D102
        self._require_open()
        return await self._router.put(events)

    async def get(self, uuid: str) -> bytes | None:  # noqa: D102
        self._require_open()
        if places := self._backlog.find_places((uuid,)).get(uuid):
            with self._backlog.pinned():
                if (record := await self._backlog.first(uuid, places)) is not None:
                    return record
        self._backend.require_readable()
        return await self._backend.read(self._backend.store.get(uuid))

    async def find(self, query: Query, *, limit: int, max_bytes: int) -> Page:  # noqa: D102
        self._require_open()
        self._backend.require_readable()
        if not self._backlog.events:
            return await self._backend.read(self._backend.store.find(query, limit=limit, max_bytes=max_bytes))
        return await find_merged(self._backend, self._backlog, query, limit=limit, max_bytes=max_bytes)

    async def tail(self, token: str | None = None) -> AsyncIterator[Arrival]:
        """Run through what is in the backend, in the order of its arrival there."""
        self._require_open()
        self._backend.require_readable()
        arrivals = cast("AsyncGenerator[Arrival]", self._backend.store.tail(token))
        async with aclosing(arrivals):
            async for arrival in arrivals:
                yield arrival

    async def ping(self) -> None:
        """Return when an event could be taken now, by the backend or by the spool."""
        self._require_open()
        if self._backend.is_up:
            await self._backend.check()
        else:
            await self._drainer.hurry(self._timeout * _PATIENCE_SHARE)
        if not self._backend.is_up:
            await self._backlog.check()

    def state(self) -> SpoolState:
        """Return how it is; works in any state."""
        backend, backlog = self._backend, self._backlog
        return SpoolState(
            is_up=backend.is_up,
            away_seconds=backend.away_seconds,
            problem=None if backend.problem is None else str(backend.problem),
            events=backlog.events,
            bytes=backlog.size,
            max_bytes=backlog.sizes.max_bytes,
            oldest=backlog.oldest,
            age_seconds=age_of(backlog.oldest),
            drained=self._drain.events,
            drain_rate=self._drain.rate,
        )

    def statistics(self) -> list[Statistic]:  # noqa: D102
        router = self._router
        return [
            *describe(self.state()),
            Statistic("outages_total", "How often the backend went away", self._backend.failures),
            Statistic("spool_spooled_total", "Events that went to the spool", router.spooled),
            Statistic("spool_refused_total", "Events that neither the backend nor the spool took", router.refused),
            Statistic("spool_conflicts_total", "Acknowledged events that lost to another one", self._drain.conflicts),
            Statistic("spool_damaged_records", "Records found damaged", len(self._backlog.reader.damaged)),
            *self._backend.store.statistics(),
        ]

    def _wake(self) -> None:
        self._drainer.wake()

    def _require_open(self) -> None:
        if not self._accepting:
            raise StoreClosed("the store is not open")
