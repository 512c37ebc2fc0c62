"""Two stores, as the commands that copy and compare are given them: by their URLs."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import quote, unquote, urlsplit

import click

from backends import hide_secrets, open_store
from backends.base import EventStore
from eventserver.cli.invocation import AskedWrongly, with_settings
from eventserver.config import Settings

_TIMEOUT: Final = 30.0
"""Seconds. Nobody waits for an answer here, so a store that is slow under load may take longer than at a request."""


class StoreAddress(NamedTuple):
    """Where a store is."""

    url: str
    """With a directory in full where there is one."""
    directory: Path | None
    """Of a filesystem store."""

    def __str__(self) -> str:
        """Return the URL as it may be shown."""
        return hide_secrets(self.url)

    def open(self, settings: Settings, *, read_only: bool) -> EventStore:
        """Make the store; it is opened with ``async with``."""
        return open_store(self.url, root=settings.event_root_dir, read_only=read_only, timeout=_TIMEOUT)

    def require_data(self) -> None:
        """See that there is something to read: a misspelt name must not pass for an empty store.

        Raises:
            AskedWrongly: it is no data directory.

        """
        if self.directory is not None and not (self.directory / "events").is_dir():
            raise AskedWrongly(f"{self.directory} is no data directory: there is no {self.directory / 'events'}")


def address_of(url: str, root: Path) -> StoreAddress:
    """Understand a URL as far as it says which data directory is meant; ``file:`` is the one of the settings."""
    parts = urlsplit(url)
    if parts.scheme != "file" or parts.netloc or parts.query or parts.fragment:
        return StoreAddress(url, None)
    directory = (Path(unquote(parts.path)) if parts.path else root).resolve()
    return StoreAddress(f"file://{quote(str(directory))}", directory)


def with_two_stores(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options ``--from`` and ``--to`` and, as first arguments, settings and both addresses."""

    @click.option("--from", "source_url", metavar="URL", required=True, help="The store that is read.")
    @click.option("--to", "target_url", metavar="URL", required=True, help="The other store.")
    @with_settings
    @wraps(command)
    def run(settings: Settings, source_url: str, target_url: str, **options: object) -> None:
        source, target = (address_of(url, settings.event_root_dir) for url in (source_url, target_url))
        if str(source) == str(target):
            raise AskedWrongly(f"--from and --to are the same store, {source}")
        source.require_data()
        command(settings, source, target, **options)

    return run
