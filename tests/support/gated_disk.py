"""A disk that stops in the middle of an operation until the test lets it go on."""

import asyncio
from pathlib import Path
from threading import Event
from typing import Final

from support.fake_disk import FakeDisk

PATIENCE_SECONDS: Final = 20


class GatedDisk(FakeDisk):
    """The next call of one operation waits at a gate, before it does its work.

    Args:
        operation: the name of the method.
        disk: take over what that one holds; without one, an empty disk whose gate is closed at once.

    """

    def __init__(self, operation: str, disk: FakeDisk | None = None) -> None:
        super().__init__()
        self._operation = operation
        self._gate = Event()
        self._reached = Event()
        if disk is not None:
            self._root = disk._root
            self._gate.set()

    async def reached(self) -> None:
        """Return when the operation waits at the gate."""
        assert await asyncio.to_thread(self._reached.wait, PATIENCE_SECONDS), f"no {self._operation} was asked for"

    def open_gate(self) -> None:
        """Let the operation go on, and all later ones pass."""
        self._gate.set()

    def close_gate(self) -> None:
        """Let the next one wait."""
        self._reached.clear()
        self._gate.clear()

    def make_one_directory(self, path: Path) -> None:
        """Wait, then do it."""
        self._wait("make_one_directory")
        super().make_one_directory(path)

    def sync_directory(self, path: Path) -> None:
        """Wait, then do it."""
        self._wait("sync_directory")
        super().sync_directory(path)

    def create(self, path: Path) -> int:
        """Wait, then do it."""
        self._wait("create")
        return super().create(path)

    def write(self, descriptor: int, data: bytes) -> None:
        """Wait, then do it."""
        self._wait("write")
        super().write(descriptor, data)

    def sync(self, descriptor: int) -> None:
        """Wait, then do it."""
        self._wait("sync")
        super().sync(descriptor)

    def _wait(self, operation: str) -> None:
        if operation == self._operation:
            self._reached.set()
            assert self._gate.wait(PATIENCE_SECONDS), "the test never opened the gate"
