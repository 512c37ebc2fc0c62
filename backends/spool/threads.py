"""Blocking work of the spool, off the event loop and under a time limit."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final, TypeVar

from backends.errors import StoreClosed, StoreUnavailable
from backends.log import translate_os_error

_THREADS: Final = 3

Result = TypeVar("Result")


class Threads:
    """A few threads of its own: a disk that hangs holds up nobody else's.

    Args:
        timeout: seconds after which nobody waits any longer; the work goes on.

    """

    def __init__(self, timeout: float) -> None:
        self.stopping = False
        """Whether whoever waits for work to end was cancelled."""
        self._timeout = timeout
        self._pool: ThreadPoolExecutor | None = None

    def open(self) -> None:
        """Begin to take work."""
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="spool")

    def close(self) -> None:
        """Take no more work. Idempotent."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=False)

    async def run(self, work: Callable[..., Result], *arguments: Any) -> Result:
        """Return what the work returns.

        Raises:
            StorageFull, StoreUnavailable: an operating system's error, or no answer in time.

        """
        try:
            async with asyncio.timeout(self._timeout):
                return await self._submit(work, *arguments)
        except TimeoutError:
            raise StoreUnavailable("the spool's disk has not answered in time") from None
        except OSError as error:
            raise translate_os_error(error) from error

    async def run_to_end(self, work: Callable[..., Result], *arguments: Any) -> Result:
        """Do the same without a time limit; cancelled, it waits for the work first: nothing is closed under it.

        Work that takes long looks at ``stopping`` now and then.
        """
        future = self._submit(work, *arguments)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            self.stopping = True
            await asyncio.wait((future,))
            future.exception()
            raise
        except OSError as error:
            raise translate_os_error(error) from error

    def _submit(self, work: Callable[..., Result], *arguments: Any) -> asyncio.Future[Result]:
        if self._pool is None:
            raise StoreClosed("the spool is not open")
        return asyncio.get_running_loop().run_in_executor(self._pool, partial(work, *arguments))
