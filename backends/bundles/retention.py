"""Which archives are kept no longer: by age, and the oldest ones by the room that all of them take."""

import heapq
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from backends.bundles.base import BundleStore, StoredBundle

BATCH = 1000
"""So many are chosen at a time; the next look chooses the rest."""


class Retention(NamedTuple):
    """Limits of what is kept; None is no limit."""

    max_age: timedelta | None = None
    max_bytes: int | None = None
    is_dry_run: bool = False
    """Only say what would be removed."""


async def expired(store: BundleStore, retention: Retention, now: datetime | None = None) -> list[StoredBundle]:
    """Return the archives over the limits, oldest first, at most 1,000; memory stays flat however many there are.

    Archives whose event may not be stored yet are never among them.
    """
    unsettled = set(await store.unsettled())
    total = 0
    oldest: list[tuple[float, str, StoredBundle]] = []
    async for stored in store.archives():
        total += stored.size
        if stored.path not in unsettled:
            item = (-stored.kept_at.timestamp(), str(stored.path), stored)
            (heapq.heappush if len(oldest) < BATCH else heapq.heappushpop)(oldest, item)
    limit = None if retention.max_age is None else (now or datetime.now(UTC)) - retention.max_age
    chosen: list[StoredBundle] = []
    for _, _, stored in sorted(oldest, reverse=True):
        is_old = limit is not None and stored.kept_at < limit
        if not is_old and (retention.max_bytes is None or total <= retention.max_bytes):
            break
        total -= stored.size
        chosen.append(stored)
    return chosen
