"""What of the quarantine's files is of use, and how the rest is freed.

*Live* are the lines of entries, the newest ``again`` line of each, and ``drop`` lines of entries whose own line still
lies in another segment. A segment is freed by writing what is live in it anew at the end of the log, and removing it
then. This is crash-safe at each step by these rules:

- Of several lines of one (id, sequence) the last one counts: copies come first, the removal afterwards.
- A second line is left only by a compaction that was broken off. Its segment is *unclean*: it is compacted before
  others, and until it is gone no ``drop`` line is thrown away, since the second line would come back to life.
- A segment whose removal failed, or may not be durable, is a *ghost* and counts as unclean.
- A segment may end in something void, which a marker at the beginning of a later one makes harmless
  (``backends.log``). So it is removed before that one.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import numpy as np

from backends.errors import StoreError
from backends.log import AppendLog, Segment, translate_os_error
from backends.log.segments import read_marker
from backends.quarantine.directory import Directory
from backends.quarantine.key_table import Rows
from backends.quarantine.lines import AGAIN_BYTES

LEAST_LIVE_SHARE: Final = 0.75
"""A segment of which less is live is compacted, so the files are at most a third larger than what is live."""

_MARKER_ROOM: Final = 128

_LOGGER: Final = logging.getLogger(__name__)
_Result = TypeVar("_Result")


class Space:
    """The segments of a quarantine, and what is live in them."""

    def __init__(self, log: AppendLog, directory: Directory) -> None:
        self.unclean: set[int] = set()
        self.freed_bytes = 0
        self._log = log
        self._directory = directory
        self._ghosts: dict[int, Path] = {}
        self._drop_bytes: Counter[tuple[int, int]] = Counter()
        self._odd_bytes: Counter[int] = Counter()
        self._newest_at_start = log.end.segment
        self._removed: set[int] = set()

    def add_drop_line(self, segment: int, target: int, length: int) -> None:
        """Count a ``drop`` line of entries that stood in the segment ``target``."""
        self._drop_bytes[segment, target] += length + 1

    def add_odd_line(self, segment: int, length: int) -> None:
        """Count a line that is damaged or of an unknown kind: it is carried along as it is."""
        self._odd_bytes[segment] += length + 1

    @property
    def file_bytes(self) -> int:
        """Bytes of all segments."""
        return sum(segment.valid for segment in self._log.segments())

    def is_drop_line_live(self, target: int, *, leaving: int) -> bool:
        """Tell whether a ``drop`` line is still of use when the segment ``leaving`` is gone."""
        if self._ghosts or self.unclean - {leaving}:
            return True
        return target != leaving and any(segment.number == target for segment in self._log.segments())

    def live_bytes(self, *, without: Rows | None = None) -> Counter[int]:
        """Return how many bytes of each segment are live, leaving out some entries."""
        directory, live = self._directory, Counter(self._odd_bytes)
        rows = directory.rows()
        if without is not None:
            leaving = np.zeros(directory.capacity + 1, np.bool_)
            leaving[without] = True
            rows = rows[~leaving[rows]]
        _add_sums(live, directory.segment[rows], directory.length[rows].astype(np.int64) + 1)
        again = directory.again[rows]
        again = again[again > 0]
        _add_sums(live, again, np.full(len(again), AGAIN_BYTES))
        existing = {segment.number for segment in self._log.segments()}
        for (segment, target), size in self._drop_bytes.items():
            if self.unclean or self._ghosts or (target != segment and target in existing):
                live[segment] += size
        return live

    async def find_removable(self, *, without: Rows) -> list[int]:
        """Return the segments of which nothing is live once some entries are gone, and which may be removed at once.

        Raises:
            StorageFull, StoreUnavailable: the segments can't be looked at.

        """
        return await _in_thread(partial(self._find_removable, without))

    async def find_wasteful(self) -> int | None:
        """Return the segment to compact next, or None when it is not worth while.

        Raises:
            StorageFull, StoreUnavailable: a former removal still fails; nothing can be freed now.

        """
        return await _in_thread(self._find_wasteful)

    async def remove(self, number: int) -> bool:
        """Remove a segment of which nothing is live; tell whether that is durable."""
        segment = next((segment for segment in self._log.segments() if segment.number == number), None)
        if segment is None:
            return number not in self._ghosts
        try:
            await self._log.remove_segments([number])
        except (OSError, StoreError) as error:
            _LOGGER.warning("the quarantine's segment %s can't be removed now: %s", number, error)
            self._ghosts[number] = segment.path
            return False
        self._forget(number)
        self.freed_bytes += segment.valid
        return True

    def _find_removable(self, without: Rows) -> list[int]:
        if self._ghosts or len(self.unclean) > 1:
            return []
        live = self.live_bytes(without=without)
        dead = [number for number in self._sealed() if not live[number] and self.unclean <= {number}]
        return [number for number in dead if self._first_to_go(number) == number]

    def _find_wasteful(self) -> int | None:
        self._bury_ghosts()
        live, sealed = self.live_bytes(), self._sealed()
        shares = {number: live[number] / segment.valid if segment.valid else 0 for number, segment in sealed.items()}
        wasteful = [number for number in sealed if number in self.unclean or shares[number] < LEAST_LIVE_SHARE]
        wasteful.sort(key=lambda number: (number not in self.unclean, shares[number]))
        return next(filter(None, map(self._first_to_go, wasteful)), None)

    def _bury_ghosts(self) -> None:
        for number, path in list(self._ghosts.items()):
            self._log.disk.remove(path)
            self._log.disk.sync_directory(path.parent)
            del self._ghosts[number]
            self._forget(number)

    def _forget(self, number: int) -> None:
        self._removed.add(number)
        self.unclean.discard(number)
        self._odd_bytes.pop(number, None)
        for pair in [pair for pair in self._drop_bytes if pair[0] == number]:
            del self._drop_bytes[pair]

    def _sealed(self) -> dict[int, Segment]:
        """Return all segments but the newest, which is being written."""
        return {segment.number: segment for segment in self._log.segments()[:-1]}

    def _first_to_go(self, number: int) -> int | None:
        """Return the segment that must be removed before this one, or this one; None when neither is possible now."""
        listed = {segment.number: segment for segment in self._log.segments()}
        while number in listed:
            held = [other for other in self._read_marked(listed[number]) if other in listed or self._may_exist(other)]
            if not held:
                return number
            number = min(held)
        return None

    def _may_exist(self, number: int) -> bool:
        """Tell whether there may be a segment that is not listed: one with nothing valid in it is, after a restart."""
        return number in self._ghosts or (number > self._newest_at_start and number not in self._removed)

    def _read_marked(self, segment: Segment) -> list[int]:
        """Return the numbers of the segments whose ends a segment makes harmless by the markers that it begins with."""
        disk, numbers, offset = self._log.disk, [], 0
        descriptor = disk.open(segment.path)
        try:
            while marker := read_marker(head := disk.read(descriptor, _MARKER_ROOM, offset)):
                numbers.append(marker[0])
                offset += head.index(b"\n") + 1
        finally:
            disk.close(descriptor)
        return numbers


async def _in_thread(work: Callable[[], _Result]) -> _Result:
    try:
        return await asyncio.to_thread(work)
    except OSError as error:
        raise translate_os_error(error) from error


def _add_sums(sums: Counter[int], segments: np.ndarray, weights: np.ndarray) -> None:
    if len(segments):
        first = int(segments.min())
        totals = np.bincount(segments.astype(np.int64) - first, weights)
        for position in np.flatnonzero(totals).tolist():
            sums[first + position] += int(totals[position])
