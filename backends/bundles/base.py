"""The contract of every store of bundles' archives; ``tests/contract/test_bundles.py`` holds each of them to it.

An archive's path is its key, on every store: ``files/2026/11/24/<uuid>-<name>``, which the event names as
``uploadedBundlePath``; ``files/2026/11/24/<writer>/<uuid>-<name>`` on a store that servers share. Nothing here knows
what is in an archive.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from types import TracebackType
from typing import BinaryIO, Final, NamedTuple, Self

from backends.bundles.incoming import Incoming
from backends.statistics import Statistic

_PATH: Final = re.compile(
    r"files/(?P<day>[0-9]{4}/[0-9]{2}/[0-9]{2})/(?:(?P<writer>[0-9a-f]{8})/)?"
    r"(?P<uuid>[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})-(?P<name>[A-Za-z0-9._-]{1,100})",
    re.ASCII,
)
_STRANGE: Final = re.compile("[^A-Za-z0-9._-]+")
_DOTS: Final = re.compile(r"^\.+")
_NAME_LENGTH: Final = 100
_PLAIN_NAME: Final = "bundle"


class BundlePath(NamedTuple):
    """Where an archive is kept; its text is safe to be a path below the data directory, and to be an object's key."""

    day: str
    """``2026/11/24``."""
    uuid: str
    """36 characters, lower case."""
    name: str
    """1 to 100 characters of ``A-Z a-z 0-9 . _ -``."""
    writer: str = ""
    """8 hexadecimal digits: the process that wrote it, on a store that servers share; else nothing."""

    def __str__(self) -> str:
        writer = f"{self.writer}/" if self.writer else ""
        return f"files/{self.day}/{writer}{self.uuid}-{self.name}"


class StoredBundle(NamedTuple):
    """What is told of an archive without opening it."""

    path: BundlePath
    size: int
    kept_at: datetime
    """In UTC."""


def make_path(uuid: str, name: str, now: datetime | None = None, writer: str = "") -> BundlePath:
    """Return the path of an archive that arrives now.

    Args:
        uuid: of its event, lower case.
        name: as the sender called it, any text; it is reduced to what is safe.
        now: in UTC.
        writer: of a store that servers share.

    """
    return BundlePath((now or datetime.now(UTC)).strftime("%Y/%m/%d"), uuid, reduce_name(name), writer)


def reduce_name(name: str) -> str:
    """Return a name as it may be part of a path: of a path its last part, of a long one its end."""
    last = name.replace("\\", "/").rpartition("/")[2]
    plain = _STRANGE.sub("_", last)[-_NAME_LENGTH:]
    return _DOTS.sub("_", plain) or _PLAIN_NAME


def read_path(text: str) -> BundlePath | None:
    """Return a path that an event names, or None if it is none of ours; so what anybody posts leads nowhere else."""
    match = _PATH.fullmatch(text)
    return None if match is None else BundlePath(match["day"], match["uuid"], match["name"], match["writer"] or "")


class BundleStore(ABC):
    """Keeps archives durably, each under its path.

    An archive and its event become durable in this order: ``receive`` -> ``keep`` -> the event is put -> ``settle``.
    From ``keep`` to ``settle`` an archive is *unsettled*: durable, but perhaps without its event. Whoever opens the
    store asks for the unsettled ones, and puts the event or removes the archive.

    Several servers may share a store's archives. Which upload of an archive is the first one is for the store of
    events to decide, which they share, too; here no two of them ever write under one path (``new_path``), so each may
    take back what it kept without asking the others. Unsettled are only this server's own.

    Life cycle: constructed without touching the outside world, opened with ``async with``, closed when the block ends;
    it belongs to one event loop. All methods may be called concurrently, for one path by one caller at a time. Outside
    the block they raise ``StoreClosed``; each may raise ``StoreUnavailable``, and ``keep``, ``receive`` and writing to
    what it gives ``StorageFull``.
    """

    @abstractmethod
    async def __aenter__(self) -> Self:
        """Open, and remove what a crash left of archives that did not arrive whole."""

    @abstractmethod
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close. Idempotent."""

    def new_path(self, uuid: str, name: str) -> BundlePath:
        """Return the path for an archive that arrives now (see ``make_path``): one that only this process writes."""
        return make_path(uuid, name)

    @abstractmethod
    def receive(self) -> AbstractAsyncContextManager[Incoming]:
        """Take an archive in; what was not kept when the block ends is removed."""

    @abstractmethod
    async def keep(self, incoming: Incoming, path: BundlePath) -> None:
        """Keep a whole archive; when it returns, it is durable under its path, and unsettled.

        What was under the path before is replaced: it has the same content, as the uuid is made of it. After an error
        the archive may be there all the same, unsettled.
        """

    @abstractmethod
    async def settle(self, path: BundlePath) -> None:
        """Say that the event of an archive is durable. Idempotent."""

    @abstractmethod
    async def unsettled(self) -> list[BundlePath]:
        """Return the archives that were kept and not settled."""

    @abstractmethod
    async def open(self, path: BundlePath) -> BinaryIO | None:
        """Return an archive to be read, and to be closed by the caller, or None. It can be read also once removed."""

    @abstractmethod
    async def remove(self, path: BundlePath) -> None:
        """Remove an archive; it is settled then. A missing one is fine."""

    @abstractmethod
    def archives(self) -> AsyncIterator[StoredBundle]:
        """Run through all archives, in order of their paths: the days in which they arrived."""

    @abstractmethod
    async def ping(self) -> None:
        """Return when an archive could be kept now.

        Raises:
            StorageFull, StoreUnavailable: it could not.

        """

    def statistics(self) -> list[Statistic]:
        """Return what this store counts, for the metrics."""
        return []
