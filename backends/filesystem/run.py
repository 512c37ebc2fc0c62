"""A run: every table for a number of events, in one immutable file.

::

    identity rows | filter | directory | rows by system | rows by type | rows by time

The filter has one or two bytes for each identity row. The first bits of a digest choose a byte, its last byte two bits
that are set there: so one look tells of 24 in 25 digests that are not in the run. The directory says where in the file
the rows begin whose digest begins with a number of bits (8 bytes each, little-endian). A run is looked up in the same
way whether it is mapped from its file or still in memory, since the bytes are the same.
"""

import mmap
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from backends.disk import Disk
from backends.filesystem.rows import (
    DIGEST_WIDTH,
    FORMATS,
    IDENTITY,
    PLACE,
    Bytes,
    Rows,
    as_bytes,
)
from backends.log import Place

_ROWS_FOR_ENTRY: Final = 8
_ENTRY: Final = np.dtype("<u8")
_PREFIX_BITS: Final = 32
_WRITE_BYTES: Final = 1024 * 1024


FILTER_MASKS: Final = tuple(1 << (number & 7) | 1 << ((number & 7) + 1 + number // 8 % 7) % 8 for number in range(256))
"""The two bits of a filter's byte that stand for the last byte of a digest."""
_MASKS: Final = np.array(FILTER_MASKS, dtype=np.uint8)


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

    __slots__ = ("_data", "_directory", "_directory_bits", "description", "filter", "tables")

    def __init__(self, description: RunDescription, data: mmap.mmap | bytearray) -> None:
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
                bits = filter_bits(len(self.tables[table.name]))
                self.filter = (data, start, _PREFIX_BITS - bits)
                """For ``Index.find_places``: where the filter is and begins, and the shift that makes the number of a
                byte of the first 32 bits of a digest."""
                start += 1 << bits
                self._directory_bits = directory_bits(len(self.tables[table.name]))
                stop = start + directory_size(self._directory_bits)
                self._directory = view[start:stop].cast("Q")
                start = stop

    @property
    def row_count(self) -> int:
        """Number of events."""
        return self.description.rows[IDENTITY.name]

    def find(self, digest: bytes) -> list[Place]:
        """Return the places of the events with this digest, in any order."""
        entry = int.from_bytes(digest[:4], "big") >> _PREFIX_BITS - self._directory_bits
        rows = self._data[self._directory[entry] : self._directory[entry + 1]]
        return [
            Place._make(PLACE.unpack_from(rows, start + DIGEST_WIDTH))
            for start in range(0, len(rows), IDENTITY.width)
            if rows.startswith(digest, start)
        ]

    def parts(self) -> Iterator[bytes]:
        """Yield the bytes of the file."""
        for start in range(0, len(self._data), _WRITE_BYTES):
            yield bytes(self._data[start : start + _WRITE_BYTES])


def find_candidates(
    lookups: Iterable[tuple[mmap.mmap | bytearray, int, int, Run]], digests: Sequence[bytes]
) -> Iterator[tuple[int, Run]]:
    """Yield the numbers of digests with the runs that may have them: all that do, and one in 25 of the others.

    Args:
        lookups: for each run its ``filter`` and the run.
        digests: any number.

    """
    packed = np.frombuffer(b"".join(digests), dtype=np.uint8).reshape(-1, DIGEST_WIDTH)
    prefixes = _prefixes_of(packed)
    masks = _MASKS[packed[:, DIGEST_WIDTH - 1]]
    for data, start, shift, run in lookups:
        marks = np.frombuffer(data, dtype=np.uint8, offset=start)[prefixes >> shift]
        for number in np.flatnonzero(marks & masks == masks).tolist():
            yield number, run


def filter_bits(rows: int) -> int:
    """Return how many bits of a digest choose a byte in the filter of so many rows."""
    return rows.bit_length()


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
    identity_rows = rows[IDENTITY.name]
    return tables + (1 << filter_bits(identity_rows)) + directory_size(directory_bits(identity_rows))


def make_filter(parts: Iterable[Rows], bits: int) -> Iterator[bytes]:
    """Make the filter of sorted identity rows.

    Args:
        parts: the rows, in any number of parts.
        bits: that choose a byte.

    Yields:
        Its bytes, in parts.

    """
    start, last = 0, np.uint8(0)
    for rows in parts:
        chosen = _prefixes(rows) >> (_PREFIX_BITS - bits)
        groups = np.append(0, np.flatnonzero(chosen[1:] != chosen[:-1]) + 1)
        part = np.zeros(int(chosen[-1]) + 1 - start, dtype=np.uint8)
        part[chosen[groups] - start] = np.bitwise_or.reduceat(_MASKS[as_bytes(rows)[:, DIGEST_WIDTH - 1]], groups)
        part[0] |= last
        # The next part may set bits of the last byte.
        yield part[:-1].tobytes()
        start, last = int(chosen[-1]), part[-1]
    yield bytes([last]) + bytes((1 << bits) - start - 1)


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
        entries = _prefixes(rows) >> (_PREFIX_BITS - bits)
        stop = int(entries[-1]) + 1
        starts = done + np.searchsorted(entries, np.arange(entry, stop))
        yield (starts * IDENTITY.width).astype(_ENTRY).tobytes()
        entry, done = stop, done + len(rows)
    yield np.full((1 << bits) + 1 - entry, done * IDENTITY.width, dtype=_ENTRY).tobytes()


def _prefixes(rows: Rows) -> npt.NDArray[np.int64]:
    return _prefixes_of(as_bytes(rows))


def _prefixes_of(digests: Bytes) -> npt.NDArray[np.int64]:
    """Return the first 32 bits of each digest, whatever stands behind it."""
    return np.ascontiguousarray(digests[:, :4]).view(">u4").ravel().astype(np.int64)


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
    return Run(description, disk.map(path, description.size))
