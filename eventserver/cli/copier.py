"""Copying from one store to another: in bulks, several on their way at a time, in the order of arrival."""

import asyncio
import time
from collections import Counter, deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing, suppress
from typing import Final, NamedTuple, cast

from backends.base import Arrival, Event, EventStore, Status
from backends.errors import StorageFull, StoreUnavailable
from backends.record import read_event, received_of
from eventserver.cli.copy_state import CopyState
from eventserver.cli.terminal import Advance

BULK_EVENTS: Final = 1000
BULK_BYTES: Final = 4 * 1024 * 1024
IN_FLIGHT: Final = 4
PATIENCE_SECONDS: Final = 60.0
_HELD_UP_SECONDS: Final = 2.0
_SAVE_SECONDS: Final = 1.0
_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 5.0

Say = Callable[[str], None]
"""Tells the operator something."""


class Bulk(NamedTuple):
    """Events that are put together."""

    events: list[Event]
    token: str
    """Goes on behind them."""


class Result(NamedTuple):
    """What became of a bulk."""

    statuses: Counter[Status]
    conflicts: list[str]


class Pass(NamedTuple):
    """One run through what the source had when it was opened; moments are those of ``time.monotonic``."""

    began: float
    opened: float
    ended: float
    events: int
    """How many it came upon."""

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.ended - self.began


class _ForeignToken(Exception):
    """The source did not make the token: its data is another now."""


class Copier:
    """Copies, and goes on where an earlier one was stopped.

    A store opened for reading may show what was there when it was opened, so each pass opens the source anew.

    Args:
        open_source: makes the source, not opened.
        target: open and prepared.
        state: how far it has come.
        stop: when set, what is on its way is finished, and nothing else begun.
        say: tells the operator what must be known.
        advance: moves a progress bar on.
        patience: seconds for which a target that takes nothing is tried again.

    Attributes:
        statuses: how many events there were of each outcome.
        damaged: records of the source that could not be read.
        received: ``@received`` of the last event copied; None before the first.
        is_held_up: whether the target takes nothing.
        outages: how often that began.

    """

    def __init__(
        self,
        open_source: Callable[[], EventStore],
        target: EventStore,
        state: CopyState,
        *,
        stop: asyncio.Event,
        say: Say,
        advance: Advance,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        self.statuses: Counter[Status] = Counter()
        self.damaged = 0
        self.received: str | None = None
        self.is_held_up = False
        self.outages = 0
        self._open_source = open_source
        self._target = target
        self._state = state
        self._stop = stop
        self._say = say
        self._advance = advance
        self._patience = patience
        self._saved = time.monotonic()

    async def copy(self) -> Pass:
        """Copy all that is there now; what is done is kept in the state, also when it fails.

        Raises:
            StoreError: it can't go on.

        """
        try:
            return await self._pass()
        except _ForeignToken:
            self._say("the source is another one than at the last copy: beginning at its first event")
            self._state.forget()
            return await self._pass()
        finally:
            await self._save()

    async def resume(self) -> None:
        """See whether the target still has what was copied, and put again what was in conflict."""
        state = self._state
        if state.last is not None and await self._target.get(state.last) is None:
            self._say("the target does not have what was copied before: beginning at the first event")
            state.forget()
        if not state.conflicts:
            return
        async with self._open_source() as source:
            records = [await source.get(uuid) for uuid in state.conflicts]
        events = [read_event(record) for record in records if record is not None]
        result = await self._put(events)
        self.statuses += result.statuses
        state.conflicts = result.conflicts

    async def _pass(self) -> Pass:
        pending: deque[tuple[asyncio.Task[Result], Bulk]] = deque()
        began, found = time.monotonic(), 0
        async with self._open_source() as source:
            opened = time.monotonic()
            try:
                async with aclosing(_bulks(source, self._state.token)) as bulks:
                    async for bulk in bulks:
                        if len(pending) >= IN_FLIGHT:
                            await self._finish(*pending[0])
                            pending.popleft()
                        if self._stop.is_set():
                            break
                        found += len(bulk.events)
                        pending.append((asyncio.create_task(self._put(bulk.events)), bulk))
                while pending:
                    await self._finish(*pending[0])
                    pending.popleft()
            finally:
                for task, _ in pending:
                    task.cancel()
                await asyncio.gather(*(task for task, _ in pending), return_exceptions=True)
                self.damaged = max(self.damaged, _damaged(source))
        return Pass(began, opened, time.monotonic(), found)

    async def _finish(self, task: Awaitable[Result], bulk: Bulk) -> None:
        result = await task
        self.statuses += result.statuses
        self.received = received_of(bulk.events[-1].record)
        self._advance(len(bulk.events))
        self._state.note(bulk.token, bulk.events[-1].uuid, result.conflicts)
        if time.monotonic() - self._saved > _SAVE_SECONDS:
            await self._save()

    async def _save(self) -> None:
        await asyncio.to_thread(self._state.save)
        self._saved = time.monotonic()

    async def _put(self, events: Sequence[Event]) -> Result:
        """Put until each event has its outcome.

        Raises:
            StoreUnavailable, StorageFull: patience is over, or it was stopped.

        """
        result = Result(Counter(), [])
        waiting, pause, began = list(events), _FIRST_PAUSE, time.monotonic()
        while waiting:
            problem: Exception = StoreUnavailable("the store takes only a part")
            try:
                waiting = _sort_out(waiting, await self._attempt(waiting), result)
            except (StoreUnavailable, StorageFull) as error:
                problem = error
            if waiting:
                waited = time.monotonic() - began
                if self._stop.is_set() or waited > self._patience:
                    raise problem
                self._tell_held_up(problem, waited)
                await rest(self._stop, pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
        if self.is_held_up:
            self.is_held_up = False
            self._say("the other store takes events again")
        return result

    def _tell_held_up(self, problem: Exception, seconds: float) -> None:
        """Say it once, and not of a moment: a store under load refuses now and then."""
        if seconds > _HELD_UP_SECONDS and not self.is_held_up:
            self.is_held_up = True
            self.outages += 1
            self._say(f"{problem}: trying again")

    async def _attempt(self, events: Sequence[Event]) -> list[Status]:
        return [outcome.status for outcome in await self._target.put(events)]


async def rest(stop: asyncio.Event, seconds: float) -> None:
    """Wait, but not when it is to stop."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()


def _sort_out(events: Sequence[Event], statuses: Sequence[Status], result: Result) -> list[Event]:
    """Take in outcomes, and return the events that have none yet."""
    waiting = []
    for event, status in zip(events, statuses, strict=True):
        if status is Status.UNAVAILABLE:
            waiting.append(event)
            continue
        result.statuses[status] += 1
        if status is Status.CONFLICT:
            result.conflicts.append(event.uuid)
    return waiting


async def _bulks(source: EventStore, token: str | None) -> AsyncGenerator[Bulk, None]:
    events: list[Event] = []
    size = 0
    async with aclosing(_arrivals(source, token)) as arrivals:
        async for event, last in arrivals:
            events.append(event)
            size += len(event.record)
            token = last
            if len(events) >= BULK_EVENTS or size >= BULK_BYTES:
                yield Bulk(events, last)
                events, size = [], 0
    if events and token is not None:
        yield Bulk(events, token)


async def _arrivals(source: EventStore, token: str | None) -> AsyncGenerator[Arrival, None]:
    async with aclosing(cast("AsyncGenerator[Arrival, None]", source.tail(token))) as arrivals:
        try:
            first = await anext(arrivals, None)
        except ValueError as error:
            if token is None:
                raise
            raise _ForeignToken from error
        if first is not None:
            yield first
            async for arrival in arrivals:
                yield arrival


def _damaged(store: EventStore) -> int:
    """Return how many damaged records a store has come upon since it was opened."""
    found = [statistic.value for statistic in store.statistics() if "damaged" in statistic.name]
    return int(sum(value for value in found if isinstance(value, int | float)))
