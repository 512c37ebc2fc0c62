"""The one who finds out when the backend is back, and lets it have what waits.

It is one task, so there is one probe however many requests come. It begins at once when the backend has failed, and
then waits longer and longer between attempts. An attempt is a ping and, if anything waits, a first bulk of it: only a
backend that has stored something is taken for up again.
"""

import asyncio
import contextlib
import logging
import time
from typing import Final

from backends.errors import StoreError
from backends.spool.backend import Backend
from backends.spool.backlog import Backlog
from backends.spool.backoff import Backoff
from backends.spool.drain import Drain

_TIDY_SECONDS: Final = 60.0
_LEAST_PAUSE_SECONDS: Final = 0.02

_LOGGER: Final = logging.getLogger(__name__)


class Drainer:
    """See the module.

    Args:
        backend: was asked to open.
        backlog: open.
        drain: hands over what waits.
        backoff: how long to wait between attempts.

    """

    def __init__(self, backend: Backend, backlog: Backlog, drain: Drain, backoff: Backoff) -> None:
        self._backend = backend
        self._backlog = backlog
        self._drain = drain
        self._backoff = backoff
        self._wake = asyncio.Event()
        self._hurry = asyncio.Event()
        self._hurried: list[asyncio.Future[None]] = []
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin."""
        self._wake.set()
        self._task = asyncio.create_task(self._run(), name="spool-drainer")

    async def stop(self) -> None:
        """End, in the middle of what is under way: it is done again at the next start. Idempotent."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait((task,))
            await self._drain.forget()

    def wake(self) -> None:
        """Say that there may be something to do."""
        self._wake.set()

    async def hurry(self, patience: float) -> None:
        """Let an attempt be made now; return when one that began after the call has ended, or the patience has.

        Args:
            patience: seconds.

        """
        ended = asyncio.get_running_loop().create_future()
        self._hurried.append(ended)
        self._hurry.set()
        self._wake.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await ended

    async def _run(self) -> None:
        while True:
            hurried, self._hurried = self._hurried, []
            self._hurry.clear()
            self._wake.clear()
            try:
                pause = await self._attempt()
            except StoreError as error:
                _LOGGER.debug("an attempt to drain the spool has failed: %s", error)
                pause = self._backoff.next()
            except Exception:
                _LOGGER.exception("the spool can't be drained")
                pause = self._backoff.next()
            finally:
                for ended in hurried:
                    if not ended.done():
                        ended.set_result(None)
            await self._rest(pause)

    async def _attempt(self) -> float | None:
        """Do the next thing; return how long to rest then, None if there is nothing to do."""
        backend = self._backend
        await self._backlog.ledger.save_if_worthwhile()
        if not backend.is_up or backend.is_suspected:
            try:
                await backend.reach()
            except StoreError as error:
                backend.fail(error)
                raise
        if self._backlog.ledger.is_empty:
            backend.recover()
            self._backoff.reset()
            await self._backlog.tidy()
            return None
        try:
            step = await self._drain.step()
        except StoreError:
            if self._drain.is_stuck:
                # One event that it can't take, for whatever reason, must not keep all others away from it.
                backend.recover()
            raise
        if step.is_answered:
            backend.recover()
        if step.is_whole:
            self._backoff.reset()
            return 0.0
        return self._backoff.next()

    async def _rest(self, pause: float | None) -> None:
        if pause == 0.0:
            await asyncio.sleep(0)
            return
        # While nothing works only somebody who asks for it cuts the pause short, not each request that fails.
        reason, longest = (self._wake, _TIDY_SECONDS) if pause is None else (self._hurry, pause)
        began = time.monotonic()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(longest):
                await reason.wait()
        if pause is not None:
            await asyncio.sleep(max(0.0, min(pause, _LEAST_PAUSE_SECONDS) - (time.monotonic() - began)))
