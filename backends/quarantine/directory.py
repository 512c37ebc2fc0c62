"""Where each entry of the quarantine stands, in memory: about 70 bytes an entry, whatever the size of its body.

A million Python objects would take some 300 MB; columns of numbers and a hash table of row numbers take 70. The columns
have their full length from the start, but the kernel gives memory only for the part that is used.
"""

import secrets
from collections.abc import Iterable
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from backends.log import Place
from backends.quarantine.entries import Filter
from backends.quarantine.names import Names

Rows = NDArray[np.int64]

_WORD: Final = (1 << 64) - 1


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
        capacity: how many entries there is room for.

    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.entries = 0
        self.bytes = 0
        """Bytes of all entries' lines, with their line ends."""
        self.codes, self.event_types, self.peers = Names(), Names(), Names()
        length = capacity + 1
        self.high, self.low = np.zeros(length, np.uint64), np.zeros(length, np.uint64)
        self.segment, self.offset, self.length = (np.zeros(length, np.uint32) for _ in range(3))
        self.sequence, self.last = np.zeros(length, np.int64), np.zeros(length, np.int64)
        self.arrivals = np.zeros(length, np.uint32)
        self.again = np.zeros(length, np.uint32)
        """The segment of the newest ``again`` line that still counts; 0 when the entry's own line says it all."""
        self.code, self.event_type, self.peer = (np.zeros(length, np.uint16) for _ in range(3))
        # Linear probing, at most half full. The factor keeps a sender from choosing where his entries go.
        bits = max(4, (2 * length - 1).bit_length())
        self._slots = np.zeros(1 << bits, np.uint32)
        self._mask, self._shift = (1 << bits) - 1, 64 - bits
        self._factor = secrets.randbits(64) | 1
        self._top = 0
        self._free = 0

    def find(self, key: bytes) -> int:
        """Return the row of an entry, or 0."""
        return int(self._slots[self._slot_of(key)])

    def insert(self, key: bytes, sequence: int, place: Place, *, arrivals: int, last: int) -> int:
        """Add an entry that is not here; there must be room. Returns its row."""
        row = self._new_row()
        self.high[row], self.low[row] = int.from_bytes(key[:8]), int.from_bytes(key[8:])
        self._slots[self._slot_of(key)] = row
        self.sequence[row], self.arrivals[row], self.last[row], self.again[row] = sequence, arrivals, last, 0
        self.move(row, place)
        self.entries += 1
        self.bytes += 1
        return row

    def name(self, row: int, code: str, event_type_id: str | None, peer: str | None) -> None:
        """Say to which groups an entry belongs."""
        self.code[row] = self._intern(self.codes, code, self.code)
        self.event_type[row] = self._intern(self.event_types, event_type_id, self.event_type)
        self.peer[row] = self._intern(self.peers, peer, self.peer)

    def move(self, row: int, place: Place) -> None:
        """Say where an entry's line stands."""
        self.bytes += place.length - int(self.length[row])
        self.segment[row], self.offset[row], self.length[row] = place

    def remove(self, row: int) -> None:
        """Take an entry out; its row number may be given to another one."""
        self._unlink(self._slot_of(self.key(row)))
        self.entries -= 1
        self.bytes -= int(self.length[row]) + 1
        self.segment[row] = self.length[row] = self.again[row] = 0
        self.offset[row], self._free = self._free, row

    def key(self, row: int) -> bytes:
        """Return the key of an entry."""
        return int(self.high[row]).to_bytes(8) + int(self.low[row]).to_bytes(8)

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
        if self._top == self.capacity:
            msg = "the directory is full"
            raise OverflowError(msg)
        self._top += 1
        return self._top

    def _home(self, low: int) -> int:
        return (low * self._factor & _WORD) >> self._shift

    def _slot_of(self, key: bytes) -> int:
        """Return the slot that holds a key, or the free one where it belongs."""
        high, low = int.from_bytes(key[:8]), int.from_bytes(key[8:])
        slot = self._home(low)
        while (row := self._slots[slot]) and not (self.low[row] == low and self.high[row] == high):
            slot = slot + 1 & self._mask
        return slot

    def _unlink(self, gap: int) -> None:
        """Empty a slot, and move those behind it up, so that a search never ends too early."""
        slot = gap
        while row := self._slots[slot := slot + 1 & self._mask]:
            home = self._home(int(self.low[row]))
            if (slot - home & self._mask) >= (slot - gap & self._mask):
                self._slots[gap], gap = row, slot
        self._slots[gap] = 0

    def _intern(self, names: Names, name: str | None, column: NDArray[np.uint16]) -> int:
        if names.is_full_for(name):
            used: Iterable[int] = np.unique(column[self.rows()]).tolist()
            names.recycle(used)
        return names.intern(name)
