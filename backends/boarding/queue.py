"""Events in flight gather in groups that are sent together, the way the log's writers share a sync."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from backends.base import Event, Outcome
from backends.errors import StoreError, StoreUnavailable

Settled = Outcome | StoreError


class Passenger:
    """An event on its way, and who waits for it.

    Attributes:
        event: what is to be stored.
        settled: what became of it; None while that is open.

    """

    __slots__ = ("_group", "_waiting", "event", "settled")

    def __init__(self, event: Event, group: "Group") -> None:
        self.event = event
        self.settled: Settled | None = None
        self._group = group
        self._waiting: list[asyncio.Future[None]] = []

    async def arrival(self) -> Settled:
        """Return what became of it; who is cancelled meanwhile takes nothing from the others."""
        if self.settled is None:
            future = self._group.loop.create_future()
            self._waiting.append(future)
            await future
        assert self.settled is not None
        return self.settled

    def settle(self, outcome: Settled) -> None:
        """Tell whoever waits; the first outcome counts."""
        if self.settled is not None:
            return
        self.settled = outcome
        self._group.landed(self)
        for future in self._waiting:
            if not future.done():
                future.set_result(None)


class Group:
    """Events that go together.

    Args:
        deadline: a moment of ``time.monotonic``.
        landed: called with each passenger when it is settled.

    """

    __slots__ = ("bytes", "deadline", "is_closed", "landed", "loop", "passengers")

    def __init__(self, deadline: float, landed: Callable[[Passenger], None]) -> None:
        self.loop = asyncio.get_running_loop()
        self.landed = landed
        self.passengers: list[Passenger] = []
        self.bytes = 0
        self.deadline = deadline
        self.is_closed = False

    def close(self) -> list[Passenger]:
        """Let nobody else join; return who did."""
        self.is_closed = True
        return self.passengers


class Queue:
    """Gathers events into groups.

    Args:
        settle: settles all passengers of a group; closes it as soon as it can be sent.
        landed: called with each passenger when it is settled.
        max_events: of a group.
        max_bytes: of a group, but one event at least.

    """

    def __init__(
        self,
        settle: Callable[[Group], Awaitable[None]],
        landed: Callable[[Passenger], None],
        *,
        max_events: int,
        max_bytes: int,
    ) -> None:
        self._landed = landed
        self.max_events = max_events
        self.max_bytes = max_bytes
        self._settle = settle
        self._boarding: Group | None = None
        self._under_way: set[asyncio.Task[None]] = set()

    def board(self, events: Sequence[Event], deadline: float) -> list[Passenger]:
        """Send events, in their order; each is settled in the end.

        Args:
            events: together no more than a group takes, or one.
            deadline: a moment of ``time.monotonic``; then they are settled, whatever happened.

        """
        size = sum(len(event.record) for event in events)
        group = self._boarding
        if (
            group is None
            or group.is_closed
            or len(group.passengers) + len(events) > self.max_events
            or group.bytes + size > self.max_bytes
        ):
            group = self._boarding = Group(deadline, self._landed)
            task = asyncio.create_task(self._depart(group), name="group")
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
        passengers = [Passenger(event, group) for event in events]
        group.passengers += passengers
        group.bytes += size
        return passengers

    async def finish(self) -> None:
        """Return when all that was sent is settled."""
        while self._under_way:
            await asyncio.wait(self._under_way)

    async def _depart(self, group: Group) -> None:
        try:
            await self._settle(group)
        except StoreError as error:
            settle_all(group.close(), error)
        except BaseException as error:
            # Whoever waits is told, whatever it was that failed.
            settle_all(group.close(), StoreUnavailable(f"storing failed: {type(error).__name__}"))
            raise


def settle_all(passengers: Sequence[Passenger], outcome: Settled) -> None:
    """Settle those that are not settled yet."""
    for passenger in passengers:
        passenger.settle(outcome)
