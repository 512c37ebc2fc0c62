"""A log with one reader, which takes events in order and lets go of what it has delivered."""

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, Self

from backends.base import Event
from backends.disk import Disk
from backends.errors import StorageFull, StoreError, StoreUnavailable
from backends.lock import DirectoryLock
from backends.log import BEGINNING, AppendLog, LogPosition, Place
from backends.record import DamagedRecordError, read_event
from backends.spool.progress import Progress, read_progress, write_progress
from backends.spool.threads import Threads

SEGMENT_BYTES: Final = 16 * 1024**2
TIMEOUT: Final = 10.0
_LOGGER: Final = logging.getLogger(__name__)


class Waiting(NamedTuple):
    """The next line."""

    place: Place
    event: Event | None
    """None for a line that is damaged; it was reported, and stays in the file until that is removed."""


class Outbox:
    """See the package. It is used with ``async with``, and belongs to that event loop; one task reads it.

    Args:
        directory: made when missing; one process has it open.
        max_bytes: of the records that wait.
        owner: who has it open, for whoever is refused.
        disk: the system calls.
        segment_bytes: room on the disk is given back by files of this size.
        timeout: seconds after which a call that the disk does not answer fails.

    """

    def __init__(
        self,
        directory: Path,
        *,
        max_bytes: int,
        owner: str,
        disk: Disk | None = None,
        segment_bytes: int = SEGMENT_BYTES,
        timeout: float = TIMEOUT,
    ) -> None:
        self.directory = directory
        self.max_bytes = max_bytes
        self.events = 0
        """How many lines wait."""
        self.bytes = 0
        """How many bytes they have."""
        self._disk = disk or Disk()
        self._lock = DirectoryLock(directory, owner)
        self._log = AppendLog(directory / "events", disk=self._disk, segment_bytes=segment_bytes, timeout=timeout)
        self._threads = Threads(timeout)
        self._reserved = 0
        self._delivered = BEGINNING
        self._changed = asyncio.Event()

    async def __aenter__(self) -> Self:
        """Recover what is on disk.

        Raises:
            DirectoryInUse: another process has it open.
            StorageFull, StoreUnavailable: it can't be read, or not be made.

        """
        await asyncio.to_thread(self._lock.__enter__)
        self._threads.open()
        try:
            await self._log.__aenter__()
            await self._threads.run_to_end(self._recover)
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Sync what was put, and close. Idempotent."""
        await self._log.__aexit__(kind, error, trace)
        self._threads.close()
        self._lock.__exit__(None, None, None)

    async def put(self, records: Sequence[bytes]) -> None:
        """Keep records of events (``backends.record``), in order; when it returns, they are durable.

        A cancelled call may still take effect.

        Raises:
            StorageFull, StoreUnavailable, StoreClosed: none of them is kept.

        """
        size = sum([len(record) for record in records]) + len(records)
        if self.bytes + self._reserved + size > self.max_bytes:
            msg = f"{self.events} events wait already, with {self.bytes} of at most {self.max_bytes} bytes"
            raise StorageFull(msg)
        synced: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def done(places: Sequence[Place], error: StoreError | None) -> None:
            self._reserved -= size
            if error is None:
                self.events += len(places)
                self.bytes += size
                self._changed.set()
            if synced.done():
                return
            if error is None:
                synced.set_result(None)
            else:
                synced.set_exception(error)

        self._reserved += size
        try:
            self._log.submit(records, done)
        except BaseException:
            self._reserved -= size
            raise
        await synced

    async def next(self, *, most: int, max_bytes: int) -> list[Waiting]:
        """Return the lines that are next, at least one, as soon as there is one.

        Raises:
            StorageFull, StoreUnavailable: the log can't be read.

        """
        while not self.events:
            self._changed.clear()
            await self._changed.wait()
        lines = await self._threads.run(self._read, most, max_bytes)
        if not lines:
            msg = f"{self.events} events wait in {self.directory}, and its log has none of them"
            raise StoreUnavailable(msg)
        return lines

    async def advance(self, lines: Sequence[Waiting]) -> None:
        """Let go of the lines that were next.

        That this can't be written down is no error: after a restart they are delivered again.
        """
        if not lines:
            return
        last = lines[-1].place
        self._delivered = LogPosition(last.segment, last.offset + last.length + 1)
        self.events -= len(lines)
        self.bytes -= sum(line.place.length + 1 for line in lines)
        self._changed.set()
        progress = Progress(self._delivered, self._log.end, self.events, 0)
        old = [segment.number for segment in self._log.segments() if segment.number < last.segment]
        try:
            # An end of the log that is read here may be behind what ``events`` counts, never ahead of it.
            await self._threads.run(write_progress, self._disk, self.directory, progress)
            await self._log.remove_segments(old)
        except (StoreError, OSError) as error:
            _LOGGER.warning("the progress of %s can't be written down: %s", self.directory, error)

    async def wait_until_empty(self) -> None:
        """Return when nothing waits."""
        while self.events:
            self._changed.clear()
            await self._changed.wait()

    def _read(self, most: int, max_bytes: int) -> list[Waiting]:
        lines: list[Waiting] = []
        size = 0
        for place, line in self._log.scan(self._delivered):
            size += place.length
            if lines and (len(lines) == most or size > max_bytes):
                break
            try:
                lines.append(Waiting(place, read_event(line)))
            except DamagedRecordError as error:
                _LOGGER.error("segment %d of %s, offset %d: %s", place.segment, self.directory, place.offset, error)  # noqa: TRY400 - its trace tells nothing
                lines.append(Waiting(place, None))
        return lines

    def _recover(self) -> None:
        progress, end = read_progress(self._disk, self.directory), self._log.end
        if progress is not None and progress.drained <= end:
            self._delivered = progress.drained
        self.events = self.bytes = 0
        for place, _ in self._log.scan(self._delivered):
            self.events += 1
            self.bytes += place.length + 1
        if self.events:
            self._changed.set()
