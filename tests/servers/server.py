"""A real server that tests may kill, pause and restart."""

import time
from abc import ABC, abstractmethod
from typing import Self

from servers.errors import NoServer
from servers.runner import Runner

READY_SECONDS = 100.0
STEP_SECONDS = 0.1
LONGEST_STEP_SECONDS = 6.0


class RealServer(ABC):
    """A server with its data. Each call blocks: in a coroutine, use ``asyncio.to_thread(server.kill)``.

    Leaving the ``with`` block stops it; it ends also when the tests are killed.
    """

    def __init__(self, title: str, runner: Runner) -> None:
        """Prepare a server; `title` names it, and where it comes from, in messages."""
        self.title = title
        self._runner = runner
        self._paused = False

    @abstractmethod
    def ready(self) -> bool:
        """Whether it answers as it should, now."""

    def __enter__(self) -> Self:
        """Start it."""
        try:
            self.start()
        except BaseException:
            self._runner.kill()
            self._runner.discard()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it, and let go of its data."""
        self.stop()
        self._runner.discard()

    def start(self) -> None:
        """Start it, and return when it is ready; nothing happens when it runs already.

        Raises:
            NoServer: it ended, or was not ready in time, and does not run now; the text shows the end of its log.

        """
        if self._runner.ended():
            self._runner.launch()
        try:
            self._wait()
        except NoServer:
            self.kill()
            raise

    def _wait(self) -> None:
        left = READY_SECONDS
        while left > 0:
            begun = time.monotonic()
            if self.ready():
                return
            if self._runner.ended():
                raise NoServer(f"{self.title} ended instead of starting. The end of its log:\n{self._runner.output()}")
            time.sleep(STEP_SECONDS)
            # Where all of the tests are frozen for a time, the server had none of it.
            left -= min(time.monotonic() - begun, LONGEST_STEP_SECONDS)
        raise NoServer(f"{self.title} is not ready after {READY_SECONDS:.0f} s. Its log:\n{self._runner.output()}")

    def kill(self) -> None:
        """End it at once, with SIGKILL: connections are reset, then refused. Its data stays."""
        self._paused = False
        self._runner.kill()

    def stop(self) -> None:
        """End it in good order. Its data stays."""
        self._paused = False
        self._runner.terminate()

    def restart(self) -> None:
        """Kill it if it runs, and start it with its data, at the same address."""
        self.kill()
        self.start()

    def pause(self) -> None:
        """Make it hang, with SIGSTOP: connections are accepted by the kernel, and nothing is answered."""
        self._runner.pause()
        self._paused = True

    def resume(self) -> None:
        """Let it go on, with SIGCONT."""
        self._runner.resume()
        self._paused = False

    def heal(self) -> None:
        """Make good whatever a test did to it: it runs, and is ready."""
        if self._paused and not self._runner.ended():
            self.resume()
        self.start()
