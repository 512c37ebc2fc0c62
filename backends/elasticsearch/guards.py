"""What keeps events from their index that would take the server's memory there: by the mapping that is in force.

That is not always what this server's schemas say: a field never changes its type, and another server may have added
fields of a newer schema. So the mapping is read, and now and then again while large events come.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from backends.elasticsearch.attempts import Attempts
from backends.elasticsearch.connection import Connection
from backends.elasticsearch.mapping import Flattening, make_mappings
from backends.elasticsearch.mapping.flattening import SMALL
from backends.errors import StoreError

FRESH_SECONDS: Final = 30.0
_READING_SECONDS: Final = 0.5
_MISSING: Final = 404
_LEFT_OPEN: Final = Flattening(make_mappings({}))
"""Of an index whose mapping nobody knows: all of the message may be flattened."""

EventType = tuple[str, int]


class _Known(NamedTuple):
    flattening: Flattening
    read_at: float


class Guards:
    """The flattened fields of each index.

    Args:
        connection: asks.
        attempts: what is asked at the same time is asked once.
        index_of: names the index of a type.

    """

    def __init__(self, connection: Connection, attempts: Attempts, index_of: Callable[[str, int], str]) -> None:
        self._connection = connection
        self._attempts = attempts
        self._index_of = index_of
        self._known: dict[EventType, _Known] = {}

    def learn(self, event_type: EventType, mappings: Sequence[Mapping[str, Any]]) -> None:
        """Note the mappings in force, as Elasticsearch shows them or takes them."""
        self._known[event_type] = _Known(Flattening(*mappings), time.monotonic())

    async def is_excessive(self, event_type: EventType, record: bytes, deadline: float) -> bool:
        """Tell whether an event must not be indexed; see ``Flattening``. Never fails, and takes half a second at most.

        It need not be asked about records of up to ``SMALL`` bytes.

        Args:
            event_type: whose index it is for.
            record: finished.
            deadline: a moment of ``time.monotonic``.

        """
        if len(record) <= SMALL:
            return False
        known = self._known.get(event_type)
        if known is None or time.monotonic() - known.read_at > FRESH_SECONDS:
            limit = min(deadline, time.monotonic() + _READING_SECONDS)
            try:
                await self._attempts.share(
                    f"reading the mapping of {event_type}", lambda: self._read(event_type), limit
                )
            except StoreError:
                if known is not None:
                    # What is known serves for another while.
                    self._known[event_type] = known._replace(read_at=time.monotonic())
            known = self._known.get(event_type)
        flattening = _LEFT_OPEN if known is None else known.flattening
        return await asyncio.to_thread(flattening.is_excessive, record)

    async def _read(self, event_type: EventType) -> None:
        deadline = time.monotonic() + _READING_SECONDS
        answer = await self._connection.ask("GET", f"/{self._index_of(*event_type)}/_mapping", deadline=deadline)
        if answer.ok:
            self.learn(event_type, [found["mappings"] for found in answer.value().values()])
        elif answer.status != _MISSING:
            raise answer.problem()
