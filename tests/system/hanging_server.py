"""The server on a disk that stops answering: once a file named in ``HANG_WHEN_THERE`` is there, nothing returns."""

import os
from pathlib import Path

from backends.disk import Disk
from eventserver.cli import main


def hang() -> None:
    """Wait in a system call, for ever."""
    os.read(os.pipe()[0], 1)


class HangingDisk(Disk):
    """Syncs, and reads that must wait for the device, hang from a moment on."""

    switch = Path(os.environ["HANG_WHEN_THERE"])

    def sync(self, descriptor: int) -> None:
        """Hang, or do it."""
        if self.switch.exists():
            hang()
        super().sync(descriptor)

    def read(self, descriptor: int, length: int, offset: int) -> bytes:
        """Hang, or do it."""
        if self.switch.exists():
            hang()
        return super().read(descriptor, length, offset)


if __name__ == "__main__":
    Disk.__new__ = lambda cls: object.__new__(HangingDisk if cls is Disk else cls)  # type: ignore[method-assign]
    main(prog_name="eventserver")
