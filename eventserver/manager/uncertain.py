"""Events whose put failed: nobody was told that they are stored, and they may be all the same."""

import time
from collections.abc import Sequence
from typing import Final

from backends.base import Event, EventStore
from backends.errors import StoreError

MOST: Final = 10_000
_ASKED_AT_ONCE: Final = 100
_SECONDS: Final = 60.0
"""So long a write may be under way that nobody waits for any longer."""


class Uncertain:
    """Remembers them until the store says, so that one that turns out to be stored is delivered.

    Nothing was acknowledged of them, so what does not fit is forgotten; after a restart the log tells.
    """

    def __init__(self) -> None:
        self._events: dict[str, tuple[Event, float]] = {}

    def __bool__(self) -> bool:
        return bool(self._events)

    def add(self, events: Sequence[Event]) -> None:
        """Remember events."""
        now = time.monotonic()
        for event in events:
            self._events[event.uuid] = event, now
        while len(self._events) > MOST:
            del self._events[next(iter(self._events))]

    def take(self, uuid: str, record: bytes | None) -> Event | None:
        """Return, and forget, an event that turns out to be what is stored."""
        event, _ = self._events.get(uuid, (None, 0.0))
        if event is None or event.record != record:
            return None
        del self._events[uuid]
        return event

    async def settle(self, store: EventStore) -> list[Event]:
        """Ask the store for some; return, and forget, those that it has."""
        found = []
        for uuid, (event, added) in list(self._events.items())[:_ASKED_AT_ONCE]:
            try:
                record = await store.get(uuid)
            except StoreError:
                break
            if record == event.record:
                found.append(event)
            if record is not None or time.monotonic() > added + _SECONDS:
                self._events.pop(uuid, None)
        return found
