"""Stores of bundles' archives: one contract (``base``), each store chosen by a URL, the file system by default."""

from importlib import import_module
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

from backends.bundles.base import BundlePath, BundleStore, StoredBundle, make_path, read_path, reduce_name
from backends.bundles.files import FileBundles
from backends.bundles.incoming import Incoming
from backends.bundles.work import TIMEOUT
from backends.errors import InvalidStoreURL

__all__ = [
    "BundlePath",
    "BundleStore",
    "FileBundles",
    "Incoming",
    "StoredBundle",
    "make_path",
    "open_bundles",
    "read_path",
    "reduce_name",
]


def open_bundles(url: str, *, root: Path, timeout: float = TIMEOUT) -> BundleStore:
    """Make the store of bundles that a URL names; it is opened with ``async with``.

    Args:
        url: ``file:`` (under ``root``), or ``s3://bucket/prefix?endpoint=...`` (``backends.bundles.object_options``).
        root: the data directory; of every store, what is under way is in it.
        timeout: seconds after which a call that is not answered fails, where the URL does not say.

    Raises:
        InvalidStoreURL: no such store, or what it needs is not installed; the message shows no secret.

    """
    scheme = urlsplit(url).scheme
    if url == "file:":
        return FileBundles(root, timeout=timeout)
    if scheme != "s3":
        what = "file: has no other place than the data directory" if scheme == "file" else f"{scheme!r} is not known"
        msg = f"the store of bundles should be file: or s3://bucket/prefix; {what}"
        raise InvalidStoreURL(msg)
    # The driver is imported only where it is asked for, so it need not be installed.
    try:
        make = import_module("backends.bundles.objects").from_url
    except ModuleNotFoundError as error:
        msg = "s3: needs a driver that is not installed: pip install 'smrtlink-event-server[s3]'"
        raise InvalidStoreURL(msg) from error
    return cast("BundleStore", make(url, root=root, timeout=timeout))
