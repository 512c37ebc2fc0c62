"""Storage, usable without the service: one contract (``base``), several backends, each chosen by a URL."""

import re
from importlib import import_module
from pathlib import Path
from typing import Final, cast
from urllib.parse import urlsplit

from backends.base import EventStore
from backends.errors import InvalidStoreURL

__all__ = ["hide_secrets", "open_store"]

TIMEOUT: Final = 10.0
_STORES: Final = {
    "file": ("backends.filesystem", "from_url"),
    "memory": ("backends.memory", "from_url"),
    "elasticsearch": ("backends.elasticsearch", "from_url"),
    "elasticsearchs": ("backends.elasticsearch", "from_url"),
    "cassandra": ("backends.cassandra", "from_url"),
    "cassandras": ("backends.cassandra", "from_url"),
}
_EXTRAS: Final = {
    "elasticsearch": "elasticsearch",
    "elasticsearchs": "elasticsearch",
    "cassandra": "cassandra",
    "cassandras": "cassandra",
}


def open_store(url: str, *, root: Path, read_only: bool = False, timeout: float = TIMEOUT) -> EventStore:
    """Make the store that a URL names; it is opened with ``async with``.

    Args:
        url: ``file:`` (under ``root``), ``file:///another/root``, ``memory:``, or ``elasticsearch://host:9200/prefix``
            (``elasticsearchs:`` over TLS; see ``backends.elasticsearch.options``), or ``cassandra://host:9042/keyspace``
            (``cassandras:`` over TLS; see ``backends.cassandra.options``).
        root: the data directory.
        read_only: open beside a running server, where the store knows such a thing.
        timeout: seconds after which a call that the backend does not answer fails.

    Raises:
        InvalidStoreURL: no such store, or what it needs is not installed; the message shows no secret.

    """
    scheme = urlsplit(url).scheme
    if scheme not in _STORES:
        known = ", ".join(f"{name}:" for name in _STORES)
        msg = f"no event store is named {hide_secrets(url)!r}; known are {known}"
        raise InvalidStoreURL(msg)
    # Only the module that was asked for is imported, so a driver that is not needed need not be installed.
    module, function = _STORES[scheme]
    try:
        make = getattr(import_module(module), function)
    except ModuleNotFoundError as error:
        if scheme not in _EXTRAS:
            raise
        msg = f"{scheme}: needs a driver that is not installed: pip install 'smrtlink-event-server[{_EXTRAS[scheme]}]'"
        raise InvalidStoreURL(msg) from error
    return cast("EventStore", make(url, root=root, read_only=read_only, timeout=timeout))


def hide_secrets(url: str) -> str:
    """Return a store URL as it may be shown and logged: without password and API key."""
    return re.sub(r"(api_key=)[^&#]*", r"\1***", re.sub(r"(//[^/?#]*?:)[^/?#]*(@)", r"\1***\2", url))
