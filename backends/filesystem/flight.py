"""What is on its way into the log."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from backends.base import Event
from backends.errors import StoreError, StoreUnavailable
from backends.log import AppendLog, Place, Submission

_LEFT: Final = Submission((), lambda _places, _error: None)
_LEFT.taken = True


class Flight:
    """Events that go into the log together, and who waits for them.

    Args:
        landed: called first when they are synced, with the flight and their places, or when they failed, with none.
        deadline: by ``time.monotonic``; after it nobody waits any longer, though the events may still land.

    """

    __slots__ = ("_landed", "_loop", "_submission", "deadline", "digests", "events", "landed", "records", "waiting")

    def __init__(self, landed: Callable[["Flight", Sequence[Place]], None], deadline: float) -> None:
        self._landed = landed
        self._loop = asyncio.get_running_loop()
        self._submission = _LEFT
        self.deadline = deadline
        self.events: list[Event] = []
        self.records: list[bytes] = []
        self.digests: list[bytes] = []
        self.landed = False
        self.waiting: list[asyncio.Future[StoreError | None]] = []

    @property
    def taken(self) -> bool:
        """Whether it has left (or was never sent): no further event may join."""
        return self._submission.taken

    def board(self, event: Event, digest: bytes) -> None:
        """Take an event along, with the digest of its uuid; only before it is ``taken``."""
        self.events.append(event)
        self.records.append(event.record)
        self.digests.append(digest)

    def take_off(self, log: AppendLog) -> None:
        """Send the events into the log.

        Raises:
            StoreClosed: the log is not open for writing.

        """
        self._submission = log.submit(self.records, self._land)

    def give_up(self) -> None:
        """Let everybody go on who waits: what becomes of the events is not known yet."""
        self._tell(StoreUnavailable("the disk has not answered in time"))

    def landing(self) -> asyncio.Future[StoreError | None]:
        """Return a future of its own for one who waits: the error if it failed, else None."""
        future: asyncio.Future[StoreError | None] = self._loop.create_future()
        if self.landed:
            future.set_result(None)
        else:
            self.waiting.append(future)
        return future

    def _land(self, places: Sequence[Place], error: StoreError | None) -> None:
        """Make the events visible, or forget them; then let everybody go on who waits."""
        self.landed = True
        self._landed(self, places)
        self._tell(error)

    def _tell(self, error: StoreError | None) -> None:
        for future in self.waiting:
            if not future.done():
                future.set_result(error)
        self.waiting.clear()
