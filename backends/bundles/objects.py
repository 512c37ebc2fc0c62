"""Archives in S3-compatible object storage, which several servers may share.

An archive's key is its path behind the prefix: ``<prefix>/files/2026/11/24/<writer>/<uuid>-<name>``; each process is a
writer of its own. So no key has two writers: to write an archive again changes nothing, to take one back takes nothing
from others, and no conditional write is needed, which not every storage does as it should (see the ADR). An archive
arrives in a file on this machine, and is sent when it is whole; the marks are on this machine, too.

A crash leaves a mark, and the next start on this data directory finishes what it stands for. When the directory is lost
with the machine, an archive that was not acknowledged may stay; it takes room until retention removes it.
"""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, Self

from backends.bundles.base import BundlePath, BundleStore, StoredBundle, make_path, read_path
from backends.bundles.copies import Copies
from backends.bundles.incoming import Incoming, receiving, remove_parts
from backends.bundles.marks import Marks
from backends.bundles.object_client import ObjectClient
from backends.bundles.object_options import ObjectOptions
from backends.bundles.work import BundleThreads
from backends.disk import Disk
from backends.errors import StorageFull, StoreClosed, StoreError, StoreUnavailable

_THREADS: Final = 4
_MOST_SENT: Final = 3
"""Archives that are sent at a time: each is in memory for that time."""
_PROBE: Final = ".writable"
_PROVED_SECONDS: Final = 300.0
_LEAST_FREE_BYTES: Final = 8 * 1024 * 1024
"""For one archive as large as they are by default."""


def from_url(url: str, *, root: Path, timeout: float) -> "ObjectBundles":
    """Make the store of an ``s3:`` URL (``backends.bundles.object_options``)."""
    return ObjectBundles(ObjectOptions.parse(url, timeout=timeout), root)


class ObjectBundles(BundleStore):
    """A store that servers share.

    Args:
        options: where it is.
        root: the data directory, for what is under way and for the marks; the caller owns it (``backends.lock``).
        disk: the system calls.

    """

    def __init__(self, options: ObjectOptions, root: Path, *, disk: Disk | None = None) -> None:
        self._root = root
        self._incoming = root / "files" / ".incoming"
        self._disk = disk or Disk()
        self._marks = Marks(self._incoming, self._disk)
        self._copies = Copies(self._incoming)
        self._threads = BundleThreads(_THREADS, options.timeout)
        self._timeout = options.timeout
        self._client = ObjectClient(options)
        self._sending = asyncio.Semaphore(_MOST_SENT)
        self._writer = secrets.token_hex(4)
        self._proved_until = 0.0
        self._is_open = False

    async def __aenter__(self) -> Self:
        """Open; the storage need not be there yet."""
        self._threads.open()
        self._is_open = True
        await self._threads.run(remove_parts, self._incoming, self._disk)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self._is_open = False
        self._threads.close()

    def new_path(self, uuid: str, name: str) -> BundlePath:
        """Name this process as the writer."""
        return make_path(uuid, name, writer=self._writer)

    def receive(self) -> AbstractAsyncContextManager[Incoming]:
        """Take an archive in, on this machine."""
        return receiving(self._incoming, self._threads, self._disk)

    async def keep(self, incoming: Incoming, path: BundlePath) -> None:
        """Send an archive; the waiting for others is part of the time it may take."""
        self._require_open()
        await incoming.flush()
        await self._threads.run(self._mark, path)
        try:
            async with asyncio.timeout(self._timeout), self._sending:
                await self._client.put(str(path), incoming.path, incoming.size)
        except TimeoutError:
            self._proved_until = 0.0
            raise StoreUnavailable("the object storage of the bundles is too slow") from None
        except StoreError:
            self._proved_until = 0.0
            raise
        self._prove()

    async def settle(self, path: BundlePath) -> None:
        """Remove the mark."""
        await self._threads.run(self._marks.remove, path)

    async def unsettled(self) -> list[BundlePath]:
        """Read the marks of this machine."""
        return await self._threads.run(self._marks.read)

    async def open(self, path: BundlePath) -> BinaryIO | None:
        """Copy an archive to this machine; the copy is gone when it is closed."""
        self._require_open()
        try:
            async with asyncio.timeout(self._timeout):
                return await self._copy(path)
        except TimeoutError:
            raise StoreUnavailable("the object storage of the bundles is too slow") from None

    async def remove(self, path: BundlePath) -> None:
        """Remove an archive, then its mark."""
        self._require_open()
        await self._client.remove(str(path))
        await self._threads.run(self._marks.remove, path)

    async def archives(self) -> AsyncIterator[StoredBundle]:
        """List the objects, a thousand at a time; what others keep under the prefix is left out."""
        self._require_open()
        async for found in self._client.list("files"):
            path = read_path(found["path"])
            if path is not None:
                yield StoredBundle(path, found["size"], found["last_modified"])

    async def ping(self) -> None:
        """Ask for an object that need not be there; write one where none was written for a while, or it failed."""
        self._require_open()
        if await self._threads.run(self._disk.free_bytes, self._root) < _LEAST_FREE_BYTES:
            raise StorageFull("there is no room for another bundle to arrive in")
        if time.monotonic() < self._proved_until:
            await self._client.get(_PROBE)
        else:
            await self._client.put(_PROBE, b"", 0)
            self._prove()

    def _mark(self, path: BundlePath) -> None:
        self._marks.make(path)
        self._disk.sync_directory(self._incoming)

    async def _copy(self, path: BundlePath) -> BinaryIO | None:
        pieces = await self._client.get(str(path))
        if pieces is None:
            return None
        copy = await self._threads.run(self._copies.make)
        try:
            async for piece in pieces:
                await self._threads.run(copy.write, piece)
            await self._threads.run(copy.seek, 0)
        except BaseException:
            copy.close()
            raise
        return copy

    def _prove(self) -> None:
        self._proved_until = time.monotonic() + _PROVED_SECONDS

    def _require_open(self) -> None:
        if not self._is_open:
            msg = "the store of bundles is not open"
            raise StoreClosed(msg)
