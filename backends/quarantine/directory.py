"""Where each entry of the quarantine stands, in memory: about 70 bytes an entry, whatever the size of its body.

A million Python objects would take some 300 MB; columns of numbers and a hash table of row numbers take 70. The columns
have their full length from the start, but the kernel gives memory only for the part that is used.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from backends.log import Place
from backends.quarantine.columns import EntryColumns
from backends.quarantine.entries import Filter
from backends.quarantine.key_table import KeyTable, Rows
from backends.quarantine.names import Names

_COLUMNS: Final = {
    **dict.fromkeys(("segment", "offset", "length", "arrivals", "again"), np.uint32),
    **dict.fromkeys(("sequence", "last"), np.int64),
    **dict.fromkeys(("code", "event_type", "peer"), np.uint16),
}
_MAX_COUNT: Final = (1 << 32) - 1
_GROWTH: Final = 8


class Located(NamedTuple):
    """What the directory knows of an entry."""

    key: bytes
    sequence: int
    place: Place
    arrivals: int
    last: int


class Directory:
    """All entries, by key and by place. Not thread-safe: it belongs to one event loop, or to the recovery before it.

    A row number stands for an entry as long as it is here; 0 is none.

    Args:
        capacity: how many entries there is room for; more come in too, but then everything is copied.

    """

    segment: NDArray[np.uint32]
    offset: NDArray[np.uint32]
    length: NDArray[np.uint32]
    sequence: NDArray[np.int64]
    last: NDArray[np.int64]
    arrivals: NDArray[np.uint32]
    again: NDArray[np.uint32]
    """The segment of the newest ``again`` line that still counts; 0 when the entry's own line says it all."""
    code: NDArray[np.uint16]
    event_type: NDArray[np.uint16]
    peer: NDArray[np.uint16]

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.entries = 0
        self.bytes = 0
        """Bytes of all entries' lines, with their line ends."""
        self.codes, self.event_types, self.peers = Names(), Names(), Names()
        for name, kind in _COLUMNS.items():
            setattr(self, name, np.zeros(capacity + 1, kind))
        self._keys = KeyTable(capacity)
        self._top = 0
        self._free = 0

    def find(self, key: bytes) -> int:
        """Return the row of an entry, or 0."""
        return self._keys.find(key)

    def find_life(self, key: bytes, sequence: int) -> int:
        """Return the row of an entry if this is its sequence, or 0."""
        row = self._keys.find(key)
        return row if row and self.sequence[row] == sequence else 0

    def insert(self, key: bytes, sequence: int, place: Place, *, arrivals: int, last: int) -> int:
        """Add an entry that is not here. Returns its row."""
        row = self._new_row()
        self._keys.add(key, row)
        self.sequence[row], self.arrivals[row], self.last[row], self.again[row] = sequence, arrivals, last, 0
        self.move(row, place)
        self.entries += 1
        self.bytes += 1
        return row

    def insert_many(self, entries: EntryColumns, segment: int, offsets: Rows) -> bool:
        """Add entries whose lines stand in one segment, all at once.

        Returns:
            False, and nothing has changed, if one of them is here, or is there twice.

        """
        count = len(offsets)
        if len(np.unique(entries.low)) < count or self._keys.has_any(entries.high, entries.low):
            return False
        self._reserve(self._top + count)
        rows = np.arange(self._top + 1, self._top + 1 + count)
        self._top += count
        self._keys.add_many(entries.high, entries.low, rows)
        self.segment[rows], self.offset[rows], self.length[rows] = segment, offsets, entries.length
        self.sequence[rows], self.last[rows], self.arrivals[rows] = entries.sequence, entries.last, entries.arrivals
        self.again[rows] = 0
        for column, names, found in (
            (self.code, self.codes, entries.codes),
            (self.event_type, self.event_types, entries.event_types),
            (self.peer, self.peers, entries.peers),
        ):
            self._recycle(names, found.values, column)
            column[rows] = np.array([names.intern(name) for name in found.values], np.uint16)[found.positions]
        self.entries += count
        self.bytes += int(entries.length.sum()) + count
        return True

    def name(self, row: int, code: str, event_type_id: str | None, peer: str | None) -> None:
        """Say to which groups an entry belongs."""
        self.code[row] = self._intern(self.codes, code, self.code)
        self.event_type[row] = self._intern(self.event_types, event_type_id, self.event_type)
        self.peer[row] = self._intern(self.peers, peer, self.peer)

    def recount(self, row: int, arrivals: int, last: int, *, again: int) -> None:
        """Say how often an entry has come, when it came last, and in which segment an ``again`` line says so (or 0)."""
        self.arrivals[row], self.last[row], self.again[row] = min(arrivals, _MAX_COUNT), last, again

    def move(self, row: int, place: Place) -> None:
        """Say where an entry's line stands."""
        self.bytes += place.length - int(self.length[row])
        self.segment[row], self.offset[row], self.length[row] = place

    def remove(self, row: int) -> None:
        """Take an entry out; its row number may be given to another one."""
        self._keys.remove(self.key(row))
        self.entries -= 1
        self.bytes -= int(self.length[row]) + 1
        self.segment[row] = self.length[row] = self.again[row] = 0
        self.offset[row], self._free = self._free, row
        self.codes.uses_ended += 1
        self.event_types.uses_ended += 1
        self.peers.uses_ended += 1

    def key(self, row: int) -> bytes:
        """Return the key of an entry."""
        return self._keys.key(row)

    def locate(self, row: int) -> Located:
        """Return what is known of an entry."""
        return Located(
            self.key(row), int(self.sequence[row]), self.place(row), int(self.arrivals[row]), int(self.last[row])
        )

    def place(self, row: int) -> Place:
        """Return where an entry's line stands."""
        return Place(int(self.segment[row]), int(self.offset[row]), int(self.length[row]))

    def rows(self) -> Rows:
        """Return the rows of all entries, in no particular order."""
        return np.flatnonzero(self.segment[: self._top + 1])

    def select(self, condition: Filter, *, after: int, before: int) -> Rows:
        """Return the rows that fit a filter, with sequences between two (both exclusive), in no particular order."""
        rows = self.rows()
        for names, column, name in (
            (self.codes, self.code, condition.code),
            (self.event_types, self.event_type, condition.event_type_id),
            (self.peers, self.peer, condition.peer),
        ):
            if name is not None:
                number = names.find(name)
                rows = rows[column[rows] == number] if number is not None else rows[:0]
        sequences = self.sequence[rows]
        return rows[(sequences > after) & (sequences < before)]

    def order(self, rows: Rows, limit: int, *, oldest_first: bool) -> Rows:
        """Return the first rows in the order of their sequences, oldest or newest first."""
        sequences = self.sequence[rows] if oldest_first else -self.sequence[rows]
        if limit < len(rows):
            first = np.argpartition(sequences, limit)[:limit]
            rows, sequences = rows[first], sequences[first]
        return rows[np.argsort(sequences)]

    def count_codes(self, rows: Rows) -> dict[str, int]:
        """Return how many rows have each code."""
        numbers, counts = np.unique(self.code[rows], return_counts=True)
        pairs = zip(numbers.tolist(), counts.tolist(), strict=True)
        return {self.codes.name(number) or "": count for number, count in pairs}

    def group_numbers(self, rows: Rows, *, with_peer: bool) -> NDArray[np.int64]:
        """Return for each row a number that stands for (code, event type), and peer if asked for."""
        numbers = self.code[rows].astype(np.int64) << 16 | self.event_type[rows]
        return numbers << 16 | self.peer[rows] if with_peer else numbers

    def _new_row(self) -> int:
        if self._free:
            row, self._free = self._free, int(self.offset[self._free])
            return row
        self._reserve(self._top + 1)
        self._top += 1
        return self._top

    def _reserve(self, rows: int) -> None:
        """Make the columns longer if there is no room for so many rows.

        A recovery may need it: entries whose drop stands behind newer ones are here for a while.
        """
        if rows <= self.capacity:
            return
        capacity = max(rows, self.capacity + self.capacity // _GROWTH)
        for name, kind in _COLUMNS.items():
            setattr(self, name, np.concatenate((getattr(self, name), np.zeros(capacity - self.capacity, kind))))
        self._keys.grow(capacity)
        self.capacity = capacity

    def _intern(self, names: Names, name: str | None, column: NDArray[np.uint16]) -> int:
        self._recycle(names, (name,), column)
        return names.intern(name)

    def _recycle(self, names: Names, wanted: Sequence[str | None], column: NDArray[np.uint16]) -> None:
        """Let names that are no longer in use give their numbers to others, if that is worth a look."""
        if names.should_recycle(wanted):
            names.recycle(np.unique(column[self.rows()]).tolist())
