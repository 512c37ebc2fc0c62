"""The event store on an append-only log of files, with a derived index."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from backends.errors import InvalidStoreURL
from backends.filesystem.store import FilesystemStore

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
    return FilesystemStore(Path(unquote(parts.path)) if parts.path else root, read_only=read_only, timeout=timeout)
