"""The server as a process of its own, as an operator runs it: started, watched, stopped or killed."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

READY_SECONDS = 30.0
SERVE = ("eventserver", "serve")
PROJECT = Path(__file__).parents[2]


def free_port() -> int:
    """Return a port that is free now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def clean_environment(**more: str) -> dict[str, str]:
    """Return this process's environment without the server's own names, and with some more."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SMRTFLOW_", "EVE_", "PB_"))}
    return {**kept, "PYTHONUNBUFFERED": "1", **more}


class NotServing(Exception):
    """The server did not begin to serve; the text is what it wrote."""


class ServerProcess:
    """A server on a data directory and a free port; leaving the ``with`` block kills what is left of it.

    Attributes:
        root: the data directory.
        port: where it listens, the same over restarts.
        log: the file that takes what it writes.

    """

    def __init__(
        self, root: Path, log: Path, *, prefix: Sequence[str] = (), module: Sequence[str] = SERVE, **environment: str
    ) -> None:
        """Prepare a server, configured as out of the box but for the root, the port and `environment`.

        Args:
            root: the data directory.
            log: the file that takes what it writes.
            prefix: words of a command that runs it, such as ``taskset``.
            module: what Python runs, with its arguments.
            environment: further variables.

        """
        self.root = root
        self.log = log
        self.port = free_port()
        self._command = [*prefix, sys.executable, "-m", *module]
        where = {"SMRTFLOW_EVENT_ROOT_DIR": str(root), "SMRTFLOW_SERVER_PORT": str(self.port)}
        self._environment = clean_environment(**{**where, **environment})
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Start, and wait until it is ready."""
        return self.start()

    def __exit__(self, *_: object) -> None:
        """Kill what is left."""
        self.kill()

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The process that was started last."""
        assert self._process is not None, "not started"
        return self._process

    def launch(self) -> Self:
        """Start, and return at once."""
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                self._command, env=self._environment, cwd=PROJECT, stdout=output, stderr=output, start_new_session=True
            )
        return self

    def start(self, *, path: str = "/health/ready", seconds: float = READY_SECONDS) -> Self:
        """Start, and return when a path answers 200.

        Raises:
            NotServing: it ended, or the time was over.

        """
        self.launch()
        deadline = time.monotonic() + seconds
        while self.probe(path) != 200:
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise NotServing(self.output())
            time.sleep(0.005)
        return self

    def run_to_its_end(self, seconds: float = 30.0) -> int:
        """Start what is expected to end by itself, and return its exit code."""
        try:
            return self.launch().process.wait(seconds)
        finally:
            self.kill()

    def probe(self, path: str, seconds: float = 5.0) -> int:
        """Return the status of a GET; 0 when there is no answer."""
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=seconds) as connection:
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
            head = connection.recv(64)
            return int(head[9:12] or b"0")
        return 0

    def terminate(self, seconds: float = 30.0) -> int:
        """Send SIGTERM and return the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)

    def reload(self) -> None:
        """Send SIGHUP."""
        self.process.send_signal(signal.SIGHUP)

    def kill(self, *, helpers: bool = True) -> None:
        """Kill with SIGKILL: the main process, and (or not) the processes that it has started."""
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            if helpers:
                os.killpg(self._process.pid, signal.SIGKILL)
            else:
                self._process.kill()
        self._process.wait(10)

    def stop_clock(self) -> None:
        """Stop all its processes, as they are."""
        os.killpg(self.process.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        """Let stopped processes go on."""
        os.killpg(self.process.pid, signal.SIGCONT)

    def output(self) -> str:
        """Return what it has written, over all its starts."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def anonymous_memory(self) -> int:
        """Return RssAnon of all its processes, in bytes."""
        return sum(_anonymous(process) for process in self._processes())

    def processor_seconds(self) -> float:
        """Return the processor time that its processes have taken since they started."""
        # The clock of another process, as clock_getcpuclockid(3) gives it.
        return sum(time.clock_gettime((~int(process.name) << 3) | 2) for process in self._processes())

    def _processes(self) -> list[Path]:
        """Return the /proc folders of the process and what it started (one session)."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
                if int(fields[3]) == self.process.pid:
                    found.append(folder)
        return found


def _anonymous(process: Path) -> int:
    with suppress(OSError):
        for line in (process / "status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024
    return 0
