"""Which row an entry has: a hash table of numbers, since a dictionary of a million keys would take 150 MB."""

import secrets
from typing import Final

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]
Words = NDArray[np.uint64]

_WORD: Final = (1 << 64) - 1


class KeyTable:
    """Keys of 16 bytes and their rows; row 0 is none.

    Linear probing, at most half full. The factor keeps a sender from choosing where his entries go.

    Args:
        rows: how many rows there are; more after ``grow``.

    """

    def __init__(self, rows: int) -> None:
        self._high, self._low = np.zeros(rows + 1, np.uint64), np.zeros(rows + 1, np.uint64)
        self._factor = secrets.randbits(64) | 1
        self._make_slots(rows)

    def key(self, row: int) -> bytes:
        """Return the key of a row."""
        return int(self._high[row]).to_bytes(8) + int(self._low[row]).to_bytes(8)

    def find(self, key: bytes) -> int:
        """Return the row of a key, or 0."""
        return int(self._slots[self._slot_of(key)])

    def add(self, key: bytes, row: int) -> None:
        """Give a row to a key that has none."""
        self._slots[self._slot_of(key)] = row
        self._high[row], self._low[row] = int.from_bytes(key[:8]), int.from_bytes(key[8:])

    def has_any(self, high: Words, low: Words) -> bool:
        """Tell whether any of many keys has a row."""
        slots = self._homes(low)
        while len(slots):
            rows = self._slots[slots]
            taken = rows > 0
            rows, high, low, slots = rows[taken], high[taken], low[taken], slots[taken]
            if np.any((self._low[rows] == low) & (self._high[rows] == high)):
                return True
            slots = slots + 1 & self._mask
        return False

    def add_many(self, high: Words, low: Words, rows: Rows) -> None:
        """Give rows to keys that have none and are all different."""
        self._high[rows], self._low[rows] = high, low
        self._place(rows)

    def remove(self, key: bytes) -> None:
        """Take the row from a key that has one; those behind it move up, so that a search never ends too early."""
        gap = slot = self._slot_of(key)
        while row := self._slots[slot := slot + 1 & self._mask]:
            home = self._home(int(self._low[row]))
            if (slot - home & self._mask) >= (slot - gap & self._mask):
                self._slots[gap], gap = row, slot
        self._slots[gap] = 0

    def grow(self, rows: int) -> None:
        """Make room for more rows."""
        more = np.zeros(rows + 1 - len(self._low), np.uint64)
        self._high, self._low = np.concatenate((self._high, more)), np.concatenate((self._low, more))
        used = self._slots[self._slots > 0].astype(np.int64)
        self._make_slots(rows)
        self._place(used)

    def _make_slots(self, rows: int) -> None:
        bits = max(4, (2 * rows + 1).bit_length())
        self._slots = np.zeros(1 << bits, np.uint32)
        self._mask, self._shift = (1 << bits) - 1, 64 - bits

    def _place(self, rows: Rows) -> None:
        """Put rows into the first free slots behind their homes, all at once: of those that meet, one stays."""
        slots = self._homes(self._low[rows])
        while len(rows):
            free = self._slots[slots] == 0
            self._slots[slots[free]] = rows[free]
            left = self._slots[slots] != rows
            rows, slots = rows[left], slots[left] + 1 & self._mask

    def _home(self, low: int) -> int:
        return (low * self._factor & _WORD) >> self._shift

    def _homes(self, low: Words) -> Rows:
        return (low * np.uint64(self._factor) >> np.uint64(self._shift)).astype(np.int64)

    def _slot_of(self, key: bytes) -> int:
        """Return the slot that holds a key, or the free one where it belongs."""
        high, low = int.from_bytes(key[:8]), int.from_bytes(key[8:])
        slot = self._home(low)
        while (row := self._slots[slot]) and not (self._low[row] == low and self._high[row] == high):
            slot = slot + 1 & self._mask
        return slot
