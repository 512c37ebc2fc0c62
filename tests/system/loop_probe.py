"""How long a server lets others wait: a prober beside the test, on a connection of its own."""

import threading
import time
from typing import Self

from tests.system.wire import Wire, request

PROBE = request("GET", "/health/live")


class LoopProbe:
    """Asks a server for its life all the time, and knows the longest that it waited.

    Attributes:
        slowest: the longest wait, in seconds; infinite when an answer failed to come.

    """

    def __init__(self, port: int) -> None:
        """Probe a port of this machine."""
        self.slowest = 0.0
        self._port = port
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        self._over.set()
        self._thread.join(30)

    def _run(self) -> None:
        try:
            with Wire(self._port) as wire:
                while not self._over.wait(0.001):
                    begin = time.monotonic()
                    wire.send(PROBE)
                    status = wire.answer().status
                    self.slowest = max(self.slowest, time.monotonic() - begin if status == 200 else float("inf"))
        except OSError:
            self.slowest = float("inf")
