"""A backend that is away, hangs, is full, loses its answers or takes a part only, as a test wants it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, Self

from backends.base import Arrival, Event, Outcome, Page, Query, Status
from backends.errors import StorageFull, StoreError, StoreUnavailable
from backends.memory import MemoryStore

AWAY = StoreUnavailable("away, says the test")
FULL = StorageFull("full, says the test")


class WaywardStore(MemoryStore):
    """The reference store with whims.

    Attributes:
        error: raised by every call; a ``StorageFull`` by ``put`` and ``ping`` only.
        hangs: no call is answered before it is mended.
        deaf: a ``put`` stores, and then fails or hangs.
        refuses: events for which this is true are ``UNAVAILABLE``.
        chokes: a ``put`` with an event for which this is true fails.
        calls: the names of the calls, in order.
        puts: the events of each ``put``, in order.
        prepared: the event types that it was prepared for.

    """

    def __init__(self) -> None:
        super().__init__()
        self.error: StoreError | None = None
        self.hangs = False
        self.deaf = False
        self.refuses: Callable[[Event], bool] = lambda _event: False
        self.chokes: Callable[[Event], bool] = lambda _event: False
        self.calls: list[str] = []
        self.puts: list[list[Event]] = []
        self.prepared: set[tuple[str, int]] = set()
        self._mended = asyncio.Event()

    def mend(self) -> None:
        """Work, from now on; what hangs goes on."""
        self.error = None
        self.hangs = self.deaf = False
        self.refuses = self.chokes = lambda _event: False
        self._mended.set()
        self._mended = asyncio.Event()

    def all_records(self) -> list[bytes]:
        """Return what is stored, in the order of arrival."""
        return [event.record for event in self._arrivals]

    async def __aenter__(self) -> Self:
        """Open, or fail to."""
        await self._meet("open")
        return await super().__aenter__()

    async def prepare(self, schemas: Mapping[tuple[str, int], Mapping[str, Any]]) -> None:
        """Take note."""
        await self._meet("prepare")
        self.prepared |= set(schemas)

    async def put(self, events: Sequence[Event]) -> list[Outcome]:
        """Store, in whatever way."""
        self.puts.append(list(events))
        if not self.deaf:
            await self._meet("put", self.error)
        if any(map(self.chokes, events)):
            raise StoreUnavailable("it can't take that, says the test")
        taken = iter(await super().put([event for event in events if not self.refuses(event)]))
        outcomes = [Outcome(Status.UNAVAILABLE) if self.refuses(event) else next(taken) for event in events]
        if self.deaf:
            await self._meet("put", self.error or AWAY)
        return outcomes

    async def get(self, uuid: str) -> bytes | None:
        """Read, if it can be read."""
        await self._meet("get")
        return await super().get(uuid)

    async def find(self, query: Query, *, limit: int, max_bytes: int) -> Page:
        """Read, if it can be read."""
        await self._meet("find")
        return await super().find(query, limit=limit, max_bytes=max_bytes)

    async def tail(self, token: str | None = None) -> AsyncIterator[Arrival]:
        """Read, if it can be read."""
        await self._meet("tail")
        async for arrival in super().tail(token):
            yield arrival

    async def ping(self) -> None:
        """Answer, if it takes events."""
        await self._meet("ping", self.error)
        await super().ping()

    async def _meet(self, call: str, error: StoreError | None = None) -> None:
        self.calls.append(call)
        if self.hangs:
            await self._mended.wait()
        if isinstance(self.error, StoreUnavailable):
            raise self.error
        if error is not None:
            raise error
