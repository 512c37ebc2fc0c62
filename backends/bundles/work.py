"""Blocking work on archives: off the event loop, in threads that a hanging disk can't keep a process alive with."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Final, ParamSpec, TypeVar

from backends.errors import StoreClosed, StoreUnavailable
from backends.log import translate_os_error
from backends.threads import DaemonThreads

TIMEOUT: Final = 30.0
"""Seconds; to sync eight megabytes takes a slow disk a second, and others wait before it."""
_NICENESS: Final = 10

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


class BundleThreads:
    """A few threads, and a time limit for each piece of work.

    Args:
        count: of threads.
        timeout: seconds after which nobody waits any longer; the work goes on.

    """

    def __init__(self, count: int, timeout: float = TIMEOUT) -> None:
        self._count = count
        self._timeout = timeout
        self._threads: DaemonThreads | None = None

    def open(self) -> None:
        """Begin to take work."""
        self._threads = DaemonThreads(self._count, "bundles", niceness=_NICENESS)

    def close(self) -> None:
        """Take no more. Idempotent."""
        threads, self._threads = self._threads, None
        if threads is not None:
            threads.shutdown(wait=False)

    async def run(
        self, work: Callable[_Arguments, _Result], *arguments: _Arguments.args, **named: _Arguments.kwargs
    ) -> _Result:
        """Return what the work returns.

        Raises:
            StorageFull, StoreUnavailable: an operating system's error, or no answer in time.
            StoreClosed: it is not open.

        """
        if self._threads is None:
            msg = "the store of bundles is not open"
            raise StoreClosed(msg)
        future = asyncio.get_running_loop().run_in_executor(self._threads, partial(work, *arguments, **named))
        try:
            async with asyncio.timeout(self._timeout):
                return await future
        except TimeoutError:
            msg = "the disk of the bundles has not answered in time"
            raise StoreUnavailable(msg) from None
        except OSError as error:
            raise translate_os_error(error) from error
