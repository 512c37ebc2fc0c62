"""Sorted tables: ranges, merges, and the two things that find a digest in one."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.filesystem.rows import IDENTITY, Rows, as_rows, sort_rows
from backends.filesystem.run import (
    FILTER_MASKS,
    directory_bits,
    directory_size,
    filter_bits,
    make_directory,
    make_filter,
)
from backends.filesystem.sorted_table import find_disorder, lower_bound, merge_tables, upper_bound

WIDTH = 4
KEY_WIDTH = 3
# Few bytes, among them those that sort or pad in a special way: so that keys meet, and prefixes too.
few_bytes = st.sampled_from(b"\x00\x01a\xff").map(lambda byte: bytes([byte]))
raw_rows = st.lists(few_bytes, min_size=WIDTH, max_size=WIDTH).map(b"".join)
prefixes = st.lists(few_bytes, max_size=WIDTH).map(b"".join)
# Digests that fall into the same byte of a filter, and others.
digests = st.integers(0, 40).map(lambda number: (number * 0x0606_0606_0606_0606).to_bytes(8, "big"))
identity_rows = st.lists(
    st.tuples(digests, st.integers(0, 2)).map(lambda pair: pair[0] + pair[1].to_bytes(12, "big")),
    min_size=1,
    max_size=60,
)


def table_of(raw: list[bytes], width: int = WIDTH, key_width: int = KEY_WIDTH) -> Rows:
    """Return a sorted table."""
    return sort_rows(as_rows(b"".join(raw), width), key_width)


def listed(rows: Rows) -> list[bytes]:
    """Return the rows as they are, with zeros at their ends (which numpy takes away)."""
    width = rows.dtype.itemsize
    data = rows.tobytes()
    return [data[start : start + width] for start in range(0, len(data), width)]


def kept(raw: list[bytes]) -> list[bytes]:
    """Return what a table of these rows should hold: of each key the greatest row, in order."""
    return sorted({row[:KEY_WIDTH]: row for row in sorted(raw)}.values())


def in_parts(rows: Rows, size: int) -> Iterator[Rows]:
    """Cut a table into parts."""
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


@given(st.lists(raw_rows))
def test_sorting(raw: list[bytes]) -> None:
    """Rows sort as bytes, zeros and all, and of one key the greatest row is kept."""
    assert listed(table_of(raw)) == kept(raw)


@given(st.lists(raw_rows), prefixes)
def test_bounds(raw: list[bytes], prefix: bytes) -> None:
    """The bounds enclose exactly the rows that begin with a prefix."""
    table = table_of(raw)
    rows = listed(table)
    assert rows[lower_bound(table, prefix) : upper_bound(table, prefix)] == [
        row for row in rows if row.startswith(prefix)
    ]
    assert rows[: lower_bound(table, prefix)] == [row for row in rows if row < prefix]


@given(st.lists(st.lists(raw_rows), max_size=5), st.integers(1, 12))
def test_merging(raw: list[list[bytes]], chunk_rows: int) -> None:
    """Merged tables are the table of all their rows, and no part is larger than asked for."""
    tables = [table_of(part) for part in raw]
    parts = list(merge_tables(tables, KEY_WIDTH, chunk_rows=chunk_rows))
    assert [row for part in parts for row in listed(part)] == kept([row for part in raw for row in part])
    assert all(0 < len(part) <= max(chunk_rows, len(tables)) for part in parts)


@pytest.mark.parametrize(("raw", "wrong"), [(b"abcabdabe", None), (b"abcabbabe", 1), (b"abcabeabe", 2), (b"abc", None)])
def test_disorder(raw: bytes, wrong: int | None) -> None:
    """A row that is out of order or there twice is named."""
    assert find_disorder(as_rows(raw, 3), 3) == wrong
    assert find_disorder(as_rows(raw, 3), 2) == (1 if len(raw) > 3 else None)


@given(identity_rows, st.lists(digests), st.integers(1, 70))
def test_filter_in_parts(raw: list[bytes], absent: list[bytes], size: int) -> None:
    """A filter, made in whatever parts, never denies a digest that is there, and knows which bytes are empty."""
    table = table_of(raw, IDENTITY.width, IDENTITY.key_width)
    bits = filter_bits(len(table))
    data = b"".join(make_filter(in_parts(table, size), bits))
    assert len(data) == 1 << bits
    assert data == b"".join(make_filter([table], bits))

    def is_maybe_there(digest: bytes) -> bool:
        mask = FILTER_MASKS[digest[-1]]
        return data[int.from_bytes(digest[:4], "big") >> 32 - bits] & mask == mask

    assert all(is_maybe_there(row[:8]) for row in raw)
    for digest in absent:
        in_same_byte = [
            row
            for row in raw
            if int.from_bytes(row[:4], "big") >> 32 - bits == int.from_bytes(digest[:4], "big") >> 32 - bits
        ]
        assert in_same_byte or not is_maybe_there(digest)


@given(identity_rows, st.integers(1, 70))
def test_directory_in_parts(raw: list[bytes], size: int) -> None:
    """A directory, made in whatever parts, names the rows for each beginning of a digest."""
    table = table_of(raw, IDENTITY.width, IDENTITY.key_width)
    bits = directory_bits(len(table))
    data = b"".join(make_directory(in_parts(table, size), bits))
    assert len(data) == directory_size(bits)
    bounds = np.frombuffer(data, dtype="<u8").tolist()
    flat = table.tobytes()
    for entry, (start, stop) in enumerate(pairwise(bounds)):
        expected = [row for row in listed(table) if int.from_bytes(row[:4], "big") >> 32 - bits == entry]
        assert flat[start:stop] == b"".join(expected)


def test_filter_denies() -> None:
    """A filter denies 24 of 25 digests that are not there."""
    random = np.random.default_rng(1)
    count = 1 << 14
    raw = np.concatenate(
        [random.integers(0, 256, (count, 8), dtype=np.uint8), np.zeros((count, 12), dtype=np.uint8)], axis=1
    )
    table = sort_rows(as_rows(raw, IDENTITY.width), IDENTITY.key_width)
    bits = filter_bits(count)
    data = b"".join(make_filter([table], bits))
    others = random.integers(0, 256, (20_000, 8), dtype=np.uint8)
    passed = 0
    for digest in others:
        mask = FILTER_MASKS[digest[7]]
        passed += data[int.from_bytes(digest[:4].tobytes(), "big") >> 32 - bits] & mask == mask
    assert passed / len(others) < 0.04
