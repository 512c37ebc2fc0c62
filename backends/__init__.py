"""Storage, usable without the service: one contract (``base``), several backends, each chosen by a URL."""

from importlib import import_module
from pathlib import Path
from typing import Final, cast
from urllib.parse import urlsplit

from backends.base import EventStore
from backends.errors import InvalidStoreURL

__all__ = ["open_store"]

TIMEOUT: Final = 10.0
_STORES: Final = {
    "file": ("backends.filesystem", "from_url"),
    "memory": ("backends.memory", "from_url"),
}


def open_store(url: str, *, root: Path, read_only: bool = False, timeout: float = TIMEOUT) -> EventStore:
    """Make the store that a URL names; it is opened with ``async with``.

    Args:
        url: ``file:`` (under ``root``), ``file:///another/root`` or ``memory:``.
        root: the data directory.
        read_only: open beside a running server, where the store knows such a thing.
        timeout: seconds after which a call that the backend does not answer fails.

    Raises:
        InvalidStoreURL: no such store.

    """
    scheme = urlsplit(url).scheme
    if scheme not in _STORES:
        known = ", ".join(f"{name}:" for name in _STORES)
        msg = f"no event store is named {url!r}; known are {known}"
        raise InvalidStoreURL(msg)
    # Only the module that was asked for is imported, so a driver that is not needed need not be installed.
    module, function = _STORES[scheme]
    make = getattr(import_module(module), function)
    return cast("EventStore", make(url, root=root, read_only=read_only, timeout=timeout))
