"""The files of a spool: the log, what of it is drained, and the index of the rest.

Events leave the log in order, so that one position says which are gone; a segment is removed as soon as all of it is.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from backends.disk import Disk
from backends.errors import StoreError
from backends.filesystem.catch_up import catch_up
from backends.filesystem.record_reader import RecordReader
from backends.log import BEGINNING, AppendLog, LogPosition, Place
from backends.record import is_intact, received_of
from backends.spool.live_index import LiveIndex
from backends.spool.progress import Progress, read_progress, write_progress
from backends.spool.threads import Threads

_UNSAVED_EVENTS: Final = 100_000
_LOGGER: Final = logging.getLogger(__name__)


class Sizes(NamedTuple):
    """Bounds of a spool."""

    max_bytes: int = 10 * 1024**3
    """Of the records that wait. The files take up to a segment more, and the index about 170 bytes an event."""
    segment_bytes: int = 64 * 1024**2
    """Size at which a file of the log is sealed. Room on the disk is given back by whole files."""
    memory_rows: int = 32_768
    """How many of the newest events the index keeps in memory before it writes them."""
    renew_rows: int = 250_000
    """An index with so many rows is begun anew when the spool is empty."""


class Ledger:
    """See the module.

    Args:
        directory: made when missing; the caller owns it.
        disk: the system calls.
        sizes: its bounds.
        timeout: seconds after which a call that the disk does not answer fails.

    """

    def __init__(self, directory: Path, *, disk: Disk, sizes: Sizes, timeout: float) -> None:
        self.log = AppendLog(directory / "events", disk=disk, segment_bytes=sizes.segment_bytes)
        self.reader = RecordReader(self.log, disk, directory / "damaged")
        self.threads = Threads(timeout)
        self.directory = directory
        self.disk = disk
        self._sizes = sizes
        self._timeout = timeout
        self._index_number = 0
        self.index = self._new_index(0)
        self._saved_events = 0
        self._is_open = False

    async def open(self) -> None:
        """Recover what is on disk.

        Raises:
            StorageFull, StoreUnavailable: it can't be read, or not be made.

        """
        self.threads.open()
        try:
            await self.log.__aenter__()
            await self.threads.run_to_end(self._recover)
        except BaseException:
            await self.close()
            raise
        self._is_open = True

    async def close(self) -> None:
        """Write down what saves the next start some work, and close everything. Idempotent."""
        await self.log.__aexit__(None, None, None)
        if self._is_open:
            self._is_open = False
            await self.save()
        await asyncio.to_thread(self.index.close)
        self.threads.close()

    @property
    def is_empty(self) -> bool:
        """Whether there is no line behind what is drained."""
        return self.index.drained >= self.log.end

    async def advance(self, lines: Sequence[Place]) -> None:
        """Let go of the lines that were next: they have reached the backend, durably.

        That this can't be written down is no error: the next start hands them over again.
        """
        index = self.index
        index.drained = end_of(lines[-1])
        index.events = max(0, index.events - len(lines))
        index.bytes = max(0, index.bytes - sum([place.length for place in lines]) - len(lines)) if index.events else 0
        await self.save()

    async def save(self) -> None:
        """Write down how far it is drained, and how many events wait."""
        index = self.index
        self._saved_events = index.events
        progress = Progress(index.drained, self.log.end, index.events, self._index_number)
        try:
            await self.threads.run(write_progress, self.disk, self.directory, progress)
        except StoreError as error:
            _LOGGER.warning("the progress of the spool can't be written down: %s", error)

    async def save_if_worthwhile(self) -> None:
        """Save when so many events came since the last time that counting them again would take a while."""
        if self.index.events - self._saved_events > _UNSAVED_EVENTS:
            await self.save()

    async def remove_before(self, position: LogPosition) -> None:
        """Remove the segments that end before a position; what can't be removed is left for another time."""
        numbers = [segment.number for segment in self.log.segments() if segment.number < position.segment]
        try:
            async with asyncio.timeout(self._timeout):
                await self.log.remove_segments(numbers)
        except OSError as error:  # a TimeoutError is one
            _LOGGER.warning("what is drained can't be removed from the spool: %s", error)

    async def renew_index(self, is_unused: Callable[[], bool], replaced: Callable[[], None]) -> None:
        """Put an empty index in the place of one that has grown large, in the other directory.

        Args:
            is_unused: tells whether nothing waits, and nobody is in the middle of using the index.
            replaced: called in the moment of the exchange.

        """
        if self.index.statistics().rows < self._sizes.renew_rows or not is_unused():
            return
        number = 1 - self._index_number
        index = self._new_index(number)
        try:
            await self.threads.run_to_end(_open_empty, index)
            if is_unused():
                index.drained = self.index.drained
                index.mark_complete(self.log.end)
                index, self.index, self._index_number = self.index, index, number
                replaced()
        except StoreError as error:
            _LOGGER.warning("the spool's index can't be begun anew: %s", error)
        finally:
            # The one that is not used.
            await self.threads.run_to_end(_close_empty, index)
        await self.save()

    def _recover(self) -> None:
        progress = read_progress(self.disk, self.directory)
        log, end = self.log, self.log.end
        if progress is None or not progress.drained <= progress.counted <= end:
            # What was drained is drained once more, which is harmless.
            progress = Progress(BEGINNING, BEGINNING, 0, 0)
        self._index_number = progress.index_number
        self.index = index = self._new_index(progress.index_number)
        start = max(index.open(), progress.drained)
        catch_up(start, index, log, self.reader, read_only=False, is_stopped=lambda: self.threads.stopping)
        index.drained = progress.drained
        index.events = progress.events + sum(1 for _ in log.scan(progress.counted))
        index.bytes = self._bytes_from(progress.drained) if index.events else 0
        for _, line in log.scan(progress.drained):
            index.oldest = received_of(line) if is_intact(line) else None
            break

    def _bytes_from(self, position: LogPosition) -> int:
        later = [segment for segment in self.log.segments() if segment.number >= position.segment]
        size = sum(segment.valid for segment in later)
        return size - position.offset if later and later[0].number == position.segment else size

    def _new_index(self, number: int) -> LiveIndex:
        return LiveIndex(self.directory / f"index-{number}", disk=self.disk, memory_rows=self._sizes.memory_rows)


def end_of(place: Place) -> LogPosition:
    """Return the position behind a line."""
    return LogPosition(place.segment, place.offset + place.length + 1)


def _open_empty(index: LiveIndex) -> None:
    index.open()
    index.discard()


def _close_empty(index: LiveIndex) -> None:
    try:
        index.discard()
    except OSError:
        _LOGGER.warning("an index that the spool needs no more could not be removed", exc_info=True)
    finally:
        index.close()
