"""Threads that a process can leave behind.

A thread that waits for a disk that does not answer can't be ended. The threads of ``ThreadPoolExecutor``, which are
those of ``asyncio.to_thread`` too, are joined when the event loop's runner closes and when the interpreter exits: with
one of them in a system call that never returns, a process never ends. Nobody joins these.
"""

import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from typing import ParamSpec, TypeVar

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")
_Call = tuple[Future[_Result], Callable[[], _Result]]


class DaemonThreads(Executor):
    """An executor whose threads end with the process, whatever they are waiting for.

    Args:
        count: how many threads; they are there from the beginning.
        name: of the threads.
        niceness: how much the system puts them behind others, where it knows that of threads (Linux); for work that
            takes the processor for long, so that an event loop need not wait for a turn of its own.

    """

    def __init__(self, count: int, name: str, *, niceness: int = 0) -> None:
        self._calls: SimpleQueue[_Call[object] | None] = SimpleQueue()
        self._threads = [
            threading.Thread(target=_work, args=(self._calls, niceness), name=f"{name}-{number}", daemon=True)
            for number in range(count)
        ]
        self._is_shut_down = False
        for thread in self._threads:
            thread.start()

    def submit(
        self, fn: Callable[_Arguments, _Result], /, *args: _Arguments.args, **kwargs: _Arguments.kwargs
    ) -> Future[_Result]:
        """Let a thread make the call.

        Raises:
            RuntimeError: it was shut down.

        """
        if self._is_shut_down:
            msg = "cannot schedule new futures after shutdown"
            raise RuntimeError(msg)
        future: Future[_Result] = Future()
        self._calls.put((future, partial(fn, *args, **kwargs)))  # type: ignore[arg-type] # invariant, but only read
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002, ARG002
        """Let the threads end when all calls that were submitted are made. Idempotent.

        Args:
            wait: return when they have ended.
            cancel_futures: is ignored.

        """
        if not self._is_shut_down:
            self._is_shut_down = True
            for _ in self._threads:
                self._calls.put(None)
        if wait:
            for thread in self._threads:
                thread.join()


def _work(calls: SimpleQueue[_Call[object] | None], niceness: int) -> None:
    if niceness and sys.platform == "linux":
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), niceness)
    while (call := calls.get()) is not None:
        future, function = call
        if future.set_running_or_notify_cancel():
            try:
                result = function()
            except BaseException as error:  # noqa: BLE001 - whoever waits for the future gets it
                future.set_exception(error)
            else:
                future.set_result(result)
                del result
        # Nothing of a call is held until the next one comes.
        del call, future, function
