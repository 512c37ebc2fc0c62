"""Archives in the file system, below the data directory.

::

    <root>/files/
        2026/11/24/<uuid>-<name>                    the archives, by the UTC day on which they arrived
        .incoming/<32 hex>.part                     one that arrives; a start removes those that it finds
        .incoming/2026-11-24-<uuid>-<name>.pending  an empty mark: that archive's event may not be stored yet

An archive is written to ``.part`` and synced; the mark is made; the file is renamed, and the day's directory synced;
then its event is stored, and the mark removed. So a crash leaves a part, or a mark beside an archive that needs its
event. A power cut may lose a mark and keep its archive on file systems that don't write names in order (ext4 and XFS
do): such an archive was not acknowledged, and takes room until retention removes it.
"""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, Self

from backends.bundles.base import BundlePath, BundleStore, StoredBundle, read_path
from backends.bundles.incoming import Incoming, receiving, remove_parts
from backends.bundles.marks import Marks
from backends.bundles.work import TIMEOUT, BundleThreads
from backends.disk import Disk
from backends.errors import StorageFull

_THREADS: Final = 4
_LEAST_FREE_BYTES: Final = 8 * 1024 * 1024
"""For one archive as large as they are by default."""


class FileBundles(BundleStore):
    """The store that needs nothing but the data directory.

    Args:
        root: the data directory; the caller owns it (``backends.lock``).
        disk: the system calls.
        timeout: seconds for each piece of work.

    """

    def __init__(self, root: Path, *, disk: Disk | None = None, timeout: float = TIMEOUT) -> None:
        self._root = root
        self._incoming = root / "files" / ".incoming"
        self._disk = disk or Disk()
        self._marks = Marks(self._incoming, self._disk)
        self._threads = BundleThreads(_THREADS, timeout)
        self._days: set[Path] = set()

    async def __aenter__(self) -> Self:
        """Open; the directory is made when the first archive comes."""
        self._threads.open()
        await self._threads.run(remove_parts, self._incoming, self._disk)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self._threads.close()

    def receive(self) -> AbstractAsyncContextManager[Incoming]:
        """Take an archive in."""
        return receiving(self._incoming, self._threads, self._disk)

    async def keep(self, incoming: Incoming, path: BundlePath) -> None:
        """Keep an archive."""
        await incoming.flush()
        await self._threads.run(self._keep, incoming, path)

    async def settle(self, path: BundlePath) -> None:
        """Remove the mark."""
        await self._threads.run(self._marks.remove, path)

    async def unsettled(self) -> list[BundlePath]:
        """Read the marks; one that was made ahead of a crash may have no archive."""
        return await self._threads.run(self._marks.read)

    async def open(self, path: BundlePath) -> BinaryIO | None:
        """Open an archive."""
        return await self._threads.run(self._open, path)

    async def remove(self, path: BundlePath) -> None:
        """Remove an archive, then its mark."""
        await self._threads.run(self._remove, path)

    async def archives(self) -> AsyncIterator[StoredBundle]:
        """Read one day's directory after the other."""
        for day in await self._threads.run(self._list_days):
            for stored in await self._threads.run(self._list_day, day):
                yield stored

    async def ping(self) -> None:
        """Ask for the room on the disk."""
        if await self._threads.run(self._disk.free_bytes, self._root) < _LEAST_FREE_BYTES:
            raise StorageFull("there is no room for another bundle")

    def _keep(self, incoming: Incoming, path: BundlePath) -> None:
        target = self._root / str(path)
        with incoming.turn:
            incoming.sync()
            self._marks.make(path)
            if target.parent not in self._days:
                self._disk.make_directory(target.parent)
                self._days = {target.parent}
            self._disk.rename(incoming.path, target)
            self._disk.sync_directory(target.parent)

    def _open(self, path: BundlePath) -> BinaryIO | None:
        try:
            return (self._root / str(path)).open("rb")
        except FileNotFoundError:
            return None

    def _remove(self, path: BundlePath) -> None:
        self._disk.remove(self._root / str(path))
        self._marks.remove(path)

    def _list_days(self) -> list[Path]:
        return sorted(self._root.glob("files/[0-9][0-9][0-9][0-9]/[0-9][0-9]/[0-9][0-9]"))

    def _list_day(self, day: Path) -> list[StoredBundle]:
        found = []
        for name in self._disk.list_directory(day):
            path = read_path((day / name).relative_to(self._root).as_posix())
            if path is not None:
                status = (day / name).stat()
                found.append(StoredBundle(path, status.st_size, datetime.fromtimestamp(status.st_mtime, UTC)))
        return found
