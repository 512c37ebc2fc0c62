"""One process owns a data directory: a lock that the kernel lets go when its holder dies, however it dies.

The lock is ``flock(2)`` on ``<root>/lock``; the file's first line says who holds it, for people and for commands that
look for the running server. The file stays when the lock is released: removing it would let two processes lock two
files of one name. A process forked without exec shares its parent's lock, so start helpers by spawning.
"""

import errno
import fcntl
import os
from pathlib import Path
from time import monotonic, sleep
from types import TracebackType
from typing import Final, Self

from backends.disk import Disk
from backends.errors import DirectoryInUse, StorageFull, StoreUnavailable

UNKNOWN_HOLDER: Final = "another process, which could not write its address"
_OUT_OF_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_PATIENCE_SECONDS: Final = 0.3
_MAX_ADDRESS_BYTES: Final = 1024


class DirectoryLock:
    """The ownership of a data directory, for the time of a ``with`` block.

    Entering blocks for a third of a second at most: ``holder_of`` in another process holds the lock for a moment.
    """

    def __init__(self, root: Path, address: str) -> None:
        """Prepare, without touching the disk.

        Args:
            root: the data directory; made when it is missing.
            address: who owns it: ``pid 4711 at http://127.0.0.1:8070`` for a server.

        """
        self.root = root
        self.address = address
        self._descriptor = -1

    def __enter__(self) -> Self:
        """Own the directory.

        Raises:
            DirectoryInUse: another process owns it.
            StorageFull: no room for the (empty) lock file, which is there after the first start.
            StoreUnavailable: the directory can't be made or written, or it lies on a file system without locks.

        """
        descriptor = _open(self.root)
        try:
            locked = _try_lock(descriptor, fcntl.LOCK_EX, _PATIENCE_SECONDS)
        except OSError as error:
            os.close(descriptor)
            msg = f"{self.root} can't be locked: {error.strerror}"
            raise StoreUnavailable(msg) from error
        if not locked:
            holder = _read_holder(descriptor)
            os.close(descriptor)
            raise DirectoryInUse(str(self.root), holder)
        self._descriptor = descriptor
        self.announce(self.address)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let the directory go, if it is ours."""
        if self._descriptor < 0:
            return
        os.ftruncate(self._descriptor, 0)
        os.close(self._descriptor)
        self._descriptor = -1

    def announce(self, address: str) -> None:
        """Write who holds the lock, as once the port is known; a full disk is no error, the holder is then unknown."""
        self.address = address
        try:
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, f"{address}\n".encode(), 0)
        except OSError as error:
            if error.errno not in _OUT_OF_ROOM:
                raise


def holder_of(root: Path) -> str | None:
    """Return who owns a data directory now, or None.

    Returns:
        What the owner wrote, such as ``pid 4711 at http://127.0.0.1:8070``, or ``UNKNOWN_HOLDER``. The answer may be
        out of date by the time it is read: whoever goes on to write takes the lock.

    """
    try:
        descriptor = os.open(root / "lock", os.O_RDONLY)
    except OSError:
        return None
    try:
        return None if _try_lock(descriptor, fcntl.LOCK_SH, 0) else _read_holder(descriptor)
    finally:
        os.close(descriptor)


def _open(root: Path) -> int:
    """Open the lock file, making it and the directory when they are missing."""
    try:
        Disk().make_directory(root)
        return os.open(root / "lock", os.O_RDWR | os.O_CREAT, 0o640)
    except OSError as error:
        if error.errno in _OUT_OF_ROOM:
            msg = f"there is no room for {root / 'lock'}"
            raise StorageFull(msg) from error
        msg = f"the data directory {root} can't be written: {error.strerror}"
        raise StoreUnavailable(msg) from error


def _try_lock(descriptor: int, kind: int, patience: float) -> bool:
    """Lock, trying for a while; tell whether it worked."""
    deadline = monotonic() + patience
    while True:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if monotonic() >= deadline:
                return False
            sleep(0.02)
        else:
            return True


def _read_holder(descriptor: int) -> str:
    """Return the first line of the lock file."""
    text = os.pread(descriptor, _MAX_ADDRESS_BYTES, 0).decode(errors="replace")
    return text.partition("\n")[0] or UNKNOWN_HOLDER
