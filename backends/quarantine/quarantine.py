"""The quarantine as its users see it, on their event loop."""

import asyncio
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, Self

import numpy as np

from backends.disk import Disk
from backends.errors import StoreClosed, StoreUnavailable
from backends.log import AppendLog
from backends.quarantine.entries import NEVER_EVICTED, Filter, Group, Kept, Page, Refused, key_of, tidy, to_microseconds
from backends.quarantine.keeper import Keeper
from backends.quarantine.key_table import Rows
from backends.quarantine.ledger import Again, Fresh, Ledger
from backends.quarantine.limits import Limits
from backends.quarantine.lines import EntryLine, make_entry_line
from backends.quarantine.reader import EVERYTHING, QuarantineReader
from backends.quarantine.statistics import QuarantineStatistics
from backends.quarantine.tidier import Tidier

MAX_BYTES: Final = 1024 * 1024 * 1024
MAX_DAYS: Final = 90
MAX_ENTRIES: Final = 1_000_000
SEGMENT_BYTES: Final = 16 * 1024 * 1024
_OPEN_ATTEMPTS: Final = 5
_CLOSING_SECONDS: Final = 10


class _Parts(NamedTuple):
    """What an open quarantine is made of."""

    ledger: Ledger
    limits: Limits
    keeper: Keeper
    reader: QuarantineReader
    tidier: Tidier


class Quarantine:
    """Keeps what was refused for its content, as it was received, until it is replayed, dropped or evicted.

    Life cycle: constructed without touching the disk, opened with ``async with``, closed when the block ends; closing
    finishes what is in flight. It belongs to one event loop; all methods may be called concurrently. Outside the block
    they raise ``StoreClosed``, and when the disk fails ``StoreUnavailable``. A time limit is the caller's to set; a
    cancelled call leaves the quarantine consistent, and may still take effect.

    Limits: beyond one of them entries are evicted, the oldest of the largest group first, a group being what has one
    code, event type and peer. ``conflict_after_ack`` is never evicted. 65,535 event types and as many peers are told
    apart; what is beyond that counts, for groups and filters, as one: ``(other)``.

    Args:
        directory: of its log, made when missing. The caller owns it (``backends.lock``), except for ``read_only``.
        disk: the system calls.
        max_bytes: for the files; the entries get three quarters of it.
        max_days: an entry that did not come again for so long is evicted.
        max_entries: each takes 70 bytes of memory.
        segment_bytes: size at which a file is sealed.
        read_only: open beside a running server, to read what is there now.
        clock: the time in seconds since 1970.

    """

    def __init__(
        self,
        directory: Path,
        *,
        disk: Disk | None = None,
        max_bytes: int = MAX_BYTES,
        max_days: float = MAX_DAYS,
        max_entries: int = MAX_ENTRIES,
        segment_bytes: int = SEGMENT_BYTES,
        read_only: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.statistics = QuarantineStatistics()
        self._make_log = partial(AppendLog, directory, disk=disk, segment_bytes=segment_bytes, read_only=read_only)
        self._max_bytes = max_bytes
        self._max_days = max_days
        self._max_entries = max_entries
        self._read_only = read_only
        self._clock = clock
        self._turn = asyncio.Lock()
        self._parts: _Parts | None = None

    async def __aenter__(self) -> Self:
        """Open: read the whole log, and verify every line; a million entries take two to three seconds.

        Raises:
            StorageFull, StoreUnavailable: it can't be read, or not be made.

        """
        for attempt in range(1, _OPEN_ATTEMPTS + 1):
            log = self._make_log()
            try:
                await log.__aenter__()
                ledger = Ledger(log, self._max_entries)
                await asyncio.to_thread(ledger.recover)
            except BaseException as error:
                await log.__aexit__(None, None, None)
                # A segment may have been removed by the server beside which this one reads: once listed, or once read.
                if not (self._read_only and isinstance(error, StoreUnavailable) and attempt < _OPEN_ATTEMPTS):
                    raise
            else:
                break
        self._parts = parts = self._make_parts(ledger)
        self.statistics.damaged_lines = ledger.damaged_lines
        if not self._read_only:
            parts.tidier.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close: finish what is in flight. Idempotent."""
        parts, self._parts = self._parts, None
        if parts is not None:
            await parts.keeper.finish(_CLOSING_SECONDS)
            await parts.tidier.finish(_CLOSING_SECONDS)
            await parts.ledger.log.__aexit__(None, None, None)

    @property
    def entries(self) -> int:
        """How many entries there are."""
        return self._open.ledger.directory.entries

    @property
    def bytes(self) -> int:
        """How many bytes the lines of the entries take."""
        return self._open.ledger.directory.bytes

    @property
    def file_bytes(self) -> int:
        """How many bytes the files take."""
        return self._open.ledger.space.file_bytes

    async def keep(self, refused: Refused) -> str:
        """Keep one; see ``keep_many``."""
        [id_] = await self.keep_many([refused])
        return id_

    async def keep_many(self, refused: Sequence[Refused]) -> list[str]:
        """Keep what was refused; when it returns, it is synced. Calls that wait at the same time share one sync.

        The same bytes under the same code are one entry, whose count rises.

        Returns:
            The ids of the entries, in order.

        Raises:
            StorageFull: no room, on the disk or beside what is never evicted; nothing of this call is kept.
            StoreUnavailable: nothing of this call is kept.
            ValueError: ``received`` is no moment.

        """
        return await self._writable.keeper.keep(refused)

    async def ping(self) -> None:
        """Return when something could be kept now.

        Raises:
            StorageFull, StoreUnavailable: it could not.

        """
        await self._writable.ledger.log.probe()

    async def find(
        self, condition: Filter = EVERYTHING, *, limit: int = 100, cursor: str | None = None, oldest_first: bool = False
    ) -> Page:
        """Return a part of the list, in the order in which the entries were kept, the newest first by default.

        Following ``next`` shows each entry that was there at the first page, and still is, exactly once, and no other.

        Args:
            condition: which entries.
            limit: 1 or more.
            cursor: ``next`` of the page before.
            oldest_first: turn the order around.

        Raises:
            InvalidCursor: it is no cursor of a list.

        """
        return await self._open.reader.find(condition, limit=limit, cursor=cursor, oldest_first=oldest_first)

    async def groups(self) -> list[Group]:
        """Return how much there is by code and event type, the most entries first."""
        return await self._open.reader.groups()

    async def get(self, id_: str) -> Kept | None:
        """Return an entry with its body, or None."""
        return await self._open.reader.get(id_)

    async def drop(self, ids: Sequence[str]) -> int:
        """Drop entries; when it returns, that is synced. Their room on the disk is freed in the background.

        Returns:
            How many there were.

        Raises:
            StorageFull, StoreUnavailable: some may be gone, others not.

        """
        parts = self._writable
        async with self._turn:
            rows = {row for id_ in ids if (row := parts.reader.row_of(id_))}
            return await self._drop(parts, np.array(sorted(rows), np.int64))

    async def drop_all(self, condition: Filter) -> int:
        """Drop all entries that fit a filter, as ``drop`` does."""
        parts = self._writable
        async with self._turn:
            return await self._drop(parts, parts.reader.select(condition))

    async def refuse_again(self, id_: str, refused: Refused) -> str | None:
        """Say why an entry was refused when it was tried again; its times, count and peer stay.

        A code that is never evicted stays too.

        Args:
            id_: the entry.
            refused: its body, and the reasons of now.

        Returns:
            The id of the entry from now on: another one if the code is another, the same if an entry with that code and
            body was there already. None when the entry is gone.

        Raises:
            StorageFull, StoreUnavailable: the entry is there as it was.

        """
        parts = self._writable
        async with self._turn:
            kept = await parts.reader.get(id_)
            if kept is None:
                return None
            old = kept.entry
            code = old.code if old.code in NEVER_EVICTED else refused.code
            new = tidy(refused._replace(body=kept.body, code=code, received=old.received, peer=old.peer))
            if new[1:] == (old.code, old.detail, old.received, old.peer, old.event_type_id, old.event_type_version):
                return id_
            return await self._replace(parts, kept, new)

    async def _replace(self, parts: _Parts, kept: Kept, new: Refused) -> str:
        ledger, old = parts.ledger, kept.entry
        row, key = parts.reader.row_of(old.id), key_of(new.code, new.body)
        other, last = ledger.directory.find(key), to_microseconds(old.last_received)
        if other and other != row:
            located = ledger.directory.locate(other)
            await ledger.add((), {other: Again(located.arrivals + old.arrivals, max(located.last, last))})
            await ledger.drop(np.array([row]))
        else:
            sequence = ledger.next_sequence(self._now())
            entry = EntryLine(key, sequence, old.arrivals, last, new.code, new.event_type_id, new.peer)
            await ledger.replace(row, Fresh(entry, make_entry_line(new, entry)))
        parts.tidier.wake()
        return key.hex()

    async def _drop(self, parts: _Parts, rows: Rows) -> int:
        if len(rows):
            codes = parts.ledger.directory.count_codes(rows)
            await parts.ledger.drop(rows)
            self.statistics.dropped.update(codes)
            parts.tidier.wake()
        return len(rows)

    @property
    def _open(self) -> _Parts:
        if self._parts is None:
            msg = "the quarantine is not open"
            raise StoreClosed(msg)
        return self._parts

    @property
    def _writable(self) -> _Parts:
        if self._read_only:
            msg = "the quarantine is open for reading only"
            raise StoreUnavailable(msg)
        return self._open

    def _make_parts(self, ledger: Ledger) -> _Parts:
        limits = Limits(
            ledger,
            self.statistics,
            max_bytes=self._max_bytes,
            max_days=self._max_days,
            max_entries=self._max_entries,
        )
        tidier = Tidier(ledger, limits, self._turn, self._now)
        keeper = Keeper(ledger, limits, self.statistics, self._turn, tidier.wake, self._now)
        return _Parts(ledger, limits, keeper, QuarantineReader(ledger), tidier)

    def _now(self) -> int:
        return int(self._clock() * 1_000_000)
