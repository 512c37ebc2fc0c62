"""Who may put an event in: each uuid goes to the backend once at a time, and whoever else has it waits."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence

from backends.base import Event, Outcome, Status
from backends.boarding.judging import judge
from backends.boarding.queue import Group, Passenger, Queue, Settled
from backends.errors import StoreError, StoreUnavailable


class Admission:
    """Lets events in.

    Args:
        settle: takes a group of them to the backend; see ``Queue``.
        max_events: of a group.
        max_bytes: of a group, but one event at least.
        timeout: seconds that a put may take.
        backend: its name, for messages.

    """

    def __init__(
        self,
        settle: Callable[[Group], Awaitable[None]],
        *,
        max_events: int,
        max_bytes: int,
        timeout: float,
        backend: str,
    ) -> None:
        self._queue = Queue(settle, self._landed, max_events=max_events, max_bytes=max_bytes)
        self._timeout = timeout
        self._late = StoreUnavailable(f"{backend} has not answered in time")
        self._in_flight: dict[str, Passenger] = {}
        self._under_way: set[asyncio.Task[list[Outcome]]] = set()

    async def put(self, events: Sequence[Event]) -> list[Outcome]:
        """Do what ``EventStore.put`` promises."""
        deadline = time.monotonic() + self._timeout
        if len(events) == 1 and events[0].uuid not in self._in_flight:
            # Nearly every put is one new event: it needs none of what follows.
            (passenger,) = self._board(events, deadline)
            settled = await passenger.arrival()
            return [settled] if isinstance(settled, Outcome) else _outcomes([settled])
        # A task of its own, so that closing can wait for it, and a caller that is cancelled leaves nothing half done.
        task = asyncio.create_task(self._put_all(events, deadline))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return await asyncio.shield(task)

    async def finish(self) -> None:
        """Return when every put that has begun is settled."""
        while self._under_way:
            await asyncio.wait(self._under_way)
        await self._queue.finish()

    async def _put_all(self, events: Sequence[Event], deadline: float) -> list[Outcome]:
        settled: list[Settled] = [self._late] * len(events)
        undecided: Sequence[int] = range(len(events))
        while undecided and time.monotonic() < deadline:
            mine: list[int] = []
            others: list[tuple[int, Passenger]] = []
            taken: set[str] = set()
            for number in undecided:
                uuid = events[number].uuid
                if uuid in self._in_flight:
                    others.append((number, self._in_flight[uuid]))
                elif uuid not in taken:
                    taken.add(uuid)
                    mine.append(number)
            behind = sorted(set(undecided) - set(mine) - {number for number, _ in others})
            decided = await self._send([events[number] for number in mine], deadline)
            for number, outcome in zip(mine, decided, strict=True):
                settled[number] = outcome
            by_uuid = {events[number].uuid: number for number in mine}
            waiting = [(number, self._own(events, by_uuid, settled, number)) for number in behind]
            waiting += [(number, await self._wait(other, deadline)) for number, other in others]
            undecided = sorted(await self._follow(events, waiting, settled))
        return _outcomes(settled)

    @staticmethod
    def _own(
        events: Sequence[Event], by_uuid: dict[str, int], settled: Sequence[Settled], number: int
    ) -> tuple[Event, Settled]:
        first = by_uuid[events[number].uuid]
        return events[first], settled[first]

    async def _follow(
        self, events: Sequence[Event], waiting: Sequence[tuple[int, tuple[Event, Settled]]], settled: list[Settled]
    ) -> list[int]:
        """Judge those that stood behind another; return those that take its place, since it failed."""
        pairs, numbers, again = [], [], []
        for number, (winner, outcome) in waiting:
            if isinstance(outcome, StoreError):
                settled[number] = outcome
                again.append(number)
            else:
                numbers.append(number)
                pairs.append((events[number].record, outcome.record or winner.record))
        async for place, judged in judge(pairs):
            settled[numbers[place]] = judged
        return again

    async def _send(self, events: Sequence[Event], deadline: float) -> list[Settled]:
        """Send events; the next piece when the one before is settled, so that they arrive in their order."""
        settled: list[Settled] = []
        for piece in self._pieces(events):
            settled += [await passenger.arrival() for passenger in self._board(piece, deadline)]
        return settled

    def _pieces(self, events: Sequence[Event]) -> Iterator[Sequence[Event]]:
        start = size = 0
        for number, event in enumerate(events):
            size += len(event.record)
            if number > start and (size > self._queue.max_bytes or number - start == self._queue.max_events):
                yield events[start:number]
                start, size = number, len(event.record)
        if start < len(events):
            yield events[start:]

    async def _wait(self, winner: Passenger, deadline: float) -> tuple[Event, Settled]:
        try:
            async with asyncio.timeout(deadline - time.monotonic()):
                return winner.event, await winner.arrival()
        except TimeoutError:
            return winner.event, self._late

    def _board(self, events: Sequence[Event], deadline: float) -> list[Passenger]:
        passengers = self._queue.board(events, deadline)
        for passenger in passengers:
            self._in_flight[passenger.event.uuid] = passenger
        return passengers

    def _landed(self, passenger: Passenger) -> None:
        del self._in_flight[passenger.event.uuid]


def _outcomes(settled: Sequence[Settled]) -> list[Outcome]:
    """Return the outcomes of a put; raise the error if nothing else came out of it."""
    errors = [each for each in settled if isinstance(each, StoreError)]
    if errors and len(errors) == len(settled):
        raise type(errors[0])(str(errors[0]))
    return [Outcome(Status.UNAVAILABLE) if isinstance(each, StoreError) else each for each in settled]
