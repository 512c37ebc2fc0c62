"""A process beside a server that ends it when the tests are gone, however they went: also by SIGKILL.

It waits for the end of its standard input, which nobody but the tests holds open. (PR_SET_PDEATHSIG would end the
server with the *thread* that started it.)
"""

import os
import signal
import subprocess
import sys
from contextlib import suppress


class Watchdog:
    """Guards one server, from its creation until it is released."""

    def __init__(self, kind: str, server: str) -> None:
        """Guard a ``process``, given by its id, or a ``container``, given by its."""
        self._process = subprocess.Popen(
            [sys.executable, __file__, kind, server],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        assert self._process.stdout is not None
        # It has hold of the server now: a process id that is used again later is none of its business.
        self._process.stdout.readline()

    def release(self) -> None:
        """Guard it no longer; it may live on."""
        self._process.kill()
        self._process.communicate()


def _end_process(process: int) -> None:
    # A file descriptor stands for this process only, where the number may come to stand for another.
    handle = os.pidfd_open(process) if sys.platform == "linux" else None
    _wait_for_the_end()
    with suppress(ProcessLookupError):
        if handle is None:
            os.kill(process, signal.SIGKILL)
        else:
            signal.pidfd_send_signal(handle, signal.SIGKILL)


def _end_container(container: str) -> None:
    import docker  # type: ignore[import-untyped]  # noqa: PLC0415 - only where there is Docker

    _wait_for_the_end()
    docker.from_env().containers.get(container).remove(force=True, v=True)


def _wait_for_the_end() -> None:
    print("watching", flush=True)  # noqa: T201 - the other side waits for it
    sys.stdin.read()


if __name__ == "__main__":
    if sys.argv[1] == "process":
        _end_process(int(sys.argv[2]))
    else:
        _end_container(sys.argv[2])
