"""A time limit for many calls at once: a timer for each of them would cost more than all else that a spool does."""

import asyncio
from collections.abc import Awaitable
from typing import Final, TypeVar

_LOOKS: Final = 16
"""So often within the limit it is looked which calls are late."""

Result = TypeVar("Result")


class Deadlines:
    """Ends calls that take longer than so many seconds, and a sixteenth on top of that."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._calls: dict[asyncio.Task[object], float] = {}
        self._late: set[asyncio.Task[object]] = set()
        self._timer: asyncio.TimerHandle | None = None

    async def within(self, call: Awaitable[Result]) -> Result:
        """Await a call; a task has one at a time.

        Raises:
            TimeoutError: it was late, and is cancelled.

        """
        loop = asyncio.get_running_loop()
        task = asyncio.current_task(loop)
        assert task is not None
        self._calls[task] = loop.time() + self._seconds
        if self._timer is None:
            self._timer = loop.call_later(self._seconds / _LOOKS, self._look, loop)
        try:
            return await call
        except asyncio.CancelledError:
            # Somebody else may have cancelled it at the same time.
            if task in self._late and not task.cancelling() > 1:
                raise TimeoutError from None
            raise
        finally:
            self._calls.pop(task, None)
            if task in self._late:
                self._late.remove(task)
                task.uncancel()

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        """Cancel what is late; the calls stand in the order of their deadlines."""
        now = loop.time()
        for task, deadline in list(self._calls.items()):
            if deadline > now:
                break
            self._late.add(task)
            del self._calls[task]
            task.cancel()
        self._timer = loop.call_later(self._seconds / _LOOKS, self._look, loop) if self._calls else None
