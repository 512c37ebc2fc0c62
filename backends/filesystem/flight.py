"""What is on its way into the log."""

import asyncio
from collections.abc import Callable, Sequence

from backends.base import Event
from backends.errors import StoreError, StoreUnavailable
from backends.log import Place


class Flight:
    """Events of one put on their way into the log, and who waits for them.

    Args:
        landed: called first when they are synced, with their places, or when they failed, with none.
        deadline: by ``time.monotonic``; after it nobody waits any longer, though the events may still land.

    """

    __slots__ = ("_landed", "deadline", "events", "landed", "waiting")

    def __init__(self, landed: Callable[[Sequence[Event], Sequence[Place]], None], deadline: float) -> None:
        self._landed = landed
        self.deadline = deadline
        self.events: list[Event] = []
        self.landed = False
        self.waiting: list[asyncio.Future[StoreError | None]] = []

    def land(self, places: Sequence[Place], error: StoreError | None) -> None:
        """Make the events visible, or forget them; then let everybody go on who waits."""
        self.landed = True
        self._landed(self.events, places)
        self._tell(error)

    def give_up(self) -> None:
        """Let everybody go on who waits: what becomes of the events is not known yet."""
        self._tell(StoreUnavailable("the disk has not answered in time"))

    async def wait(self) -> StoreError | None:
        """Return when it has landed, with the error if it failed; cancelling one who waits cancels nobody else."""
        if self.landed:
            return None
        future: asyncio.Future[StoreError | None] = asyncio.get_running_loop().create_future()
        self.waiting.append(future)
        return await future

    def _tell(self, error: StoreError | None) -> None:
        for future in self.waiting:
            if not future.done():
                future.set_result(error)
        self.waiting.clear()
