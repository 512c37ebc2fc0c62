"""The store in use: the one that the URL names, behind a spool where it is not on this machine."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from backends import open_store
from backends.base import Event, EventStore
from backends.filesystem import FilesystemStore
from backends.quarantine import Quarantine, Refused
from backends.record import original_of, received_of
from backends.spool import Sizes, Spool, is_empty
from eventserver.config import Settings

CONFLICT_AFTER_ACK: Final = "conflict_after_ack"
"""The code of an event that was acknowledged while the backend was away, and for which that had another one."""
_LOCAL: Final = frozenset({"file", "memory"})


def spool_directory(settings: Settings) -> Path:
    """Return where the spool is."""
    return settings.event_root_dir / "spool"


def tells_of_spool(settings: Settings) -> str | None:
    """Return what whoever reads the store itself should know: None, or that what waits in the spool is not in it."""
    if is_empty(spool_directory(settings)):
        return None
    return "Events wait in the spool, and are not among these; see `eventserver spool status`."


async def make_store(
    settings: Settings, *, schemas: Mapping[tuple[str, int], Mapping[str, Any]], quarantine: Quarantine
) -> EventStore:
    """Make the store of the settings; it is opened with ``async with``, after the quarantine and before it is closed.

    What waits in a spool goes to whatever store is in use now, also to one on this machine.

    Args:
        settings: say which.
        schemas: those in force.
        quarantine: keeps acknowledged events for which the backend turns out to have others.

    Raises:
        InvalidStoreURL: no such store.

    """
    timeout = settings.event_store_timeout_seconds
    store = open_store(settings.event_store, root=settings.event_root_dir, timeout=timeout)
    directory = spool_directory(settings)
    if urlsplit(settings.event_store).scheme in _LOCAL and await asyncio.to_thread(is_empty, directory):
        return store

    async def keep(event: Event) -> None:
        await quarantine.keep(conflict_after_ack(event))

    return Spool(
        store,
        directory,
        on_conflict=keep,
        schemas=schemas,
        sizes=Sizes(max_bytes=settings.event_spool_max_bytes),
        timeout=timeout,
    )


def log_of(store: EventStore) -> FilesystemStore | None:
    """Return the store on this machine whose log all events end in; None where it is elsewhere, or keeps none."""
    inner = store.backend if isinstance(store, Spool) else store
    return inner if isinstance(inner, FilesystemStore) else None


def conflict_after_ack(event: Event) -> Refused:
    """Return what the quarantine keeps of an acknowledged event that lost to another one."""
    return Refused(
        body=original_of(event.record),
        code=CONFLICT_AFTER_ACK,
        detail=f"It was acknowledged while the store was away, and the store has another event with uuid {event.uuid}.",
        received=received_of(event.record),
        event_type_id=event.event_type_id,
        event_type_version=event.event_type_version,
    )
