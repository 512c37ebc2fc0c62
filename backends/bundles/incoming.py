"""An archive while it arrives: a temporary file in the file system in which it will stay."""

import errno
import secrets
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, Final

from backends.bundles.work import BundleThreads
from backends.disk import Disk
from backends.errors import StoreError

PART: Final = ".part"
_BLOCK_BYTES: Final = 32 * 1024


class Incoming:
    """Takes the bytes of an archive, and their SHA-256 on the way.

    Attributes:
        path: of the temporary file.
        size: bytes that were written so far.

    """

    def __init__(self, path: Path, descriptor: int, threads: BundleThreads, disk: Disk) -> None:
        self.path = path
        self.size = 0
        self._descriptor = descriptor
        self._threads = threads
        self._disk = disk
        self._digest = sha256()
        self._waiting = bytearray()
        self.turn = threading.Lock()
        """Held by whoever uses the file: a caller that was cancelled must not close it under a thread."""

    async def write(self, data: bytes | bytearray) -> None:
        """Take further bytes; whoever is faster than the disk waits for it.

        Raises:
            StorageFull, StoreUnavailable: they can't be written.

        """
        self.size += len(data)
        if len(data) >= _BLOCK_BYTES and not self._waiting:
            await self._threads.run(self._append, data)
            return
        self._waiting += data
        if len(self._waiting) >= _BLOCK_BYTES:
            await self.flush()

    async def flush(self) -> None:
        """Let what was written be in the file."""
        if self._waiting:
            block, self._waiting = self._waiting, bytearray()
            await self._threads.run(self._append, block)

    async def digest(self) -> str:
        """Return the SHA-256 of all bytes, in hexadecimal."""
        await self.flush()
        return self._digest.hexdigest()

    def open(self) -> BinaryIO:
        """Return the file to be read, after ``flush``; blocking."""
        return self.path.open("rb")

    def sync(self) -> None:
        """Make the bytes durable; blocking, and to be called with ``turn`` held."""
        self._require_open()
        self._disk.sync(self._descriptor)

    def close(self) -> None:
        """Close the file, and remove it where it has not been given another name; blocking. Idempotent."""
        with self.turn:
            descriptor, self._descriptor = self._descriptor, -1
            if descriptor >= 0:
                self._disk.close(descriptor)
                self._disk.remove(self.path)

    def _append(self, block: bytes | bytearray) -> None:
        with self.turn:
            self._require_open()
            self._digest.update(block)
            self._disk.write(self._descriptor, block)  # type: ignore[arg-type] # whatever has a buffer

    def _require_open(self) -> None:
        if self._descriptor < 0:
            raise OSError(errno.EBADF, "the upload was given up")


@asynccontextmanager
async def receiving(directory: Path, threads: BundleThreads, disk: Disk) -> AsyncIterator[Incoming]:
    """Take an archive into a temporary file of a directory; when the block ends, the file has another name or is gone.

    Raises:
        StorageFull, StoreUnavailable: no file can be made.

    """
    path = directory / f"{secrets.token_hex(16)}{PART}"
    descriptor = await threads.run(_create, path, disk)
    incoming = Incoming(path, descriptor, threads, disk)
    try:
        yield incoming
    finally:
        # What can't be removed now is removed at the next start.
        with suppress(StoreError):
            await threads.run(incoming.close)


def _create(path: Path, disk: Disk) -> int:
    try:
        return disk.create(path)
    except FileNotFoundError:
        disk.make_directory(path.parent)
        return disk.create(path)


def remove_parts(directory: Path, disk: Disk) -> None:
    """Remove what did not arrive whole before the process ended; blocking."""
    for name in disk.list_directory(directory):
        if name.endswith(PART):
            disk.remove(directory / name)
