"""A store whose new events are handed on."""

from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from backends.base import Arrival, Event, EventStore, Outcome, Page, Query
from backends.statistics import Statistic
from eventserver.manager.listeners import Listeners


class ListenedStore(EventStore):
    """The store itself, but for ``put``. What nobody takes costs a look-up in a dictionary.

    Args:
        store: opened and closed by the caller, not through this.
        listeners: open, of that store.

    """

    def __init__(self, store: EventStore, listeners: Listeners) -> None:
        self._store = store
        self._listeners = listeners

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Do nothing: whoever opened the store closes it."""

    async def prepare(self, schemas: Mapping[tuple[str, int], Mapping[str, Any]]) -> None:  # noqa: D102
        await self._store.prepare(schemas)

    def put(self, events: Sequence[Event]) -> Coroutine[Any, Any, list[Outcome]]:  # noqa: D102 - no coroutine of its own: this is the hot path
        takers = self._listeners.takers
        for event in events:
            if takers[event.event_type_id, event.event_type_version]:
                return self._listeners.put(events)
        return self._store.put(events)

    async def get(self, uuid: str) -> bytes | None:  # noqa: D102
        return await self._store.get(uuid)

    async def find(self, query: Query, *, limit: int, max_bytes: int) -> Page:  # noqa: D102
        return await self._store.find(query, limit=limit, max_bytes=max_bytes)

    def tail(self, token: str | None = None) -> AsyncIterator[Arrival]:  # noqa: D102
        return self._store.tail(token)

    async def ping(self) -> None:  # noqa: D102
        await self._store.ping()

    def statistics(self) -> list[Statistic]:  # noqa: D102
        return self._store.statistics()
