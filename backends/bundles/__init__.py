"""Stores of bundles' archives: one contract (``base``), the file system by default."""

from backends.bundles.base import BundlePath, BundleStore, StoredBundle, make_path, read_path, reduce_name
from backends.bundles.files import FileBundles
from backends.bundles.incoming import Incoming

__all__ = [
    "BundlePath",
    "BundleStore",
    "FileBundles",
    "Incoming",
    "StoredBundle",
    "make_path",
    "read_path",
    "reduce_name",
]
