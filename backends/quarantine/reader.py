"""Reading the quarantine: lists, groups, and single entries with their bodies."""

import asyncio
import re
from collections.abc import Sequence
from typing import Final

import numpy as np

from backends.errors import StoreUnavailable
from backends.log import Place
from backends.quarantine.directory import Located
from backends.quarantine.entries import KEY_BYTES, Entry, Filter, Group, Kept, Page, to_moment
from backends.quarantine.key_table import Rows
from backends.quarantine.ledger import Ledger
from backends.quarantine.lines import HEAD_BYTES, make_entry, read_head, read_kept

EVERYTHING: Final = Filter()
_CURSOR: Final = re.compile(r"([0-9]{1,18})-([0-9]{1,18})")
"""What is left of the list: the sequences between two, both exclusive."""
_ATTEMPTS: Final = 5
_DAMAGED: Final = "(its line on disk is damaged)"


class InvalidCursor(ValueError):
    """A cursor that no list gave."""


class QuarantineReader:
    """Finds entries. A read may run beside a compaction that moves lines: then it looks again."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._directory = ledger.directory

    def row_of(self, id_: str) -> int:
        """Return the row of an entry, or 0 when there is none of this id, or it is no id."""
        try:
            key = bytes.fromhex(id_)
        except ValueError:
            return 0
        return self._directory.find(key) if len(key) == KEY_BYTES else 0

    def select(self, condition: Filter) -> Rows:
        """Return the rows of all entries that fit a filter."""
        return self._directory.select(condition, after=0, before=self._ledger.last_sequence + 1)

    async def get(self, id_: str) -> Kept | None:
        """Return an entry with its body, or None.

        Raises:
            StoreUnavailable: it can't be read, or its line is damaged.

        """
        for attempt in range(1, _ATTEMPTS + 1):
            row = self.row_of(id_)
            if not row:
                return None
            located = self._directory.locate(row)
            try:
                line = await asyncio.to_thread(self._ledger.log.read, located.place)
            except StoreUnavailable:
                if attempt == _ATTEMPTS:
                    raise
                continue
            if kept := read_kept(line):
                return kept._replace(entry=_up_to_date(kept.entry, located))
        msg = f"the line of {id_} is damaged"
        raise StoreUnavailable(msg)

    async def find(self, condition: Filter, *, limit: int, cursor: str | None, oldest_first: bool) -> Page:
        """Return a part of the list; see ``Quarantine.find``."""
        after, before = (0, self._ledger.last_sequence + 1) if cursor is None else _read_cursor(cursor)
        selected = self._directory.select(condition, after=after, before=before)
        rows = self._directory.order(selected, limit + 1, oldest_first=oldest_first)
        next_cursor = None
        if len(rows) > limit:
            edge = int(self._directory.sequence[rows[limit - 1]])
            next_cursor = f"{edge}-{before}" if oldest_first else f"{after}-{edge}"
        return Page(await self._read_entries(rows[:limit]), next_cursor)

    async def groups(self) -> list[Group]:
        """Return how much there is by code and event type, the most entries first."""
        directory, rows = self._directory, self._directory.rows()
        if not len(rows):
            return []
        sums = await asyncio.to_thread(
            _sum_groups,
            directory.group_numbers(rows, with_peer=False),
            directory.arrivals[rows],
            directory.length[rows],
        )
        groups = [
            Group(directory.codes.name(number >> 16) or "", directory.event_types.name(number & 0xFFFF), *others)
            for number, *others in sums
        ]
        return sorted(groups, key=lambda group: (-group.entries, group.code, group.event_type_id or ""))

    async def _read_entries(self, rows: Rows) -> list[Entry]:
        entries: dict[bytes, Entry] = {}
        keys = [self._directory.key(row) for row in rows.tolist()]
        missing: Sequence[bytes] = keys
        for _ in range(_ATTEMPTS):
            located = [self._directory.locate(row) for key in missing if (row := self._directory.find(key))]
            heads = await asyncio.to_thread(self._read_heads, [one.place for one in located])
            for one, head in zip(located, heads, strict=True):
                if head is not None:
                    entries[one.key] = self._make_entry(one, head)
            missing = [one.key for one in located if one.key not in entries]
            if not missing:
                return [entries[key] for key in keys if key in entries]
        msg = "the quarantine's files can't be read"
        raise StoreUnavailable(msg)

    def _read_heads(self, places: Sequence[Place]) -> list[bytes | None]:
        heads: list[bytes | None] = []
        for place in places:
            try:
                heads.append(self._ledger.log.read(place._replace(length=min(place.length, HEAD_BYTES))))
            except StoreUnavailable:
                heads.append(None)
        return heads

    def _make_entry(self, located: Located, head: bytes) -> Entry:
        try:
            return _up_to_date(make_entry(read_head(head)), located)
        except (ValueError, KeyError):
            moment = to_moment(located.sequence)
            entry = Entry(located.key.hex(), "", _DAMAGED, None, None, None, moment, moment, 1, 0)
            return _up_to_date(entry, located)


def _up_to_date(entry: Entry, located: Located) -> Entry:
    return entry._replace(arrivals=located.arrivals, last_received=to_moment(located.last))


def _read_cursor(cursor: str) -> tuple[int, int]:
    match = _CURSOR.fullmatch(cursor)
    if match is None:
        msg = "it is no cursor of this list"
        raise InvalidCursor(msg)
    return int(match[1]), int(match[2])


def _sum_groups(numbers: Rows, counts: np.ndarray, lengths: np.ndarray) -> list[tuple[int, int, int, int]]:
    """Return for each group its number, its entries, their counts and their bytes."""
    groups, positions, entries = np.unique(numbers, return_inverse=True, return_counts=True)
    sums = (np.bincount(positions, column, len(groups)).astype(np.int64) for column in (counts, lengths + 1))
    return list(zip(groups.tolist(), entries.tolist(), *(column.tolist() for column in sums), strict=True))
