"""Handing over what waits, bulk by bulk, in order."""

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, Final, NamedTuple

from backends.base import Event, Outcome, Status
from backends.errors import StoreError
from backends.log import LogPosition, Place
from backends.spool.backend import Backend
from backends.spool.backlog import Backlog, Bulk

BULK_EVENTS: Final = 1000
BULK_BYTES: Final = 4 * 1024 * 1024
_RATE_SECONDS: Final = 10
_REFUSALS: Final = 3

_LOGGER: Final = logging.getLogger(__name__)

OnConflict = Callable[[Event], Awaitable[None]]
"""Keeps an event for which the backend has another one under its uuid; when it returns, that is durable."""


class _Flight(NamedTuple):
    """A bulk on its way to the backend."""

    bulk: Bulk
    started: float
    outcomes: asyncio.Task[list[Outcome]]


class Step(NamedTuple):
    """What one bulk has come to."""

    lines: int
    """So many are gone."""
    is_whole: bool
    """Whether none of the bulk is left."""
    is_answered: bool
    """Whether the backend took, or knew, any of it."""


class Drain:
    """Hands over what waits.

    A bulk is halved when it fails, and doubled when it succeeds: so a backend that is slow, or that takes no large
    requests, gets what it can take. One bulk is on its way at a time, so that they arrive in their order; as soon as it
    has arrived the next one leaves, and what is written down about the first is written meanwhile.

    Args:
        backend: takes it.
        backlog: open.
        on_conflict: raises a ``StoreError`` when it can't keep the event now; it is tried again then.
        timeout: seconds for a call; a bulk may take twice as long.
        bulk_events: the most events of a bulk.

    """

    def __init__(
        self, backend: Backend, backlog: Backlog, *, on_conflict: OnConflict, timeout: float, bulk_events: int
    ) -> None:
        self.events = 0
        """Lines that are gone since the start, what the backend had already and conflicts included."""
        self.conflicts = 0
        """Conflicts found since the start."""
        self._backend = backend
        self._backlog = backlog
        self._on_conflict = on_conflict
        self._timeout = timeout
        self._bulk_events = bulk_events
        self._size = bulk_events
        self._refusals = 0
        self._next: tuple[LogPosition, asyncio.Task[Bulk]] | None = None
        self._flight: _Flight | None = None
        self._steps: deque[tuple[float, int]] = deque()

    @property
    def is_stuck(self) -> bool:
        """Whether the backend answers, and has refused one single event again and again."""
        return self._refusals >= _REFUSALS

    @property
    def rate(self) -> float:
        """Events a second that have gone of late."""
        now = time.monotonic()
        recent = [step for step in self._steps if now - step[0] < _RATE_SECONDS]
        # The first step began before its moment, so it counts for the seconds before the others.
        return sum(count for _, count in recent) / max(1.0, now - recent[0][0]) if recent else 0.0

    async def step(self) -> Step:
        """Hand over the next bulk.

        Raises:
            StoreError: it failed as a whole; of the backend, that it is away is noted.

        """
        if self._flight is None:
            await self._take_off(self._backlog.ledger.index.drained)
        flight = self._flight
        if flight is None:
            return Step(0, is_whole=True, is_answered=True)
        bulk = flight.bulk
        self._backlog.begin(bulk)
        try:
            outcomes = await flight.outcomes
        except Exception:
            quickly = time.monotonic() - flight.started < self._timeout / 2
            self._refusals = self._refusals + 1 if self._size == 1 and quickly else 0
            if self._refusals == _REFUSALS:
                _LOGGER.exception("the event store can't take event %s, so the drain waits", bulk.events[0].uuid)
            self._size = max(1, self._size // 2)
            await self.forget()
            raise
        self._flight = None
        gone = await self._settle(bulk, outcomes)
        is_whole = len(gone) == len(bulk.lines)
        self._size = min(self._bulk_events, self._size * 2) if is_whole else max(1, self._size // 2)
        if is_whole:
            # What this one has come to is written down in any case; the next step meets the same error.
            with contextlib.suppress(StoreError):
                await self._take_off(bulk.end)
        if gone:
            self._refusals = 0
            self._count(len(gone))
            await self._backlog.advance(gone)
        if not is_whole:
            await self.forget()
        return Step(
            len(gone), is_whole, is_whole or any(outcome.status is not Status.UNAVAILABLE for outcome in outcomes)
        )

    async def forget(self) -> None:
        """Let go of what is on its way, and of what was read ahead. Idempotent."""
        flight, self._flight = self._flight, None
        ahead, self._next = self._next, None
        tasks: list[asyncio.Task[Any]] = []
        if flight is not None:
            tasks.append(flight.outcomes)
        if ahead is not None:
            tasks.append(ahead[1])
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _take_off(self, start: LogPosition) -> None:
        """Send the bulk that begins at a position on its way, if there is one, and read the one behind it."""
        bulk = await self._take_next(start)
        if bulk.lines:
            task = asyncio.create_task(self._put(bulk.events), name="spool-bulk")
            self._flight = _Flight(bulk, time.monotonic(), task)
            self._read_ahead(bulk.end)

    async def _put(self, events: Sequence[Event]) -> list[Outcome]:
        return await self._backend.put_bulk(events) if events else []

    async def _take_next(self, start: LogPosition) -> Bulk:
        ahead, self._next = self._next, None
        if ahead is not None:
            bulk = await ahead[1]
            # What was the end of the log may not be any more.
            if bulk.lines and ahead[0] == start:
                return bulk
        return await self._read(start)

    def _read_ahead(self, start: LogPosition) -> None:
        self._next = start, asyncio.create_task(self._read(start), name="spool-read-ahead")

    async def _read(self, start: LogPosition) -> Bulk:
        return await self._backlog.read(start, most=self._size, max_bytes=BULK_BYTES)

    async def _settle(self, bulk: Bulk, outcomes: Sequence[Outcome]) -> list[Place]:
        """Return the places of the first lines that are settled."""
        gone: list[Place] = []
        statuses: Iterator[Outcome] = iter(outcomes)
        for place, event in bulk.lines:
            if event is not None:
                status = next(statuses).status
                if status is Status.UNAVAILABLE or (status is Status.CONFLICT and not await self._set_aside(event)):
                    break
            gone.append(place)
        return gone

    async def _set_aside(self, event: Event) -> bool:
        """Keep an event that was acknowledged and lost to another one; tell whether that was possible."""
        try:
            async with asyncio.timeout(self._timeout):
                await self._on_conflict(event)
        except (StoreError, TimeoutError) as error:
            _LOGGER.warning("a conflict found by the drain can't be set aside, so the drain waits: %s", error)
            return False
        self.conflicts += 1
        _LOGGER.error("event %s was acknowledged, and the event store has another one with its uuid", event.uuid)
        return True

    def _count(self, lines: int) -> None:
        now = time.monotonic()
        self.events += lines
        self._steps.append((now, lines))
        while now - self._steps[0][0] > _RATE_SECONDS:
            self._steps.popleft()
