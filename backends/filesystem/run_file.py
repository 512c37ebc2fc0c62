"""Writing the file of a run: from memory, or from several runs."""

import contextlib
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from backends.disk import Disk
from backends.filesystem.memory_table import MemoryTable
from backends.filesystem.rows import FORMATS, IDENTITY, Rows, as_rows, make_rows, sort_rows
from backends.filesystem.run import Run, RunDescription, directory_bits, filter_bits, make_directory, make_filter
from backends.filesystem.sorted_table import find_disorder, merge_tables

_SYNC_BYTES: Final = 8 * 1024 * 1024
_READ_BYTES: Final = 1024 * 1024
_CHECK_ROWS: Final = 65_536


def pack_run(memory: MemoryTable) -> Run:
    """Make a run, in memory, of a memory table that nothing is added to any more.

    Args:
        memory: the rows, at least one.

    """
    columns = memory.pack()
    data = bytearray()
    rows = {}
    for table in FORMATS:
        sorted_rows = sort_rows(make_rows(table, columns), table.key_width)
        rows[table.name] = len(sorted_rows)
        data += sorted_rows.tobytes()
        if table is IDENTITY:
            for part in make_filter([sorted_rows], filter_bits(len(sorted_rows))):
                data += part
            for part in make_directory([sorted_rows], directory_bits(len(sorted_rows))):
                data += part
    return Run(RunDescription("", len(data), zlib.crc32(data), rows), data)


class RunFile:
    """The file of a run while it is written; nobody knows it before ``finish``."""

    def __init__(self, disk: Disk, path: Path) -> None:
        self.path = path
        self.size = 0
        self._disk = disk
        self._crc32 = 0
        self._unsynced = 0
        self._rows: dict[str, int] = {}
        self._descriptor: int | None = disk.create(path)

    def write(self, data: bytes) -> None:
        """Append; what is written reaches the device little by little, so that no single sync takes long."""
        assert self._descriptor is not None
        self._disk.write(self._descriptor, data)
        self._crc32 = zlib.crc32(data, self._crc32)
        self.size += len(data)
        self._unsynced += len(data)
        if self._unsynced >= _SYNC_BYTES:
            self._disk.sync(self._descriptor)
            self._unsynced = 0

    def write_run(self, run: Run) -> Iterator[None]:
        """Write the bytes of a run; a step for each part."""
        self._rows = run.description.rows
        for part in run.parts():
            self.write(part)
            yield

    def write_merged(self, runs: Sequence[Run]) -> Iterator[None]:
        """Write what several runs hold as one; a step of a few milliseconds for each part."""
        for table in FORMATS:
            self._rows[table.name] = 0
            for rows in merge_tables([run.tables[table.name] for run in runs], table.key_width):
                self.write(rows.tobytes())
                self._rows[table.name] += len(rows)
                yield
            if table is IDENTITY:
                yield from self._write_finders(self._rows[table.name])

    def finish(self) -> RunDescription:
        """Make the file and its name durable, and close it."""
        assert self._descriptor is not None
        self._disk.sync(self._descriptor)
        self._close()
        self._disk.sync_directory(self.path.parent)
        return RunDescription(self.path.name, self.size, self._crc32, dict(self._rows))

    def discard(self) -> None:
        """Close and remove the file; what can't be removed now goes with the next leftovers."""
        with contextlib.suppress(OSError):
            self._close()
            self._disk.remove(self.path)

    def _write_finders(self, rows: int) -> Iterator[None]:
        # Their sizes depend on how many rows there are: so the rows are counted first and read again.
        size = self.size
        for part in make_filter(self._read_back(size), filter_bits(rows)):
            self.write(part)
            yield
        for part in make_directory(self._read_back(size), directory_bits(rows)):
            self.write(part)
            yield

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            self._disk.close(descriptor)

    def _read_back(self, size: int) -> Iterator[Rows]:
        width = IDENTITY.width
        step = _READ_BYTES // width * width
        descriptor = self._disk.open(self.path)
        try:
            for start in range(0, size, step):
                yield as_rows(self._disk.read(descriptor, min(step, size - start), start), width)
        finally:
            self._disk.close(descriptor)


def verify_run(disk: Disk, directory: Path, run: Run) -> Iterator[str]:
    """Read the whole file of a run and check its checksum and the order of each table.

    Args:
        disk: the system calls.
        directory: where the file is.
        run: opened from it.

    Yields:
        A sentence for each problem.

    """
    name, checksum = run.description.name, 0
    try:
        descriptor = disk.open(directory / name)
    except FileNotFoundError:
        yield f"{name}: the file is missing"
        return
    try:
        for start in range(0, run.description.size, _READ_BYTES):
            checksum = zlib.crc32(disk.read(descriptor, _READ_BYTES, start), checksum)
    finally:
        disk.close(descriptor)
    if checksum != run.description.crc32:
        yield f"{name}: the checksum is wrong"
    for table in FORMATS:
        rows = run.tables[table.name]
        for start in range(0, len(rows), _CHECK_ROWS):
            # Each part begins with the last row of the one before.
            wrong = find_disorder(rows[max(0, start - 1) : start + _CHECK_ROWS], table.key_width)
            if wrong is not None:
                yield f"{name}: table {table.name} is not in order near row {start + wrong}"
