"""Reading the quarantine's log at the start: entries by the thousand, all else line by line."""

from collections.abc import Iterator
from itertools import compress
from typing import Final, NamedTuple

import numpy as np

from backends.collector import collector_paused
from backends.log import AppendLog, LogPosition, Place, Segment
from backends.quarantine.columns import read_entries
from backends.quarantine.directory import Directory
from backends.quarantine.key_table import Rows
from backends.quarantine.lines import ENTRY_START, AgainLine, DropLine, EntryLine, read_line
from backends.quarantine.space import Space

_BLOCK_BYTES: Final = 1024 * 1024
_FEW: Final = 64
"""So many lines are read faster one by one."""
_MARKER_START: Final = b'{"@log":'
"""The log's own lines, which ``AppendLog.scan`` leaves out."""


class _Lines(NamedTuple):
    """Neighbouring lines of a segment."""

    segment: int
    offsets: Rows
    lines: list[bytes]

    def part(self, start: int, stop: int | None) -> "_Lines":
        return _Lines(self.segment, self.offsets[start:stop], self.lines[start:stop])


class Recovery:
    """Fills an empty directory from the log; to be run once.

    Attributes:
        damaged_lines: lines that are damaged, or of a kind that this release does not know.
        last_sequence: the highest of all.

    """

    def __init__(self, log: AppendLog, directory: Directory, space: Space) -> None:
        """Take the log, open, and what is to be filled."""
        self.damaged_lines = 0
        self.last_sequence = 0
        self._log = log
        self._directory = directory
        self._space = space

    def run(self) -> None:
        """Read the whole log; blocks.

        Raises:
            StoreUnavailable: a segment can't be read.

        """
        with collector_paused():
            for segment in self._log.segments():
                for block in self._blocks(segment):
                    self._take(block)

    def _blocks(self, segment: Segment) -> Iterator[_Lines]:
        """Cut a segment into whole lines; each is verified later."""
        start, size = 0, _BLOCK_BYTES
        while start < segment.valid:
            data = self._log.read(Place(segment.number, start, min(size, segment.valid - start)))
            end = data.rfind(b"\n")
            if end < 0 and start + size < segment.valid:
                size *= 2
                continue
            if end < 0:
                # What has no line end is a failed marker or damage; the log knows which.
                for place, line in self._log.scan(LogPosition(segment.number, start)):
                    if place.segment == segment.number:
                        yield _Lines(segment.number, np.array([place.offset]), [line])
                return
            lines = data[:end].split(b"\n")
            lengths = np.fromiter(map(len, lines), np.int64, len(lines))
            yield _Lines(segment.number, start + np.cumsum(lengths + 1) - lengths - 1, lines)
            start, size = start + end + 1, _BLOCK_BYTES

    def _take(self, block: _Lines) -> None:
        """Take in lines: all entries at once, then the others; where that is not possible, the same with each half."""
        if len(block.lines) <= _FEW:
            for offset, line in zip(block.offsets.tolist(), block.lines, strict=True):
                self._take_line(Place(block.segment, offset, len(line)), line)
        elif not self._take_entries(block):
            middle = len(block.lines) // 2
            self._take(block.part(0, middle))
            self._take(block.part(middle, None))

    def _take_entries(self, block: _Lines) -> bool:
        """Take in the entries and then the other lines, if the entries are new, so that their order does not matter."""
        are_entries = [line.startswith(ENTRY_START) for line in block.lines]
        entries = read_entries(list(compress(block.lines, are_entries)))
        chosen = np.array(are_entries)
        if entries is None or not self._directory.insert_many(entries, block.segment, block.offsets[chosen]):
            return False
        self.last_sequence = max(self.last_sequence, int(entries.sequence.max(initial=0)))
        for index in np.flatnonzero(~chosen).tolist():
            line = block.lines[index]
            self._take_line(Place(block.segment, int(block.offsets[index]), len(line)), line)
        return True

    def _take_line(self, place: Place, line: bytes) -> None:
        if line.startswith(_MARKER_START):
            return
        match read_line(line):
            case EntryLine() as entry:
                self._take_entry(place, entry)
            case AgainLine() as again:
                self._take_again(place, again)
            case DropLine() as drop:
                self._take_drop(place, drop)
            case None:
                self._space.add_odd_line(place.segment, place.length)
                self.damaged_lines += 1

    def _take_entry(self, place: Place, entry: EntryLine) -> None:
        self.last_sequence = max(self.last_sequence, entry.sequence)
        row = self._directory.find(entry.key)
        if not row:
            self._insert(place, entry)
            return
        known = self._directory.locate(row)
        self._space.unclean.add(place.segment if entry.sequence < known.sequence else known.place.segment)
        if entry.sequence == known.sequence:
            self._directory.move(row, place)
            arrivals, last = max(entry.arrivals, known.arrivals), max(entry.last, known.last)
            self._directory.recount(row, arrivals, last, again=0)
        elif entry.sequence > known.sequence:
            self._directory.remove(row)
            self._insert(place, entry)

    def _insert(self, place: Place, entry: EntryLine) -> None:
        row = self._directory.insert(entry.key, entry.sequence, place, arrivals=entry.arrivals, last=entry.last)
        self._directory.name(row, entry.code, entry.event_type_id, entry.peer)

    def _take_again(self, place: Place, again: AgainLine) -> None:
        """Raise a count, unless the entry's own line was written later: then that says it all."""
        row = self._directory.find_life(again.key, again.sequence)
        if row and self._directory.place(row) < place:
            arrivals = max(again.arrivals, int(self._directory.arrivals[row]))
            self._directory.recount(row, arrivals, again.last, again=place.segment)

    def _take_drop(self, place: Place, drop: DropLine) -> None:
        self._space.add_drop_line(place.segment, drop.segment, place.length)
        for key, sequence in drop.dropped:
            self.last_sequence = max(self.last_sequence, sequence)
            if row := self._directory.find_life(key, sequence):
                self._directory.remove(row)
