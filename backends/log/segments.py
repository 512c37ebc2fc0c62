"""The segment files of an append-only log: their names, their markers, what of them counts, and reading them."""

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple
from zlib import crc32

from backends.disk import Disk

_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
_SEGMENT: Final = re.compile(r"(\d{8,})\.ndjson")
_MARKER_START: Final = b'{"@log":'
_MARKER: Final = re.compile(rb'(\{"@log":\{"previous":(\d+),"valid":(\d+)\}),"@crc":"([0-9a-f]{8})"\}\n')
_MARKER_ROOM: Final = 128
_CHUNK: Final = 1024 * 1024
_OPEN_FILES: Final = 256


class LogPosition(NamedTuple):
    """A point between lines; positions sort in order of arrival."""

    segment: int
    offset: int


BEGINNING: Final = LogPosition(0, 0)


class Place(NamedTuple):
    """Where a line stands; its line end is not counted."""

    segment: int
    offset: int
    length: int


class Segment(NamedTuple):
    """One file of the log."""

    number: int
    path: Path
    valid: int
    """How many bytes of it count."""


class Recovered(NamedTuple):
    """What a directory held."""

    segments: list[Segment]
    torn: dict[int, int]
    """The segments that end in a torn line, and their valid lengths: the next one must say so."""
    torn_bytes: int


def utc_day() -> str:
    """Return the current day in UTC, ``YYYY-MM-DD``."""
    return time.strftime("%Y-%m-%d", time.gmtime())


def segment_path(directory: Path, day: str, number: int) -> Path:
    """Return where a segment lies."""
    return directory / day / f"{number:08d}.ndjson"


def make_marker(previous: int, valid: int) -> bytes:
    """Return the line that says how many bytes of an earlier segment count."""
    body = b'{"@log":{"previous":%d,"valid":%d}' % (previous, valid)
    return b'%b,"@crc":"%08x"}\n' % (body, crc32(body))


def read_marker(head: bytes) -> tuple[int, int] | None:
    """Return (previous, valid) from the beginning of a segment, if a marker stands there whole."""
    match = _MARKER.match(head)
    if match is None or int(match[4], 16) != crc32(match[1]):
        return None
    return int(match[2]), int(match[3])


def recover_segments(directory: Path, disk: Disk, *, settle: bool) -> Recovered:
    """Find the segments and how much of each counts.

    Args:
        directory: of the log; a missing one is an empty log.
        disk: the system calls.
        settle: make what was written last durable first, and read it from the device, so that what is found now is what
            a power cut would leave (a failed sync of the process before us may have left lost pages in the cache).

    Raises:
        OSError: something can't be read, or not made durable.

    """
    days = [directory / name for name in disk.list_directory(directory) if _DAY.fullmatch(name)]
    paths = {
        int(match[1]): day / name
        for day in days
        for name in disk.list_directory(day)
        if (match := _SEGMENT.fullmatch(name))
    }
    heads: dict[int, tuple[dict[int, int], int]] = {}
    ends: dict[int, int] = {}
    for number in sorted(paths, reverse=True):
        if settle:
            _settle(paths[number], disk)
        heads[number] = _read_markers(paths[number], disk)
        ends[number] = _end_of_last_line(paths[number], disk)
        # A line is written into a segment only when all before it was settled or marked. A segment without one was
        # begun in vain, perhaps because the disk failed: the one before it may be torn just as well.
        if _has_line(paths[number], disk, heads[number][1], ends[number]):
            break
    if settle:
        # Also later days without a segment: one that was begun there in vain, and removed, must not come back.
        for day in [day for day in days if not ends or day >= paths[min(ends)].parent]:
            disk.sync_directory(day)
        disk.sync_directory(directory)
    marked: dict[int, int] = {}
    sizes: dict[int, int] = {}
    for number in sorted(paths):
        sizes[number] = disk.size(paths[number])
        for previous, valid in (heads.get(number) or _read_markers(paths[number], disk))[0].items():
            marked[previous] = min(valid, sizes.get(previous, 0))
    torn = {number: end for number, end in sorted(ends.items()) if end < sizes[number] and number not in marked}
    marked |= torn
    segments = [Segment(number, path, marked.get(number, sizes[number])) for number, path in sorted(paths.items())]
    return Recovered(segments, torn, sum(sizes[number] - end for number, end in torn.items()))


def _settle(path: Path, disk: Disk) -> None:
    descriptor = disk.open(path)
    try:
        disk.sync(descriptor)
        disk.forget_clean_pages(descriptor)
    finally:
        disk.close(descriptor)


def _read(path: Path, disk: Disk, offset: int, length: int) -> bytes:
    descriptor = disk.open(path)
    try:
        return disk.read(descriptor, length, offset)
    finally:
        disk.close(descriptor)


def _read_markers(path: Path, disk: Disk) -> tuple[dict[int, int], int]:
    """Return the markers that a segment begins with, and where they end."""
    markers: dict[int, int] = {}
    size, end = disk.size(path), 0
    while end < size and (marker := read_marker(head := _read(path, disk, end, min(_MARKER_ROOM, size - end)))):
        markers[marker[0]] = marker[1]
        end += head.index(b"\n") + 1
    return markers, end


def _has_line(path: Path, disk: Disk, start: int, end: int) -> bool:
    """Tell whether a line stands behind the markers; what is left of a marker, or zeros in its place, is none."""
    first = _read(path, disk, start, len(_MARKER_START)) if start < end else b"\0"
    return not first.startswith((b"\0", _MARKER_START))


def _end_of_last_line(path: Path, disk: Disk) -> int:
    end = disk.size(path)
    while end:
        start = max(0, end - _CHUNK)
        found = _read(path, disk, start, end - start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0


class _OpenFile:
    """A descriptor that closes itself when nobody uses it any more, whichever thread was the last."""

    __slots__ = ("_disk", "descriptor")

    def __init__(self, disk: Disk, path: Path) -> None:
        self._disk = disk
        self.descriptor = disk.open(path)

    def __del__(self) -> None:
        if hasattr(self, "descriptor"):
            self._disk.close(self.descriptor)


class SegmentReader:
    """Reads segments from any thread, keeping a bounded number of files open."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._files: dict[int, _OpenFile] = {}

    def read(self, segment: Segment, place: Place) -> bytes:
        """Return the line at a place; blocks. Raises ``OSError``."""
        file = self._file(segment)  # held: one that nobody holds closes itself
        return self._disk.read(file.descriptor, place.length, place.offset)

    def read_cached(self, segment: Segment, place: Place) -> bytes | None:
        """Return the line at a place if nothing must be waited for, else None."""
        file = self._files.get(segment.number)
        return None if file is None else self._disk.read_cached(file.descriptor, place.length, place.offset)

    def scan(self, segment: Segment, start: int) -> Iterator[tuple[Place, bytes]]:
        """Run through the lines of a segment's valid part, but for its marker. Raises ``OSError``."""
        file = self._file(segment)
        position, rest = start, b""
        while position + len(rest) < segment.valid:
            reached = position + len(rest)
            chunk = self._disk.read(file.descriptor, min(_CHUNK, segment.valid - reached), reached)
            if not chunk:
                break
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                if not line.startswith(_MARKER_START):
                    yield Place(segment.number, position, len(line)), line
                position += len(line) + 1
        # What has no line end is a marker whose write failed, before anything in the segment counted, or damage.
        if rest and not _MARKER_START.startswith(rest[: len(_MARKER_START)]):
            yield Place(segment.number, position, len(rest)), rest

    def forget(self, number: int) -> None:
        """Close a segment's file when its readers are done."""
        self._files.pop(number, None)

    def close(self) -> None:
        """Close all files when their readers are done."""
        self._files.clear()

    def _file(self, segment: Segment) -> _OpenFile:
        file = self._files.get(segment.number)
        if file is None:
            file = self._files.setdefault(segment.number, _OpenFile(self._disk, segment.path))
            while len(self._files) > _OPEN_FILES:
                self._files.pop(next(iter(self._files)), None)
        return file
