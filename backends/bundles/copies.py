"""Copies of archives on this machine, for the time in which somebody reads them: files without a name."""

import io
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

from backends.bundles.incoming import PART
from backends.errors import StoreUnavailable

MOST: Final = 64
"""So many are open at a time: as much room on the disk as that many archives take."""


class Copies:
    """Makes copies, so many at a time.

    Args:
        directory: in which they take room.
        most: copies that may be open at a time.

    """

    def __init__(self, directory: Path, most: int = MOST) -> None:
        self._directory = directory
        self._most = most
        self._free = threading.Semaphore(most)

    def make(self) -> "Copy":
        """Return an empty one; blocking, but for a moment.

        Raises:
            StoreUnavailable: too many are open.
            OSError: it can't be made.

        """
        if not self._free.acquire(blocking=False):
            msg = f"{self._most} archives are being read; try again later"
            raise StoreUnavailable(msg)
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            descriptor, path = tempfile.mkstemp(PART, dir=self._directory)
            Path(path).unlink()
        except BaseException:
            self._free.release()
            raise
        return Copy(io.FileIO(descriptor, "r+b"), self._free.release)


class Copy(io.BufferedRandom):
    """A file that says when it is closed."""

    def __init__(self, raw: io.FileIO, closed: Callable[[], None]) -> None:
        super().__init__(raw)
        self._tell: Callable[[], None] | None = closed

    def close(self) -> None:
        """Close. Idempotent."""
        tell, self._tell = self._tell, None
        super().close()
        if tell is not None:
            tell()
