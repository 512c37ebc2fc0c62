"""How long a server lets others wait: a prober in a process of its own, so that it waits for nobody else.

A wait counts as far as the server was computing meanwhile: on a machine that others use too, a wait for the processor
says nothing about the server. Each line that the prober reads it answers with the longest wait since the line before.
"""

import select
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

from tests.system.wire import Wire, request

PAUSE = 0.001


class LoopProbe:
    """Asks a server for its life all the time; use it with ``with``."""

    def __init__(self, pid: int, port: int) -> None:
        """Probe a server of this machine."""
        self._command = [sys.executable, "-m", "tests.system.loop_probe", str(pid), str(port)]

    def __enter__(self) -> Self:
        """Begin."""
        self._process = subprocess.Popen(
            self._command, cwd=Path(__file__).parents[2], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.longest_wait()
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        self._process.kill()
        self._process.communicate()

    def longest_wait(self) -> float:
        """Return the longest wait since this was asked before, in seconds; infinite when an answer did not come."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return float(self._process.stdout.readline())


def _probe(pid: int, port: int) -> None:
    data, longest = request("GET", "/health/live"), 0.0
    its_cpu_time = (~pid << 3) | 2  # clock_getcpuclockid(3)
    with Wire(port) as wire:
        while True:
            begin, used = time.monotonic(), time.clock_gettime(its_cpu_time)
            wire.send(data)
            status = wire.answer().status
            waited, used = time.monotonic() - begin, time.clock_gettime(its_cpu_time) - used
            longest = max(longest, min(waited, used) if status == 200 else float("inf"))
            if select.select([sys.stdin], [], [], PAUSE)[0]:
                if not sys.stdin.readline():
                    return
                sys.stdout.write(f"{longest}\n")
                sys.stdout.flush()
                longest = 0.0


if __name__ == "__main__":
    try:
        _probe(int(sys.argv[1]), int(sys.argv[2]))
    except (OSError, ValueError):
        sys.stdout.write("inf\n")
