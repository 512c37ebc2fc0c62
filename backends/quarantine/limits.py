"""The limits of the quarantine: size, number and age, and what gives way to them."""

import asyncio

import numpy as np
from numpy.typing import NDArray

from backends.errors import StorageFull
from backends.quarantine.entries import NEVER_EVICTED
from backends.quarantine.eviction import choose_victims
from backends.quarantine.key_table import Rows
from backends.quarantine.ledger import Ledger
from backends.quarantine.space import LEAST_LIVE_SHARE
from backends.quarantine.statistics import QuarantineStatistics

_DAY: int = 24 * 60 * 60 * 1_000_000


class Limits:
    """Evicts entries, so that the quarantine stays within its limits.

    Args:
        ledger: whose entries.
        statistics: counts the evictions.
        max_bytes: for the files. The entries get three quarters of it, so that compaction finds room.
        max_days: for the time since an entry came last.
        max_entries: for their number.

    """

    def __init__(
        self, ledger: Ledger, statistics: QuarantineStatistics, *, max_bytes: int, max_days: float, max_entries: int
    ) -> None:
        self.max_live_bytes = int(max_bytes * LEAST_LIVE_SHARE)
        self._ledger = ledger
        self._statistics = statistics
        self._max_age = int(max_days * _DAY)
        self._max_entries = max_entries

    async def make_room(self, size: int, entries: int) -> bool:
        """Evict what is necessary for further entries, from the largest groups first, and a sixteenth on top of it.

        Returns:
            Whether anything was evicted.

        Raises:
            StorageFull: what is never evicted leaves no room for them, or the disk is full.
            StoreUnavailable: what was evicted can't be written down.

        """
        directory = self._ledger.directory
        excess_bytes = directory.bytes + size - self.max_live_bytes
        if excess_bytes > 0:
            await self._evict(directory.length, excess_bytes, self.max_live_bytes // 16)
        excess_entries = directory.entries + entries - self._max_entries
        if excess_entries > 0:
            await self._evict(None, excess_entries, self._max_entries // 16)
        return excess_bytes > 0 or excess_entries > 0

    async def expire(self, now: int) -> None:
        """Evict what came last, and was kept, too long before ``now`` (microseconds since 1970).

        What an import refuses came long ago and is kept only now (the sequence tells when): it gets its days too.

        Raises:
            StorageFull, StoreUnavailable: what was evicted can't be written down.

        """
        rows = await asyncio.to_thread(self._evictable)
        directory = self._ledger.directory
        newest = np.maximum(directory.last[rows], directory.sequence[rows])
        await self._drop(rows[newest < now - self._max_age])

    def _evictable(self) -> Rows:
        directory = self._ledger.directory
        rows = directory.rows()
        for code in NEVER_EVICTED:
            number = directory.codes.find(code)
            if number is not None:
                rows = rows[directory.code[rows] != number]
        return rows

    async def _evict(self, lengths: NDArray[np.uint32] | None, excess: int, more: int) -> None:
        """Evict entries with this excess of bytes or, without lengths, of entries, and some more."""
        # Nobody else changes the directory meanwhile, and with a million entries the loop can't wait for this.
        await self._drop(await asyncio.to_thread(self._choose, lengths, excess, more))

    def _choose(self, lengths: NDArray[np.uint32] | None, excess: int, more: int) -> Rows:
        directory, rows = self._ledger.directory, self._evictable()
        weights = np.ones(len(rows), np.int64) if lengths is None else lengths[rows].astype(np.int64) + 1
        if excess > weights.sum():
            msg = "the quarantine is full of entries that are never evicted"
            raise StorageFull(msg)
        groups = directory.group_numbers(rows, with_peer=True)
        return rows[choose_victims(groups, directory.sequence[rows], weights, excess + more)]

    async def _drop(self, rows: Rows) -> None:
        if len(rows):
            codes = self._ledger.directory.count_codes(rows)
            await self._ledger.drop(rows)
            self._statistics.evicted.update(codes)
