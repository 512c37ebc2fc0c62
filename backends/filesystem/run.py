"""A run: every table for a number of events, in one immutable file.

::

    identity rows | directory of the identity rows | rows by system | rows by type | rows by time

The directory says where in the file the rows begin whose digest begins with a number of bits (8 bytes each,
little-endian), so that looking for a digest reads one entry and a handful of rows. A run is looked up in the same way
whether it is mapped from its file or still in memory, since the bytes are the same.
"""

import mmap
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from backends.disk import Disk
from backends.filesystem.rows import (
    DIGEST_WIDTH,
    FORMATS,
    IDENTITY,
    PLACE,
    Rows,
    as_bytes,
)
from backends.log import Place

_ROWS_FOR_ENTRY: Final = 4
_ENTRY: Final = np.dtype("<u8")
_PREFIX_BITS: Final = 32
_WRITE_BYTES: Final = 1024 * 1024


class RunDescription(NamedTuple):
    """What the manifest says of a run."""

    name: str
    size: int
    crc32: int
    rows: dict[str, int]
    """The number of rows of each table."""


class Run:
    """The tables of a number of events.

    Args:
        description: what it should hold; its size is that of the data.
        data: the bytes of the file, mapped or in memory.

    """

    __slots__ = ("_data", "description", "lookup", "tables")

    def __init__(self, description: RunDescription, data: mmap.mmap | bytes) -> None:
        self.description = description
        self._data = data
        view = memoryview(data)
        self.tables: dict[str, Rows] = {}
        start = 0
        for table in FORMATS:
            stop = start + description.rows[table.name] * table.width
            self.tables[table.name] = np.frombuffer(view[start:stop], dtype=f"S{table.width}")
            start = stop
            if table is IDENTITY:
                bits = directory_bits(description.rows[table.name])
                start = stop + directory_size(bits)
                directory = view[stop:start].cast("Q")
        self.lookup: Lookup = (data.find, directory, _PREFIX_BITS - bits)
        """For ``Index.find_places``: ``find(digest, start, stop)``, the directory, and the shift that makes the first
        32 bits of a digest the number of an entry."""

    @property
    def row_count(self) -> int:
        """Number of events."""
        return self.description.rows[IDENTITY.name]

    def find(self, digest: bytes) -> list[Place]:
        """Return the places of the events with this digest, in any order."""
        _, directory, shift = self.lookup
        bucket = int.from_bytes(digest[:4], "big") >> shift
        rows = self._data[directory[bucket] : directory[bucket + 1]]
        return [
            Place._make(PLACE.unpack_from(rows, start + DIGEST_WIDTH))
            for start in range(0, len(rows), IDENTITY.width)
            if rows.startswith(digest, start)
        ]

    def parts(self) -> Iterator[bytes]:
        """Yield the bytes of the file."""
        for start in range(0, len(self._data), _WRITE_BYTES):
            yield self._data[start : start + _WRITE_BYTES]


Lookup = tuple[Callable[[bytes, int, int], int], memoryview, int]


def directory_bits(rows: int) -> int:
    """Return how many bits of a digest the directory of so many rows resolves."""
    return (rows // _ROWS_FOR_ENTRY).bit_length()


def directory_size(bits: int) -> int:
    """Return the bytes of a directory that resolves so many bits."""
    return ((1 << bits) + 1) * _ENTRY.itemsize


def expected_size(rows: dict[str, int]) -> int:
    """Return the size of the file of a run.

    Args:
        rows: the number of rows of each table.

    """
    tables = sum(rows[table.name] * table.width for table in FORMATS)
    return tables + directory_size(directory_bits(rows[IDENTITY.name]))


def make_directory(parts: Iterable[Rows], bits: int) -> Iterator[bytes]:
    """Make the directory of sorted identity rows that stand at the beginning of a file.

    Args:
        parts: the rows, in any number of parts.
        bits: that it resolves.

    Yields:
        Its bytes, in parts.

    """
    entry, done = 0, 0
    for rows in parts:
        prefixes = np.ascontiguousarray(as_bytes(rows)[:, :4]).view(">u4").ravel().astype(np.int64)
        entries = prefixes >> (_PREFIX_BITS - bits)
        stop = int(entries[-1]) + 1
        starts = done + np.searchsorted(entries, np.arange(entry, stop))
        yield (starts * IDENTITY.width).astype(_ENTRY).tobytes()
        entry, done = stop, done + len(rows)
    yield np.full((1 << bits) + 1 - entry, done * IDENTITY.width, dtype=_ENTRY).tobytes()


def open_run(disk: Disk, directory: Path, description: RunDescription) -> Run:
    """Map the file of a run.

    Raises:
        ValueError: the file has not the size that its description says.
        OSError: it is missing or can't be mapped.

    """
    path = directory / description.name
    if not disk.size(path) == description.size == expected_size(description.rows):
        msg = f"{path} has not the size that the manifest says"
        raise ValueError(msg)
    descriptor = disk.open(path)
    try:
        return Run(description, mmap.mmap(descriptor, description.size, access=mmap.ACCESS_READ))
    finally:
        disk.close(descriptor)
