"""The reading side of the log: its segments, and the lines in them."""

from collections.abc import Iterator
from pathlib import Path

from backends.disk import Disk
from backends.errors import StoreUnavailable
from backends.log.segments import BEGINNING, LogPosition, Place, Segment, SegmentReader


class LogReader:
    """What of a log counts. All methods may be called from any thread.

    Args:
        directory: of the log.
        disk: the system calls.

    """

    def __init__(self, directory: Path, disk: Disk) -> None:
        self.directory = directory
        self.disk = disk
        self._segments: dict[int, Segment] = {}
        self._reader = SegmentReader(disk)

    @property
    def end(self) -> LogPosition:
        """Where the log ends: every line before it is synced."""
        last = max(self._segments, default=0)
        return LogPosition(last, self._segments[last].valid) if last else LogPosition(0, 0)

    def segments(self) -> list[Segment]:
        """Return all segments in order."""
        return [self._segments[number] for number in sorted(self._segments)]

    def read(self, place: Place) -> bytes:
        """Return the line at a place; blocks.

        Raises:
            StoreUnavailable: it can't be read.

        """
        try:
            return self._reader.read(self._segments[place.segment], place)
        except (OSError, KeyError) as error:
            msg = f"segment {place.segment} can't be read"
            raise StoreUnavailable(msg) from error

    def read_cached(self, place: Place) -> bytes | None:
        """Return the line at a place if that takes no waiting for the device, else None."""
        segment = self._segments.get(place.segment)
        return None if segment is None else self._reader.read_cached(segment, place)

    def scan(self, start: LogPosition = BEGINNING) -> Iterator[tuple[Place, bytes]]:
        """Run through the lines from a position to the end as it is now; blocks.

        Lines of void groups, torn tails and markers are left out. A damaged line is not: its caller knows the checksum.

        Raises:
            StoreUnavailable: a segment can't be read.

        """
        for segment in self.segments():
            if segment.number >= start.segment and segment.valid:
                try:
                    yield from self._reader.scan(segment, start.offset if segment.number == start.segment else 0)
                except OSError as error:
                    msg = f"segment {segment.number} can't be read"
                    raise StoreUnavailable(msg) from error
