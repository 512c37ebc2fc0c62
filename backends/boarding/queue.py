"""Events in flight gather in groups that are sent together, the way the log's writers share a sync."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from backends.base import Event, Outcome
from backends.errors import StoreError, StoreUnavailable

Settled = Outcome | StoreError


class Passenger:
    """An event on its way, and who waits for it."""

    __slots__ = ("event", "settled")

    def __init__(self, event: Event, settled: "asyncio.Future[Settled]") -> None:
        self.event = event
        self.settled = settled


class Group:
    """Events that go together."""

    __slots__ = ("bytes", "deadline", "is_closed", "passengers")

    def __init__(self, deadline: float) -> None:
        """Begin; ``deadline`` is a moment of ``time.monotonic``."""
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
        max_events: of a group.
        max_bytes: of a group, but one event at least.

    """

    def __init__(self, settle: Callable[[Group], Awaitable[None]], *, max_events: int, max_bytes: int) -> None:
        self.max_events = max_events
        self.max_bytes = max_bytes
        self._settle = settle
        self._boarding: Group | None = None
        self._under_way: set[asyncio.Task[None]] = set()

    def board(self, events: Sequence[Event], deadline: float) -> "list[asyncio.Future[Settled]]":
        """Send events, in their order; return a future for each that is never an error itself.

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
            group = self._boarding = Group(deadline)
            task = asyncio.create_task(self._depart(group), name="group")
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
        loop = asyncio.get_running_loop()
        passengers = [Passenger(event, loop.create_future()) for event in events]
        group.passengers += passengers
        group.bytes += size
        return [passenger.settled for passenger in passengers]

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
        if not passenger.settled.done():
            passenger.settled.set_result(outcome)
