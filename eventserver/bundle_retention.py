"""Removing archives that are over the limits of age and room, while the server runs; their events stay."""

import asyncio
from typing import Final

import structlog

from backends.bundles import BundleStore
from backends.bundles.retention import Retention, expired
from backends.errors import StoreError

INTERVAL_SECONDS: Final = 3600.0
_log = structlog.get_logger("eventserver")


async def run_retention(store: BundleStore, retention: Retention, interval: float = INTERVAL_SECONDS) -> None:
    """Remove what is over the limits, now and every hour, until cancelled."""
    while True:
        try:
            await remove_expired(store, retention)
        except StoreError as error:
            _log.warning("retention", reason=str(error))
        await asyncio.sleep(interval)


async def remove_expired(store: BundleStore, retention: Retention) -> int:
    """Remove what is over the limits, or in a dry run only log it; return how many archives that are.

    Raises:
        StoreError: some may be removed, others not.

    """
    count = 0
    while chosen := await expired(store, retention):
        for stored in chosen:
            if not retention.is_dry_run:
                await store.remove(stored.path)
            name = "bundle would be removed" if retention.is_dry_run else "bundle removed"
            _log.info(name, path=str(stored.path), size=stored.size, kept_at=stored.kept_at.isoformat())
        count += len(chosen)
        if retention.is_dry_run:
            break
    return count
