"""Sorted tables of fixed-width rows: finding a range in one, and making one of several.

A table is an array of byte strings in ascending order, in memory or mapped from a file; no two rows have one key.
Nothing here knows what the bytes mean.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from backends.filesystem.rows import Rows, keys_of, sort_rows

MERGE_ROWS: Final = 16_384
"""Rows that a merge holds in memory at a time; numpy orders them in about a quarter of a millisecond."""


def lower_bound(rows: Rows, key: bytes) -> int:
    """Return the number of rows before ``key``: those that are less, or agree with it and are shorter.

    Args:
        rows: a table.
        key: at most as wide as a row; a shorter one stands before all rows that begin with it.

    """
    return int(np.searchsorted(rows, np.array(key, dtype=rows.dtype), side="left"))


def upper_bound(rows: Rows, key: bytes) -> int:
    """Return the number of rows before the first one that is greater than ``key`` and does not begin with it."""
    last = key.ljust(rows.dtype.itemsize, b"\xff")
    return int(np.searchsorted(rows, np.array(last, dtype=rows.dtype), side="right"))


def merge_tables(tables: Sequence[Rows], key_width: int, *, chunk_rows: int = MERGE_ROWS) -> Iterator[Rows]:
    """Merge tables into one, in pieces.

    Args:
        tables: of one row width.
        key_width: of rows that agree in so many bytes only the greatest is kept.
        chunk_rows: about as many rows are in memory at a time.

    Yields:
        The rows of the merged table, in order, in parts of at most ``chunk_rows`` (or one row for each table).

    """
    rest = [table for table in tables if len(table)]
    while rest:
        # Tables that follow one another, as those by time mostly do, give a whole part from one of them.
        counts = _count_below(rest, chunk_rows, key_width)
        if sum(counts) > chunk_rows:
            counts = _count_below(rest, max(1, chunk_rows // len(rest)), key_width)
        yield sort_rows(np.concatenate([table[:count] for table, count in zip(rest, counts, strict=True)]), key_width)
        rest = [table[count:] for table, count in zip(rest, counts, strict=True) if count < len(table)]


def _count_below(tables: Sequence[Rows], block: int, key_width: int) -> list[int]:
    """Return of how many rows, at most ``block`` in each table, it is certain that they come before all others."""
    # A row beyond a block is greater than the block's last row. All rows of one key count or none does.
    bound = min(table[min(block, len(table)) - 1 :][:1].tobytes() for table in tables)[:key_width]
    return [upper_bound(table[:block], bound) for table in tables]


def find_disorder(rows: Rows, key_width: int) -> int | None:
    """Return the number of the first row whose key is not greater than the one before it, or None.

    Args:
        rows: a part of a table.
        key_width: bytes of the key.

    """
    keys = keys_of(rows, key_width)
    wrong = np.flatnonzero(keys[1:] <= keys[:-1])
    return int(wrong[0]) + 1 if len(wrong) else None
