"""The writing side of the log: groups of lines, one after the other, each written, synced and then told."""

import contextlib
import errno
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import accumulate, repeat
from pathlib import Path
from queue import SimpleQueue
from typing import Final

from backends.disk import Disk
from backends.errors import StorageFull, StoreError, StoreUnavailable
from backends.log.segments import Place, Recovered, Segment, make_marker, segment_path
from backends.statistics import Histogram, Statistic

_make_place: Final = partial(tuple.__new__, Place)
_OUT_OF_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})

Done = Callable[[Sequence[Place], StoreError | None], None]
"""Called on the event loop with the places of the lines, or with why they are not in the log."""


def translate_os_error(error: OSError) -> StoreError:
    """Say an operating system's error in the terms of the contract."""
    if error.errno in _OUT_OF_ROOM:
        return StorageFull("the disk is full")
    return StoreUnavailable(f"the disk can't be used: {error.strerror or error}")


class LogStatistics:
    """Plain counters, read when metrics are scraped."""

    def __init__(self) -> None:
        self.groups = 0
        self.lines = 0
        self.bytes = 0
        self.failed_groups = 0
        self.torn_bytes = 0
        self.sync_seconds = Histogram((0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3))
        self.group_lines = Histogram((1, 3, 10, 30, 100, 300, 1000, 3000, 10000))

    def describe(self) -> list[Statistic]:
        """Return them ready to be shown."""
        return [
            Statistic("log_bytes_total", "Bytes appended to the log", self.bytes),
            Statistic("log_failed_groups_total", "Group commits whose write or sync failed", self.failed_groups),
            Statistic("log_torn_bytes", "Bytes of a torn last line that the start found", self.torn_bytes),
            Statistic("log_sync_seconds", "How long fdatasync took", self.sync_seconds),
            Statistic("log_group_lines", "Lines that shared a sync", self.group_lines),
        ]


class Submission:
    """Lines that stand next to each other, and whom to tell.

    Attributes:
        lines: may be added to until they are taken.
        done: called with their places.
        taken: whether they are on their way to the disk.

    """

    __slots__ = ("done", "lines", "taken")

    def __init__(self, lines: Sequence[bytes], done: Done) -> None:
        self.lines = lines
        self.done = done
        self.taken = False


class Group:
    """What shares one write and one sync."""

    __slots__ = ("abandoned", "error", "offset", "segment", "submissions")

    def __init__(self) -> None:
        self.submissions: list[Submission] = []
        self.segment: Segment | None = None
        """Where it was written, valid up to the group's end; None when that failed."""
        self.offset = 0
        """Where in the segment it begins."""
        self.abandoned: Segment | None = None
        """The segment that its failure ended, with what of it counts."""
        self.error: StoreError | None = None

    def tell(self) -> None:
        """Tell each submission, in order."""
        for submission in self.submissions:
            if self.segment is None:
                submission.done((), self.error)
                continue
            lengths = [len(line) for line in submission.lines]
            *offsets, self.offset = accumulate((length + 1 for length in lengths), initial=self.offset)
            # The named tuple's own constructor would be a fifth of what an event of a batch costs in here.
            places = list(map(_make_place, zip(repeat(self.segment.number), offsets, lengths, strict=False)))
            submission.done(places, None)

    def line_count(self) -> int:
        """Return how many lines there are now."""
        return sum([len(submission.lines) for submission in self.submissions])

    def give_up(self, error: StoreError) -> int:
        """Tell each submission that it is not waited for any longer, and forget it; return how many lines it had."""
        count = self.line_count()
        submissions, self.submissions = self.submissions, []
        for submission in submissions:
            submission.done((), error)
        return count


class LogWriter:
    """A thread that owns the newest segment.

    Args:
        directory: of the log.
        disk: the system calls.
        segment_bytes: a segment that would grow over this is sealed first.
        today: the UTC day for a new segment.
        recovered: what the directory held before.
        statistics: counts what it does.
        finished: called on this thread with each group, written or failed.

    """

    def __init__(
        self,
        *,
        directory: Path,
        disk: Disk,
        segment_bytes: int,
        today: Callable[[], str],
        recovered: Recovered,
        statistics: LogStatistics,
        finished: Callable[[Group], None],
    ) -> None:
        self._directory = directory
        self._disk = disk
        self._segment_bytes = segment_bytes
        self._today = today
        self._statistics = statistics
        self._finished = finished
        self._last_number = max((segment.number for segment in recovered.segments), default=0)
        self._unmarked = dict(recovered.torn)
        self._current: Segment | None = None
        self._descriptor = -1
        self._queue: SimpleQueue[Group | None] = SimpleQueue()
        self._left = False
        self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
        self._thread.start()

    def put(self, group: Group) -> None:
        """Let a group be written after those before it; returns at once."""
        self._queue.put(group)

    def close(self, timeout: float) -> bool:
        """Write what was put, then end the thread; blocks.

        Args:
            timeout: seconds to wait for it.

        Returns:
            Whether it has ended. If not it is left to itself: when the disk answers it ends and tells nobody.

        """
        self._queue.put(None)
        self._thread.join(timeout)
        self._left = self._thread.is_alive()
        return not self._left

    def _run(self) -> None:
        while (group := self._queue.get()) is not None:
            try:
                self._write(group)
            except OSError as error:
                group.error = translate_os_error(error)
                self._abandon_segment(group)
            except Exception as error:  # noqa: BLE001 - all senders wait for this thread: it lives on, whatever it met
                group.error = StoreUnavailable(f"the log could not be written: {type(error).__name__}")
                self._abandon_segment(group)
            if self._left:
                break
            self._finished(group)
        with contextlib.suppress(OSError):
            # The directory may be another's by the time when a writer that was left goes on.
            if self._unmarked and not self._left:
                # What failed last is not to come back because nothing was appended since.
                self._begin_segment(self._today())
            self._close_descriptor()

    def _write(self, group: Group) -> None:
        lines = [line for submission in group.submissions for line in submission.lines]
        data = b"\n".join(lines) + b"\n" if lines else b""
        segment = self._writable_segment(len(data))
        if data:
            self._disk.write(self._descriptor, data)
            started = time.perf_counter()
            self._disk.sync(self._descriptor)
            statistics = self._statistics
            statistics.sync_seconds.observe(time.perf_counter() - started)
            statistics.groups += 1
            statistics.lines += len(lines)
            statistics.bytes += len(data)
            statistics.group_lines.observe(len(lines))
        group.offset = segment.valid
        group.segment = self._current = segment._replace(valid=segment.valid + len(data))

    def _writable_segment(self, size: int) -> Segment:
        current, day = self._current, self._today()
        if current is None or current.path.parent.name != day:
            return self._begin_segment(day)
        # An empty segment takes a group of any size.
        fits = current.valid + size <= self._segment_bytes or not current.valid
        return current if fits else self._begin_segment(day)

    def _begin_segment(self, day: str) -> Segment:
        self._close_descriptor()
        self._current = None
        # A number is used once: what could not be created may be there all the same, what was removed may come back.
        self._last_number += 1
        path = segment_path(self._directory, day, self._last_number)
        self._disk.make_directory(path.parent)
        self._descriptor = self._disk.create(path)
        marker = b"".join(make_marker(*item) for item in self._unmarked.items())
        try:
            if marker:
                self._disk.write(self._descriptor, marker)
                self._disk.sync(self._descriptor)
            self._disk.sync_directory(path.parent)
        except OSError:
            # Nothing in it counts yet; a failing disk must not be littered with one file for each attempt.
            with contextlib.suppress(OSError):
                self._disk.remove(path)
            raise
        self._unmarked = {}
        self._current = Segment(self._last_number, path, len(marker))
        return self._current

    def _abandon_segment(self, group: Group) -> None:
        """After a failed write or sync nothing more goes into this segment, and the next one says how much counts."""
        self._statistics.failed_groups += 1
        if self._current is not None:
            self._unmarked[self._current.number] = self._current.valid
            group.abandoned = self._current
        self._current = None
        with contextlib.suppress(OSError):
            self._close_descriptor()

    def _close_descriptor(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            self._disk.close(descriptor)
