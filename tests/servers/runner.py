"""What runs a server: an interface, and the plain process."""

import os
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from servers.watchdog import Watchdog

PROXY: Final = Path(__file__).with_name("proxy.py")
"""The command of the process that stands for a server that is not ours."""
SHOWN: Final = 6000
"""How many characters of a log are shown."""


class Runner(ABC):
    """Runs one server, again and again on the same data. Each call blocks until it is done."""

    @abstractmethod
    def launch(self) -> None:
        """Start it; it need not be ready on return."""

    @abstractmethod
    def ended(self) -> bool:
        """Whether it does not run: not started, killed, or ended by itself."""

    @abstractmethod
    def kill(self) -> None:
        """End it at once, as a power cut does; its data stays."""

    @abstractmethod
    def terminate(self) -> None:
        """Ask it to end, and wait until it did."""

    @abstractmethod
    def pause(self) -> None:
        """Make it hang: connections stay, nothing is answered."""

    @abstractmethod
    def resume(self) -> None:
        """Let it go on."""

    @abstractmethod
    def output(self) -> str:
        """Return the end of what it wrote."""

    def discard(self) -> None:  # noqa: B027 - a process leaves nothing that is worth it
        """Let go of what is left of it, when it ended for good."""


class ProcessRunner(Runner):
    """A process of this machine, which never outlives the tests."""

    def __init__(self, command: Sequence[str | Path], log: Path) -> None:
        """Run a command, which writes into `log`."""
        self._command = list(map(str, command))
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._watchdog: Watchdog | None = None

    @property
    def pid(self) -> int:
        """The id of the process that was started last."""
        assert self._process is not None, "not started"
        return self._process.pid

    def launch(self) -> None:  # noqa: D102 - of the interface; so are those below
        self.kill()
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )
        self._watchdog = Watchdog("process", str(self._process.pid))

    def ended(self) -> bool:  # noqa: D102
        return self._process is None or self._process.poll() is not None

    def kill(self) -> None:  # noqa: D102
        self._end(signal.SIGKILL)

    def terminate(self) -> None:  # noqa: D102
        try:
            self._end(signal.SIGTERM)
        except subprocess.TimeoutExpired:
            self._end(signal.SIGKILL)

    def pause(self) -> None:  # noqa: D102
        os.kill(self.pid, signal.SIGSTOP)
        # The signal is only on its way; a thread that runs at that moment may still answer.
        while not self._stopped():
            time.sleep(0.001)

    def resume(self) -> None:  # noqa: D102
        os.kill(self.pid, signal.SIGCONT)

    def output(self) -> str:  # noqa: D102
        return self._log.read_text(errors="replace")[-SHOWN:] if self._log.exists() else ""

    def _stopped(self) -> bool:
        threads = Path(f"/proc/{self.pid}/task")
        if not threads.exists():
            return True
        states = ((thread / "stat").read_text().rpartition(")")[2].split()[0] for thread in threads.iterdir())
        return all(state in "TZX" for state in states)

    def _end(self, sent: signal.Signals) -> None:
        if self._process is None or self._watchdog is None:
            return
        with suppress(ProcessLookupError):
            self._process.send_signal(sent)
            self._process.send_signal(signal.SIGCONT)
        self._process.wait(30)
        self._watchdog.release()
        self._process = self._watchdog = None
