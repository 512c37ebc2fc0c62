"""A real disk that fails on request."""

import errno
import os
from collections.abc import Collection
from pathlib import Path
from threading import Lock

from backends.disk import Disk

WRITES = frozenset({"make_one_directory", "sync_directory", "create", "write", "sync", "rename", "remove"})
READS = frozenset({"list_directory", "open", "size", "read"})


class FaultyDisk(Disk):
    """``calls`` lists what was asked for, as (operation, name of the file or directory if it is known)."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        self._lock = Lock()
        self._operations: Collection[str] = ()
        self._after = 0
        self._times: int | None = None
        self._error = errno.EIO

    def fail(
        self, operations: Collection[str] = WRITES, *, after: int = 0, times: int | None = None, error: int = errno.EIO
    ) -> None:
        """Let operations fail: the first ``after`` succeed, ``times`` fail (None: all, until ``mend``)."""
        with self._lock:
            self._operations, self._after, self._times, self._error = operations, after, times, error

    def mend(self) -> None:
        """Let everything succeed again."""
        self.fail(())

    def make_one_directory(self, path: Path) -> None:
        """Fail, or do it."""
        self._before("make_one_directory", path.name)
        super().make_one_directory(path)

    def list_directory(self, path: Path) -> list[str]:
        """Fail, or do it."""
        self._before("list_directory", path.name)
        return super().list_directory(path)

    def sync_directory(self, path: Path) -> None:
        """Fail, or do it."""
        self._before("sync_directory", path.name)
        super().sync_directory(path)

    def create(self, path: Path) -> int:
        """Fail, or do it."""
        self._before("create", path.name)
        return super().create(path)

    def open(self, path: Path) -> int:
        """Fail, or do it."""
        self._before("open", path.name)
        return super().open(path)

    def size(self, path: Path) -> int:
        """Fail, or do it."""
        self._before("size", path.name)
        return super().size(path)

    def free_bytes(self, path: Path) -> int:
        """Answer none while writes fail for lack of room."""
        full = self._error == errno.ENOSPC and "write" in self._operations and self._times != 0
        return 0 if full else super().free_bytes(path)

    def write(self, descriptor: int, data: bytes) -> None:
        """Write a half of it and fail, or do it."""
        try:
            self._before("write", "")
        except OSError:
            super().write(descriptor, data[: len(data) // 2])
            raise
        super().write(descriptor, data)

    def sync(self, descriptor: int) -> None:
        """Fail, or do it."""
        self._before("sync", "")
        super().sync(descriptor)

    def read(self, descriptor: int, length: int, offset: int) -> bytes:
        """Fail, or do it."""
        self._before("read", "")
        return super().read(descriptor, length, offset)

    def read_cached(self, descriptor: int, length: int, offset: int) -> bytes | None:
        """Have nothing in the cache while reads fail."""
        return None if "read" in self._operations else super().read_cached(descriptor, length, offset)

    def rename(self, source: Path, target: Path) -> None:
        """Fail, or do it."""
        self._before("rename", target.name)
        super().rename(source, target)

    def remove(self, path: Path) -> None:
        """Fail, or do it."""
        self._before("remove", path.name)
        super().remove(path)

    def _before(self, operation: str, name: str) -> None:
        with self._lock:
            self.calls.append((operation, name))
            if operation not in self._operations or self._times == 0:
                return
            if self._after:
                self._after -= 1
                return
            if self._times is not None:
                self._times -= 1
            raise OSError(self._error, os.strerror(self._error))
