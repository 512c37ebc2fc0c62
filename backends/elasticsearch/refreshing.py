"""Refreshing when somebody reads: writers never wait for it."""

import asyncio
from collections.abc import Awaitable, Callable


class Refresher:
    """Lets each reader wait for a refresh that began after it came.

    At most one is under way and one waits; all who come meanwhile share the one that waits.
    """

    def __init__(self, refresh: Callable[[], Awaitable[None]]) -> None:
        self._refresh = refresh
        self._running: asyncio.Task[None] | None = None
        self._waiting: asyncio.Task[None] | None = None

    async def wait(self) -> None:
        """Return when a refresh has ended that began after this call.

        Raises:
            StoreError: it failed.

        """
        if self._waiting is None:
            self._waiting = asyncio.create_task(self._run(self._running), name="refresh")
            self._waiting.add_done_callback(_hear)
        # Whoever is cancelled does not take it from the others.
        await asyncio.shield(self._waiting)

    async def _run(self, before: "asyncio.Task[None] | None") -> None:
        if before is not None:
            await asyncio.wait((before,))
        self._running, self._waiting = self._waiting, None
        await self._refresh()


def _hear(task: "asyncio.Task[None]") -> None:
    if not task.cancelled():
        task.exception()
