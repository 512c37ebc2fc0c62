"""The log as its users see it, on their event loop."""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from backends.disk import Disk
from backends.errors import StoreClosed, StoreError, StoreUnavailable
from backends.log.segments import BEGINNING, LogPosition, Place, Segment, SegmentReader, recover_segments
from backends.log.writer import Done, Group, LogStatistics, LogWriter, Submission, translate_os_error

SEGMENT_BYTES: Final = 256 * 1024 * 1024
GROUP_LINES: Final = 5_000
"""So many lines are told of in one turn of the loop; a larger submission is a group of its own."""
COLLECT_LINES: Final = 512
COLLECT_PACE: Final = 8
COLLECT_SECONDS: Final = 0.005
EXPECT_SECONDS: Final = 0.001
"""So long a group waits for the senders whose lines the group before it held."""


def utc_day() -> str:
    """Return the current day in UTC, ``YYYY-MM-DD``."""
    return time.strftime("%Y-%m-%d", time.gmtime())


class AppendLog:
    """An append-only log of lines in a directory that one process owns.

    Use it with ``async with``; it belongs to that event loop. Reading methods may be called from any thread.

    Args:
        directory: made when missing.
        disk: the system calls.
        segment_bytes: a segment that would grow over this is sealed first.
        read_only: open beside a running writer, to read what is there now.
        today: the UTC day for new segments, ``YYYY-MM-DD``.

    """

    def __init__(
        self,
        directory: Path,
        *,
        disk: Disk | None = None,
        segment_bytes: int = SEGMENT_BYTES,
        read_only: bool = False,
        today: Callable[[], str] = utc_day,
    ) -> None:
        self.directory = directory
        self.failing = False
        """Whether the last write failed, and no later one has succeeded."""
        self.statistics = LogStatistics()
        self.disk = disk or Disk()
        self._segment_bytes = segment_bytes
        self._read_only = read_only
        self._today = today
        self._segments: dict[int, Segment] = {}
        self._reader = SegmentReader(self.disk)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._writer: LogWriter | None = None
        self._accepting = False
        self._pending = Group()
        self._writing = False
        self._collected = 0
        self._expected = 0
        self._began_collecting = 0.0
        self._idle: asyncio.Future[None] | None = None

    async def __aenter__(self) -> Self:
        """Recover what is on disk and begin to accept lines.

        Raises:
            StorageFull, StoreUnavailable: the directory can't be read or made.

        """
        self._loop = asyncio.get_running_loop()
        try:
            await asyncio.to_thread(self._recover)
        except OSError as error:
            raise translate_os_error(error) from error
        self._accepting = not self._read_only
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write and sync what was appended, then close. Idempotent."""
        self._accepting = False
        if self._writing:
            self._idle = asyncio.get_running_loop().create_future()
            await self._idle
        writer, self._writer = self._writer, None
        if writer is not None:
            await asyncio.to_thread(writer.close)
        self._reader.close()

    @property
    def end(self) -> LogPosition:
        """Where the log ends: every line before it is synced."""
        last = max(self._segments, default=0)
        return LogPosition(last, self._segments[last].valid) if last else LogPosition(0, 0)

    def segments(self) -> list[Segment]:
        """Return all segments in order."""
        return [self._segments[number] for number in sorted(self._segments)]

    async def append(self, lines: Sequence[bytes]) -> list[Place]:
        """Append lines, next to each other and in order, and return their places once they are synced.

        A cancelled call may still take effect.

        Raises:
            StorageFull, StoreUnavailable: none of the lines is in the log, nor will be once another line is, or the log
                was closed. (A process that is killed before that may find them whole.)
            StoreClosed: the log is not open for writing.

        """
        loop = asyncio.get_running_loop()
        synced: asyncio.Future[list[Place]] = loop.create_future()

        def done(places: Sequence[Place], error: StoreError | None) -> None:
            if synced.done():
                return
            if error is None:
                synced.set_result(list(places))
            else:
                synced.set_exception(error)

        self.submit(lines, done)
        return await synced

    def submit(self, lines: Sequence[bytes], done: Done) -> Submission:
        """Append lines and call ``done(places, error)`` on the event loop once they are synced, or have failed.

        The calls come in the order of the lines in the log. Until the submission is ``taken``, a turn of the loop later
        or when the sync before it is done, its owner may add lines to it.

        Raises:
            StoreClosed: the log is not open for writing.

        """
        if not self._accepting or self._loop is None:
            msg = "the log is not open for writing"
            raise StoreClosed(msg)
        submission = Submission(lines, done)
        self._pending.submissions.append(submission)
        if not self._writing:
            self._writing = True
            self._begin_collecting()
        return submission

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

    async def remove_segments(self, numbers: Sequence[int]) -> None:
        """Remove whole segments, oldest first; the one that is being written stays."""
        current = self.end.segment
        for number in sorted(set(numbers) - {current}):
            segment = self._segments.pop(number, None)
            if segment is not None:
                self._reader.forget(number)
                await asyncio.to_thread(self._remove_file, segment.path)

    async def probe(self) -> None:
        """Return when a line could be written now; after a failure this tries to begin a new segment.

        Raises:
            StorageFull, StoreUnavailable: it could not.

        """
        if self.failing:
            await self.append(())
        elif not self._accepting:
            msg = "the log is not open for writing"
            raise StoreClosed(msg)

    def _recover(self) -> None:
        if not self._read_only:
            self.disk.make_directory(self.directory)
        recovered = recover_segments(self.directory, self.disk, settle=not self._read_only)
        self._segments = {segment.number: segment for segment in recovered.segments}
        self.statistics.torn_bytes = recovered.torn_bytes
        if not self._read_only:
            self._writer = LogWriter(
                directory=self.directory,
                disk=self.disk,
                segment_bytes=self._segment_bytes,
                today=self._today,
                recovered=recovered,
                statistics=self.statistics,
                finished=self._finished,
            )

    def _remove_file(self, path: Path) -> None:
        self.disk.remove(path)
        self.disk.sync_directory(path.parent)

    def _begin_collecting(self) -> None:
        assert self._loop is not None
        self._collected = 0
        self._began_collecting = time.monotonic()
        self._loop.call_soon(self._collect)

    def _collect(self) -> None:
        """Let the group grow as long as each turn of the loop brings many lines, so that all of a burst share one sync.

        A group costs as much as ten lines (a thread is woken and takes the interpreter's lock three times), and at 256
        connections the groups were of 44 lines without this. Where few come, it takes one turn: microseconds.

        Senders that have just been answered are about to send again. Without waiting a moment for most of them, the few
        that came too late for the last group would have a group of their own each time, and so would all others.
        """
        count = _lines_of(self._pending)
        waited = time.monotonic() - self._began_collecting
        more_come = count >= self._collected + COLLECT_PACE and waited < COLLECT_SECONDS
        more_are_due = count < self._expected and waited < EXPECT_SECONDS
        if count < COLLECT_LINES and (more_come or more_are_due):
            assert self._loop is not None
            self._collected = count
            self._loop.call_soon(self._collect)
        else:
            self._hand_over()

    def _hand_over(self) -> None:
        assert self._writer is not None
        group, self._pending = self._pending, Group()
        lines = 0
        for number, submission in enumerate(group.submissions):
            lines += len(submission.lines)
            if lines > GROUP_LINES and number:
                self._pending.submissions = group.submissions[number:]
                del group.submissions[number:]
                break
            submission.taken = True
        self._writer.put(group)

    def _finished(self, group: Group) -> None:
        """Go back to the event loop (from the writer's thread)."""
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._group_done, group)

    def _group_done(self, group: Group) -> None:
        """Tell the waiters of this group, then let the next one go."""
        self.failing = group.segment is None
        for segment in (group.segment, group.abandoned):
            if segment is not None:
                self._segments[segment.number] = segment
        group.tell()
        self._expected = _lines_of(group) * 3 // 4
        if self._pending.submissions:
            self._begin_collecting()
        else:
            self._writing = False
            if self._idle is not None and not self._idle.done():
                self._idle.set_result(None)


def _lines_of(group: Group) -> int:
    return sum([len(submission.lines) for submission in group.submissions])
