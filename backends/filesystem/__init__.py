"""The event store on an append-only log of files, with a derived index."""

import os
from pathlib import Path
from urllib.parse import unquote, urlsplit

from backends.errors import InvalidStoreURL
from backends.filesystem.store import FilesystemStore
from backends.lock import DirectoryLock

__all__ = ["FilesystemStore", "from_url"]


def from_url(url: str, *, root: Path, read_only: bool, timeout: float) -> FilesystemStore:
    """Make the store of ``file:`` (under ``root``) or ``file:///another/root``.

    Raises:
        InvalidStoreURL: it has parts that mean nothing here.

    """
    parts = urlsplit(url)
    if parts.netloc or parts.query or parts.fragment:
        msg = f"{url!r} should be file: or file:///absolute/directory"
        raise InvalidStoreURL(msg)
    where = Path(unquote(parts.path)) if parts.path else root
    # The caller owns its own root only; a log elsewhere has an owner, too.
    elsewhere = where.resolve() != root.resolve()
    lock = DirectoryLock(where, f"pid {os.getpid()}") if elsewhere and not read_only else None
    return FilesystemStore(where, read_only=read_only, timeout=timeout, lock=lock)
