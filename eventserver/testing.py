"""A pytest plugin: a real event server for the tests of programs that send to one.

It is there as soon as this package is installed. The fixture ``event_server`` is a server of its own for each test::

    def test_a_failed_job_is_told(event_server):
        run_the_program(event_server.url)

        [event] = event_server.wait_for(event_type="smrtlink_job_change_state")
        assert event["message"]["state"] == "FAILED"
"""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, Self

import pytest

from backends.lock import holder_of
from eventserver.client import BlockingEventServerClient, EventServerError, Retries

_START_SECONDS: Final = 30.0
_STOP_SECONDS: Final = 30.0
_LOOK_SECONDS: Final = 0.02

ReceivedValue = dict[str, Any]


class EventServerUnderTest:
    """A server process on a directory and a free port; the port stays the same over restarts.

    Args:
        directory: for its data and its log.

    Attributes:
        root: its data directory.
        url: where it listens, once it has been started.
        client: speaks to it.

    """

    def __init__(self, directory: Path) -> None:
        self.root = directory / "events"
        self.url = ""
        self.client: BlockingEventServerClient
        self._log = directory / "server.log"
        self._port = "0"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        """Start, and return when it serves.

        Raises:
            RuntimeError: it does not; the text is what it wrote.

        """
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("SMRTFLOW_", "EVE_"))}
        command = [sys.executable, "-m", "eventserver", "serve", "--host", "127.0.0.1", "--port", self._port]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own command
                [*command, "--root", str(self.root)], env=environment, stdout=log, stderr=log
            )
        deadline = time.monotonic() + _START_SECONDS
        while not self._is_ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(self._log.read_text())
            time.sleep(_LOOK_SECONDS)
        return self

    def stop(self) -> None:
        """Stop it as an operator does; what it has stays."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Kill it; what it acknowledged stays. Idempotent."""
        self._end(signal.SIGKILL)

    def received(self, **filters: Any) -> list[ReceivedValue]:
        """Return the events that it has, in the order of their ``createdAt``.

        Args:
            filters: those of ``EventServerClient.find``.

        """
        return [event.value for event in self.client.find(**filters)]

    def wait_for(
        self,
        count: int = 1,
        *,
        event_type: str | None = None,
        where: Callable[[ReceivedValue], bool] = lambda _: True,
        seconds: float = 10.0,
    ) -> list[ReceivedValue]:
        """Return the events that fit, as soon as there are at least so many.

        Args:
            count: how many are waited for.
            event_type: only of this ``eventTypeId``.
            where: only those for which this is true.
            seconds: the longest wait.

        Raises:
            AssertionError: there are fewer; it says what is there.

        """
        deadline = time.monotonic() + seconds
        while True:
            events = self.received()
            found = [event for event in events if event_type in {None, event["eventTypeId"]} and where(event)]
            if len(found) >= count:
                return found
            if time.monotonic() > deadline:
                there = "".join(f"\n  {event}" for event in events[-20:]) or " none"
                pytest.fail(f"{len(found)} of {count} events came within {seconds:g} s; the last of all are:{there}")
            time.sleep(_LOOK_SECONDS)

    def assert_nothing_received(self) -> None:
        """Raise ``AssertionError`` when there is any event."""
        events = self.received()
        assert not events, f"{len(events)} events, the first is {events[0]}"

    def _is_ready(self) -> bool:
        address = re.search(r"http://\S+", holder_of(self.root) or "")
        if address is None:
            return False
        self.url = address[0]
        self._port = self.url.rpartition(":")[2]
        try:
            with BlockingEventServerClient(self.url, retries=Retries(attempts=1), timeout=5) as client:
                client.status()
        except EventServerError:
            return False
        return True

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(number)
            process.wait(_STOP_SECONDS)


@pytest.fixture
def event_server(tmp_path: Path) -> Iterator[EventServerUnderTest]:
    """Return a real event server on an empty directory; it ends with the test."""
    directory = tmp_path / "event-server"
    directory.mkdir()
    server = EventServerUnderTest(directory).start()
    try:
        with BlockingEventServerClient(server.url) as server.client:
            yield server
    finally:
        server.kill()
