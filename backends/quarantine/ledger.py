"""The quarantine's log and its directory, kept in step: each change is durable first and visible then."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np

from backends.log import AppendLog, LogPosition, Place
from backends.quarantine.directory import Directory
from backends.quarantine.entries import to_moment
from backends.quarantine.key_table import Rows
from backends.quarantine.lines import (
    AgainLine,
    DropLine,
    EntryLine,
    Line,
    make_again_line,
    make_drop_line,
    read_line,
    recount,
)
from backends.quarantine.recovery import Recovery
from backends.quarantine.space import Space

_DROPS_IN_A_LINE: Final = 1000
_ROWS_IN_A_STEP: Final = 1000
_COPY_BYTES: Final = 1024 * 1024


class Fresh(NamedTuple):
    """An entry that is not there yet, and its line."""

    entry: EntryLine
    line: bytes


class Again(NamedTuple):
    """From now on how often an entry came, and when it came last (microseconds since 1970)."""

    arrivals: int
    last: int


class Ledger:
    """The state of a quarantine. No two of its changes may run at the same time; its owner sees to that.

    Args:
        log: must be open before ``recover``.
        capacity: how many entries there is room for.

    """

    def __init__(self, log: AppendLog, capacity: int) -> None:
        self.log = log
        self.directory = Directory(capacity)
        self.space = Space(log, self.directory)
        self.damaged_lines = 0
        self.last_sequence = 0

    def recover(self) -> None:
        """Read the whole log, once, before anything else; blocks."""
        recovery = Recovery(self.log, self.directory, self.space)
        recovery.run()
        self.damaged_lines, self.last_sequence = recovery.damaged_lines, recovery.last_sequence

    def next_sequence(self, now: int) -> int:
        """Return a sequence that is higher than all before: the time in microseconds, or a little more."""
        self.last_sequence = max(self.last_sequence + 1, now)
        return self.last_sequence

    async def add(self, fresh: Sequence[Fresh], again: Mapping[int, Again]) -> None:
        """Add entries, and raise the counts of others (by row), in one group.

        Raises:
            StorageFull, StoreUnavailable: nothing has changed.

        """
        lines = [line for _, line in fresh]
        lines += [self._again_line(row, change) for row, change in again.items()]
        places = await self.log.append(lines)
        for number, ((entry, _), place) in enumerate(zip(fresh, places, strict=False)):
            self._insert(entry, place)
            if number % _ROWS_IN_A_STEP == _ROWS_IN_A_STEP - 1:
                await asyncio.sleep(0)
        for (row, change), place in zip(again.items(), places[len(fresh) :], strict=True):
            self.directory.recount(row, change.arrivals, change.last, again=place.segment)

    async def drop(self, rows: Rows) -> None:
        """Take entries out.

        Segments of which nothing else is live are removed outright, which needs no room and so relieves a full disk.

        Raises:
            StorageFull, StoreUnavailable: some of the entries may be gone and some not.

        """
        for number in await self.space.find_removable(without=rows):
            gone = self.directory.segment[rows] == number
            # In memory first, so that nobody is sent to a file that is going.
            lives = await self._forget(rows[gone])
            if not await self.space.remove(number):
                await self._append_drops(_make_drops(number, lives))
            rows = rows[~gone]
        for start in range(0, len(rows), _ROWS_IN_A_STEP):
            step = rows[start : start + _ROWS_IN_A_STEP]
            await self._append_drops(self._drop_lines(step))
            await self._forget(step)

    async def replace(self, row: int, fresh: Fresh) -> None:
        """Put an entry in the place of another one, in one group.

        Raises:
            StorageFull, StoreUnavailable: nothing has changed.

        """
        # The drop line stands first: the new entry may have the key of the old one.
        [(target, line)] = self._drop_lines(np.array([row]))
        drop_place, place = await self.log.append([line, fresh.line])
        self.space.add_drop_line(drop_place.segment, target, drop_place.length)
        self.directory.remove(row)
        self._insert(fresh.entry, place)

    async def carry(self, start: LogPosition) -> LogPosition | None:
        """Write the next live lines of a segment anew at the end of the log.

        Returns:
            Where to go on, or None when all that is live has been carried.

        Raises:
            StorageFull, StoreUnavailable: nothing has changed.

        """
        found = await asyncio.to_thread(self._read_lines, start)
        if not found:
            return None
        carried: dict[bytes | Place, tuple[bytes, Line | None]] = {}
        for place, line, content in found:
            if live := self._live(place, line, content):
                # Of many lines that raise one count, one is enough.
                carried[content.key if isinstance(content, AgainLine) else place] = live
        places = await self.log.append([line for line, _ in carried.values()]) if carried else []
        if carried:
            # From here on there are second lines, until the segment is gone.
            self.space.unclean.add(start.segment)
        for (_, content), place in zip(carried.values(), places, strict=True):
            match content:
                case EntryLine(key):
                    row = self.directory.find(key)
                    self.directory.move(row, place)
                    self.directory.again[row] = 0
                case AgainLine(key):
                    self.directory.again[self.directory.find(key)] = place.segment
                case DropLine(target):
                    self.space.add_drop_line(place.segment, target, place.length)
                case None:
                    self.space.add_odd_line(place.segment, place.length)
        last = found[-1][0]
        return LogPosition(last.segment, last.offset + last.length + 1)

    def _live(self, place: Place, line: bytes, content: Line | None) -> tuple[bytes, Line | None] | None:
        """Return what is to be written in the place of a line of a segment that leaves; None when nothing."""
        directory = self.directory
        match content:
            case EntryLine(key, sequence, arrivals, last):
                row = directory.find_life(key, sequence)
                if not row or directory.place(row) != place:
                    return None
                now = Again(int(directory.arrivals[row]), int(directory.last[row]))
                return (line if now == (arrivals, last) else recount(line, now.arrivals, to_moment(now.last))), content
            case AgainLine(key, sequence):
                row = directory.find_life(key, sequence)
                # An entry of this segment takes its count along in its own line.
                if not row or directory.again[row] != place.segment or directory.segment[row] == place.segment:
                    return None
                return self._again_line(row, Again(int(directory.arrivals[row]), int(directory.last[row]))), content
            case DropLine(target):
                return (line, content) if self.space.is_drop_line_live(target, leaving=place.segment) else None
        return line, None

    def _read_lines(self, start: LogPosition) -> list[tuple[Place, bytes, Line | None]]:
        lines, size = [], 0
        for place, line in self.log.scan(start):
            if place.segment != start.segment or size > _COPY_BYTES:
                break
            lines.append((place, line, read_line(line)))
            size += place.length
        return lines

    def _insert(self, entry: EntryLine, place: Place) -> None:
        row = self.directory.insert(entry.key, entry.sequence, place, arrivals=entry.arrivals, last=entry.last)
        self.directory.name(row, entry.code, entry.event_type_id, entry.peer)

    def _again_line(self, row: int, change: Again) -> bytes:
        key, sequence = self._life(row)
        return make_again_line(key, sequence, change.arrivals, to_moment(change.last))

    async def _append_drops(self, drops: Sequence[tuple[int, bytes]]) -> None:
        places = await self.log.append([line for _, line in drops])
        for (target, _), place in zip(drops, places, strict=True):
            self.space.add_drop_line(place.segment, target, place.length)

    def _drop_lines(self, rows: Rows) -> list[tuple[int, bytes]]:
        """Return the lines that drop entries, each with the segment where these stand."""
        lines = []
        segments = self.directory.segment[rows]
        for segment in np.unique(segments).tolist():
            lines += _make_drops(segment, [self._life(row) for row in rows[segments == segment].tolist()])
        return lines

    async def _forget(self, rows: Rows) -> list[tuple[bytes, int]]:
        """Take entries out of the directory; returns their keys and sequences."""
        lives = []
        for start in range(0, len(rows), _ROWS_IN_A_STEP):
            for row in rows[start : start + _ROWS_IN_A_STEP].tolist():
                lives.append(self._life(row))
                self.directory.remove(row)
            await asyncio.sleep(0)
        return lives

    def _life(self, row: int) -> tuple[bytes, int]:
        return self.directory.key(row), int(self.directory.sequence[row])


def _make_drops(segment: int, lives: Sequence[tuple[bytes, int]]) -> list[tuple[int, bytes]]:
    """Return the lines that drop entries of one segment, each with its number."""
    starts = range(0, len(lives), _DROPS_IN_A_LINE)
    return [(segment, make_drop_line(segment, lives[start : start + _DROPS_IN_A_LINE])) for start in starts]
