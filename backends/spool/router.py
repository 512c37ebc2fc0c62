"""Which way an event goes: to the backend, to the spool, or nowhere, since it is there already."""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Final

from backends.base import Event, Outcome, Status
from backends.errors import StorageFull, StoreError, StoreUnavailable
from backends.spool.backend import Backend
from backends.spool.backlog import Backlog
from backends.spool.claims import Claims

_ACKNOWLEDGED: Final = frozenset({Status.STORED, Status.SPOOLED})
_UNAVAILABLE: Final = Outcome(Status.UNAVAILABLE)


class Router:
    """Does what ``EventStore.put`` promises, with the help of both.

    Args:
        backend: gets what it can take.
        backlog: gets what the backend can't take.
        timeout: seconds for a put.
        wake: called when something waits.

    """

    def __init__(self, backend: Backend, backlog: Backlog, *, timeout: float, wake: Callable[[], None]) -> None:
        self.spooled = 0
        self.refused = 0
        self._backend = backend
        self._backlog = backlog
        self._timeout = timeout
        self._wake = wake
        self._claims = Claims()
        self._puts = 0
        self._idle = asyncio.Event()

    async def finish(self) -> None:
        """Return when every put that has begun is judged."""
        while self._puts:
            self._idle.clear()
            await self._idle.wait()

    async def put(self, events: Sequence[Event]) -> list[Outcome]:
        """Store or keep events; see ``EventStore.put``."""
        self._puts += 1
        try:
            if len(events) == 1 and self._is_new(events[0].uuid):
                # Nearly every put is one new event: it needs nothing of what follows.
                if self._backend.is_up:
                    return await self._send_one(events)
                return await self._spool_one(events)
            return await self._put_all(events, range(len(events)))
        finally:
            self._puts -= 1
            if not self._puts:
                self._idle.set()

    def _is_new(self, uuid: str) -> bool:
        """Tell whether nothing is known of a uuid here; there is no await between this and what follows from it."""
        return not self._claims.is_taken(uuid) and not self._backlog.may_know(uuid)

    async def _send_one(self, events: Sequence[Event]) -> list[Outcome]:
        claim = self._claims.take_one(events[0].uuid)
        deadline = time.monotonic() + self._timeout
        error: StoreError | None = None
        try:
            try:
                outcomes = await self._backend.put(events)
            except (StorageFull, StoreUnavailable):
                outcomes = [_UNAVAILABLE]
            if outcomes[0].status is Status.UNAVAILABLE:
                error = await self._spool(events, (0,), outcomes, deadline)
        finally:
            claim.release()
        if error is not None:
            self.refused += 1
            raise error
        return outcomes

    async def _spool_one(self, events: Sequence[Event]) -> list[Outcome]:
        try:
            outcomes = await self._backlog.put(events)
        except StoreError:
            self.refused += 1
            raise
        self.spooled += outcomes[0].status is Status.SPOOLED
        if self._backend.is_up:
            self._wake()
        return outcomes

    async def _put_all(self, events: Sequence[Event], undecided: Sequence[int]) -> list[Outcome]:
        deadline = time.monotonic() + self._timeout
        outcomes: list[Outcome] = [_UNAVAILABLE] * len(events)
        error = await self._decide_all(events, undecided, outcomes, deadline)
        if error is not None:
            self.refused += outcomes.count(_UNAVAILABLE)
            if not any(outcome.status in _ACKNOWLEDGED for outcome in outcomes):
                raise error
        return outcomes

    async def _decide_all(
        self, events: Sequence[Event], undecided: Sequence[int], outcomes: list[Outcome], deadline: float
    ) -> StoreError | None:
        failure: StoreError | None = None
        while undecided:
            claim, mine, others = self._claims.take(events, undecided)
            try:
                failure = await self._decide(events, mine, outcomes, deadline) or failure
            finally:
                claim.release()
            try:
                for other in set(others.values()):
                    await other.released(deadline)
            except StoreUnavailable as error:
                return error
            undecided = list(others)
        return failure

    async def _decide(
        self, events: Sequence[Event], numbers: Sequence[int], outcomes: list[Outcome], deadline: float
    ) -> StoreError | None:
        """Fill in the outcomes of events whose uuids nobody else has in hand; return why some are not acknowledged."""
        backlog = self._backlog
        if not backlog.is_untouched:
            try:
                numbers = await self._judge_waiting(events, numbers, outcomes)
            except StoreError as error:
                return error
        here: Sequence[int] = numbers
        if self._backend.is_up:
            # What the disk was too slow to answer for may be there in a moment.
            there = [number for number in numbers if not backlog.is_in_flight(events[number].uuid)]
            await self._send(events, there, outcomes)
            here = [number for number in numbers if outcomes[number].status is Status.UNAVAILABLE]
        return await self._spool(events, here, outcomes, deadline) if here else None

    async def _judge_waiting(
        self, events: Sequence[Event], numbers: Sequence[int], outcomes: list[Outcome]
    ) -> Sequence[int]:
        """Judge those whose uuid waits in the spool; return the others."""
        # Where they are is known from here on, whatever the drain does meanwhile.
        waiting = self._backlog.find_places([events[number].uuid for number in numbers])
        if not waiting:
            return numbers
        left = []
        with self._backlog.pinned():
            for number in numbers:
                event = events[number]
                places = waiting.get(event.uuid)
                outcome = await self._backlog.judge(event, places) if places else None
                if outcome is None:
                    left.append(number)
                else:
                    outcomes[number] = outcome
        return left

    async def _send(self, events: Sequence[Event], numbers: Sequence[int], outcomes: list[Outcome]) -> None:
        if not numbers:
            return
        try:
            answers = await self._backend.put([events[number] for number in numbers])
        except (StorageFull, StoreUnavailable):
            return
        for number, outcome in zip(numbers, answers, strict=True):
            outcomes[number] = outcome

    async def _spool(
        self, events: Sequence[Event], numbers: Sequence[int], outcomes: list[Outcome], deadline: float
    ) -> StoreError | None:
        try:
            async with asyncio.timeout(deadline - time.monotonic()):
                answers = await self._backlog.put([events[number] for number in numbers])
        except TimeoutError:
            return StoreUnavailable("the spool's disk has not answered in time")
        except (StorageFull, StoreUnavailable) as error:
            return error
        for number, outcome in zip(numbers, answers, strict=True):
            outcomes[number] = outcome
            self.spooled += outcome.status is Status.SPOOLED
        self._wake()
        return None
