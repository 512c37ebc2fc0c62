"""Attempts that are shared: who wants what somebody is at work on waits for that, for as long as it may."""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

from backends.elasticsearch.connection import Transient
from backends.errors import StoreClosed

_LOGGER: Final = logging.getLogger(__name__)

Result = TypeVar("Result")


class Attempts:
    """What is under way, each of it once.

    Args:
        are_logged: whether those that fail are said in the log, since nobody may be waiting.

    """

    def __init__(self, *, are_logged: bool = False) -> None:
        self._are_logged = are_logged
        self._under_way: dict[str, asyncio.Task[Any]] = {}

    def begin(self, what: str, make: Callable[[], Coroutine[Any, Any, Result]]) -> "asyncio.Task[Result]":
        """Return the attempt that is under way, or begin one; it goes on whether somebody waits or not.

        Args:
            what: the same text for the same thing.
            make: makes the coroutine.

        """
        task = self._under_way.get(what)
        if task is None:
            task = asyncio.create_task(make(), name=what)
            self._under_way[what] = task
            task.add_done_callback(lambda done: self._ended(what, done))
        return task

    async def share(
        self, what: str, make: Callable[[], Coroutine[Any, Any, Result]], deadline: float | None = None
    ) -> Result:
        """Return what the attempt returns that ``begin`` returns.

        Args:
            what: as of ``begin``.
            make: as of ``begin``.
            deadline: a moment of ``time.monotonic``; None waits to its end.

        Raises:
            Transient: it has not ended in time.
            StoreError: it failed.

        """
        task = self.begin(what, make)
        try:
            async with asyncio.timeout(None if deadline is None else deadline - time.monotonic()):
                return await asyncio.shield(task)
        except TimeoutError:
            raise Transient(f"Elasticsearch has not done in time: {what}") from None
        except asyncio.CancelledError:
            current = asyncio.current_task()
            if task.cancelled() and current is not None and not current.cancelling():
                raise StoreClosed("the store is closing") from None
            raise

    async def close(self) -> None:
        """End what is under way."""
        tasks = list(self._under_way.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _ended(self, what: str, task: "asyncio.Task[Any]") -> None:
        del self._under_way[what]
        if not task.cancelled() and (error := task.exception()) and self._are_logged:
            _LOGGER.warning("failed: %s: %s", what, error)
