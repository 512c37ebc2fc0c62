"""The log as its users see it, on their event loop."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from backends.disk import Disk
from backends.errors import StoreClosed, StoreError, StoreUnavailable
from backends.log.reading import LogReader
from backends.log.segments import Place, Recovered, recover_segments, utc_day
from backends.log.writer import Done, Group, LogStatistics, LogWriter, Submission, translate_os_error
from backends.threads import DaemonThreads

SEGMENT_BYTES: Final = 256 * 1024 * 1024
TIMEOUT: Final = 10.0
GROUP_LINES: Final = 5_000
"""So many lines are told of in one turn of the loop; a larger submission is a group of its own."""
COLLECT_LINES: Final = 512
COLLECT_PACE: Final = 8
COLLECT_SECONDS: Final = 0.005
EXPECT_SECONDS: Final = 0.001
"""So long a group waits for the senders whose lines the group before it held."""
_LEAST_CLOSING_SECONDS: Final = 1.0
_UNANSWERED: Final = "the disk has not answered in time"
_LOGGER: Final = logging.getLogger(__name__)


class AppendLog(LogReader):
    """An append-only log of lines in a directory that one process owns.

    Use it with ``async with``; it belongs to that event loop. Reading methods may be called from any thread.

    Args:
        directory: made when missing.
        disk: the system calls.
        segment_bytes: a segment that would grow over this is sealed first.
        read_only: open beside a running writer, to read what is there now.
        today: the UTC day for new segments, ``YYYY-MM-DD``.
        timeout: seconds after which closing leaves a disk that does not answer.

    """

    def __init__(
        self,
        directory: Path,
        *,
        disk: Disk | None = None,
        segment_bytes: int = SEGMENT_BYTES,
        read_only: bool = False,
        today: Callable[[], str] = utc_day,
        timeout: float = TIMEOUT,
    ) -> None:
        super().__init__(directory, disk or Disk())
        self.failing = False
        """Whether the last write failed, and no later one has succeeded."""
        self.hung = False
        """Whether it was closed though the disk did not answer: a thread is still there, and waits for it."""
        self.statistics = LogStatistics()
        self._segment_bytes = segment_bytes
        self._read_only = read_only
        self._today = today
        self._timeout = timeout
        self._loop: asyncio.AbstractEventLoop | None = None
        self._writer: LogWriter | None = None
        self._is_open = self._accepting = False
        self._pending = Group()
        self._under_way: Group | None = None
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
        opening = DaemonThreads(1, "log-opening")
        try:
            recovered = await self._loop.run_in_executor(opening, self._recover)
        except OSError as error:
            raise translate_os_error(error) from error
        finally:
            opening.shutdown(wait=False)
        self._begin(recovered)
        self._is_open = True
        self._accepting = not self._read_only
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write and sync what was appended, then close. Idempotent.

        A disk that does not answer gets as long as ``timeout`` says, from when it was asked. What it has not synced
        then fails as ``StoreUnavailable`` and is left; after a restart it may be there, as after a kill.
        """
        self._is_open = self._accepting = False
        writer = self._writer
        if writer is not None and not self.hung:
            started = time.monotonic()
            is_idle = await self._wait_until_idle(started)
            patience = max(_LEAST_CLOSING_SECONDS, started + self._timeout - time.monotonic()) if is_idle else 0
            if await asyncio.to_thread(writer.close, patience) and is_idle:
                self._writer = None
            else:
                self._leave()
        self._reader.close()

    async def append(self, lines: Sequence[bytes]) -> list[Place]:
        """Append lines, next to each other and in order, and return their places once they are synced.

        A cancelled call may still take effect.

        Raises:
            StorageFull, StoreUnavailable: none of the lines is in the log, nor will be once another line is, or the log
                was closed. (What a kill cut short, or a disk left unanswered at the closing, may be found whole.)
            StoreUnavailable: it is open for reading only.
            StoreClosed: the log is not open.

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
            StoreUnavailable: the log is open for reading only.
            StoreClosed: the log is not open.

        """
        if not self._accepting:
            raise self._refusal()
        submission = Submission(lines, done)
        self._pending.submissions.append(submission)
        if not self._writing:
            self._writing = True
            self._begin_collecting()
        return submission

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
            StorageFull, StoreUnavailable: it could not, the disk owes an answer for longer than ``timeout``, or the log
                is open for reading only.
            StoreClosed: the log is not open.

        """
        if not self._accepting:
            raise self._refusal()
        if self._writing and time.monotonic() > self._began_collecting + self._timeout:
            raise StoreUnavailable(_UNANSWERED)
        if self.failing:
            await self.append(())

    def _recover(self) -> Recovered:
        if not self._read_only:
            self.disk.make_directory(self.directory)
        return recover_segments(self.directory, self.disk, settle=not self._read_only)

    def _begin(self, recovered: Recovered) -> None:
        self._segments = {segment.number: segment for segment in recovered.segments}
        self.statistics.torn_bytes = recovered.torn_bytes
        self.hung = self._writing = False
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

    def _refusal(self) -> StoreError:
        if self._read_only and self._is_open:
            return StoreUnavailable("the log is open for reading only")
        return StoreClosed("the log is not open")

    async def _wait_until_idle(self, started: float) -> bool:
        # What is under way has its time since it began, what waits behind it since the closing began.
        while (
            self._writing and (patience := min(self._began_collecting, started) + self._timeout - time.monotonic()) > 0
        ):
            self._idle = asyncio.get_running_loop().create_future()
            with suppress(TimeoutError):
                async with asyncio.timeout(patience):
                    await self._idle
        return not self._writing

    def _leave(self) -> None:
        """Let all go who wait for a disk that does not answer; nothing was acknowledged to them."""
        self.hung = True
        error = StoreUnavailable(_UNANSWERED)
        lines = sum(group.give_up(error) for group in (self._under_way, self._pending) if group is not None)
        _LOGGER.error(
            "%s is left, the disk does not answer; unsynced lines: %d, none was acknowledged", self.directory, lines
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
        count = self._pending.line_count()
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
        self._under_way = group
        self._writer.put(group)

    def _finished(self, group: Group) -> None:
        """Go back to the event loop (from the writer's thread)."""
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._group_done, group)

    def _group_done(self, group: Group) -> None:
        """Tell the waiters of this group, then let the next one go."""
        self._under_way = None
        self.failing = group.segment is None
        for segment in (group.segment, group.abandoned):
            if segment is not None:
                self._segments[segment.number] = segment
        group.tell()
        self._expected = group.line_count() * 3 // 4
        if self._pending.submissions:
            self._begin_collecting()
        else:
            self._writing = False
            if self._idle is not None and not self._idle.done():
                self._idle.set_result(None)
