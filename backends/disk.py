"""The system calls that durability rests on, in one place, so that a test can put a failing disk there.

All methods block; they are called from threads that own the files, never from an event loop.
"""

import contextlib
import mmap
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

_NOWAIT: Final = getattr(os, "RWF_NOWAIT", 0)


class Disk:
    """A real file system. Errors are the operating system's own ``OSError``."""

    def make_directory(self, path: Path) -> None:
        """Create a directory and its missing parents, each made durable in its parent; one that exists is fine.

        The deepest that exists is made durable too: whoever made it may have failed, or died, before that.
        """
        chain = [path, *path.parents]
        missing = next((i for i, directory in enumerate(chain) if self.is_directory(directory)), len(chain) - 1)
        with contextlib.suppress(PermissionError):  # one that we may not even read is not one that we made
            self.sync_directory(chain[missing].parent)
        for directory in reversed(chain[:missing]):
            self.make_one_directory(directory)
            self.sync_directory(directory.parent)

    def is_directory(self, path: Path) -> bool:
        """Tell whether a directory is there."""
        return path.is_dir()

    def make_one_directory(self, path: Path) -> None:
        """Create a directory in one that exists."""
        path.mkdir(exist_ok=True)

    def list_directory(self, path: Path) -> list[str]:
        """Return the names in a directory, sorted; of a missing one, none."""
        try:
            return sorted(entry.name for entry in path.iterdir())
        except FileNotFoundError:
            return []

    def sync_directory(self, path: Path) -> None:
        """Make the names in a directory durable (POSIX: a new file's name is not, until its directory is synced)."""
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def create(self, path: Path) -> int:
        """Create a file that must not exist and return a descriptor that appends."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o640)

    def open(self, path: Path) -> int:
        """Return a descriptor that reads."""
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def close(self, descriptor: int) -> None:
        """Close a descriptor."""
        os.close(descriptor)

    def size(self, path: Path) -> int:
        """Return a file's length in bytes."""
        return path.stat().st_size

    def free_bytes(self, path: Path) -> int:
        """Return the room that this process may still use on the path's file system."""
        status = os.statvfs(path)
        return status.f_bavail * status.f_frsize

    def write(self, descriptor: int, data: bytes) -> None:
        """Append all of the data; on an error part of it may be there."""
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]

    def sync(self, descriptor: int) -> None:
        """Make a file's data and length durable (``fdatasync``)."""
        os.fdatasync(descriptor)

    def read(self, descriptor: int, length: int, offset: int) -> bytes:
        """Read up to ``length`` bytes at ``offset``; fewer only at the end of the file."""
        data = os.pread(descriptor, length, offset)
        if len(data) == length or not data:
            return data
        parts: list[bytes] = [data]
        while data and (length := length - len(data)):
            offset += len(data)
            data = os.pread(descriptor, length, offset)
            parts.append(data)
        return b"".join(parts)

    def map(self, path: Path, length: int) -> mmap.mmap | bytearray:
        """Return the first bytes of a file that never changes; they are read when needed, also once it is removed."""
        descriptor = self.open(path)
        try:
            return mmap.mmap(descriptor, length, access=mmap.ACCESS_READ)
        finally:
            self.close(descriptor)

    def read_cached(self, descriptor: int, length: int, offset: int) -> bytes | None:
        """Read like ``read`` if that needs no waiting for the device, else return None."""
        buffer = bytearray(length)
        try:
            count = os.preadv(descriptor, [buffer], offset, _NOWAIT)
        except OSError:
            return None
        return bytes(buffer) if count == length else None

    def forget_clean_pages(self, descriptor: int) -> None:
        """Drop what the page cache holds but the device may not, so that the next read shows what is really stored.

        After a failed sync Linux marks the lost pages clean: they read well until they are evicted.
        """
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)

    def rename(self, source: Path, target: Path) -> None:
        """Put a file in another's place, atomically."""
        source.replace(target)

    def remove(self, path: Path) -> None:
        """Remove a file; a missing one is fine."""
        path.unlink(missing_ok=True)

    def replace(self, path: Path, parts: Sequence[bytes]) -> None:
        """Write a file whole, durably and atomically: temporary name, sync, rename, sync of the directory."""
        temporary = path.with_name(path.name + ".tmp")
        self.remove(temporary)
        descriptor = self.create(temporary)
        try:
            for part in parts:
                self.write(descriptor, part)
            self.sync(descriptor)
        finally:
            self.close(descriptor)
        self.rename(temporary, path)
        self.sync_directory(path.parent)
