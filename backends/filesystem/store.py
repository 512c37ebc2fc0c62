"""The filesystem store: an append-only log is the truth, an index derived from it finds things.

::

    <root>/
        events/<YYYY-MM-DD>/<n>.ndjson      the log, one record a line (``backends.log``)
        index/                              where each event stands (``backends.filesystem.index``); may be deleted
        damaged/<segment>-<offset>.line     lines whose checksum was wrong, set aside as they were found

*Stored* means: written and ``fdatasync``ed, with the names of new files synced too. The newest events are found in
memory, the index is written behind them; what it had not yet written when the process ended is read again from the
log's tail.

The caller owns the root (``backends.lock.DirectoryLock``), except for a store opened ``read_only``, which reads what is
there beside a running server.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from backends.base import Arrival, Event, EventStore, Outcome, Page, Position, Query
from backends.disk import Disk
from backends.errors import StorageFull, StoreClosed, StoreUnavailable
from backends.filesystem.admission import Admission
from backends.filesystem.catch_up import Progress, catch_up
from backends.filesystem.index import MEMORY_ROWS, Index
from backends.filesystem.record_reader import RecordReader
from backends.filesystem.tokens import newest_token, position_of, token_behind
from backends.lock import DirectoryLock
from backends.log import BEGINNING, AppendLog, LogPosition, Place, translate_os_error
from backends.statistics import Statistic
from backends.threads import DaemonThreads

SEGMENT_BYTES: Final = 256 * 1024 * 1024
READERS: Final = 4
TIMEOUT: Final = 10.0
TAIL_EVENTS: Final = 500
TAIL_BYTES: Final = 4 * 1024 * 1024
LEAST_FREE_BYTES: Final = 4 * 1024 * 1024
_LEAST_CLOSING_SECONDS: Final = 1.0
_LOGGER: Final = logging.getLogger(__name__)


Result = TypeVar("Result")


class FilesystemStore(EventStore):
    """See the module.

    Args:
        root: the data directory, made when missing.
        read_only: open beside a running server; ``put`` and ``ping`` raise ``StoreUnavailable``.
        disk: the system calls.
        segment_bytes: size at which a segment of the log is sealed.
        memory_rows: how many of the newest events the index keeps in memory before it writes them.
        lock: taken while the store is open, where the caller does not own the root.
        timeout: seconds after which a call that the disk does not answer fails, and closing leaves such a disk.
        progress: told about the reading of the log at the start, when there is something to read.

    """

    def __init__(
        self,
        root: Path,
        *,
        read_only: bool = False,
        disk: Disk | None = None,
        segment_bytes: int = SEGMENT_BYTES,
        memory_rows: int = MEMORY_ROWS,
        lock: DirectoryLock | None = None,
        timeout: float = TIMEOUT,
        progress: Progress | None = None,
    ) -> None:
        self.root = root
        self.disk = disk or Disk()
        self.log = AppendLog(
            root / "events", disk=self.disk, segment_bytes=segment_bytes, read_only=read_only, timeout=timeout
        )
        self.index = Index(root / "index", disk=self.disk, memory_rows=memory_rows)
        self._reader = RecordReader(self.log, self.disk, None if read_only else root / "damaged")
        self._read_only = read_only
        self._lock = lock
        self._timeout = timeout
        self._progress = progress
        self._watch: asyncio.Task[None] | None = None
        self._admission = Admission(self.log, self.index, self._read_first, timeout)
        self._readers: DaemonThreads | None = None
        self._accepting = False
        self._is_stopped = False
        self._opening_hangs = False

    async def __aenter__(self) -> Self:
        self._readers = DaemonThreads(READERS, "store-reader")
        try:
            if self._lock is not None:
                await self._in_opening_thread(self._lock.__enter__)
            # The index first: a log that is read later, beside its writer, reaches as far.
            start = await self._in_opening_thread(partial(self.index.open, read_only=self._read_only))
            await self.log.__aenter__()
            await self._in_opening_thread(partial(self._catch_up, start))
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        self._accepting = True
        self._watch = asyncio.create_task(self._admission.give_up_when_late(), name="store-watch")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close as the contract says, but leave a disk that does not answer within ``timeout``.

        What was in flight then fails with ``StoreUnavailable``. A lock of ours is kept: the system lets it go with the
        process, when nothing of it can reach the disk any more.
        """
        readers = self._readers
        if readers is None:
            return
        self._accepting = False
        started = time.monotonic()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._timeout):
                await self._admission.finish()
        if self._watch is not None:
            self._watch.cancel()
        await self.log.__aexit__(None, None, None)
        is_closed = await self._close_index(started)
        readers.shutdown(wait=False)
        if self._lock is not None and is_closed:
            self._lock.__exit__(None, None, None)
        self._readers = None

    async def prepare(self, schemas: Mapping[tuple[str, int], Mapping[str, Any]]) -> None:  # noqa: ARG002, D102
        self._require_open()

    async def put(self, events: Sequence[Event]) -> list[Outcome]:  # noqa: D102
        if self._read_only or not self._accepting:
            self._require_writable()
        return await self._admission.put(events)

    async def get(self, uuid: str) -> bytes | None:  # noqa: D102
        self._require_open()
        places = self.index.find_places(uuid)
        if not places:
            return None
        # As in _read_first: a coroutine less for what is found in the cache.
        record = self._reader.first_cached(uuid, places)
        return record if record is not None else await self._in_thread(self._reader.first, uuid, places)

    async def find(self, query: Query, *, limit: int, max_bytes: int) -> Page:  # noqa: D102
        self._require_open()
        return await self._in_thread(self._find, query, limit, max_bytes)

    async def tail(self, token: str | None = None) -> AsyncIterator[Arrival]:  # noqa: D102
        self._require_open()
        lines = self.log.scan(BEGINNING if token is None else await self._in_thread(position_of, self.log, token))
        while block := await self._in_thread(self._read_block, lines):
            for place, event in block:
                if event is not None:
                    yield Arrival(event, token_behind(place))

    def newest_token(self) -> str | None:
        """Return the token of ``tail`` that stands behind all that is stored; None when nothing is.

        What a ``put`` that has not returned stored may lie before it or behind it.
        """
        return newest_token(self.log)

    async def ping(self) -> None:  # noqa: D102
        self._require_writable()
        if await self._in_thread(self._free_bytes) < LEAST_FREE_BYTES:
            msg = f"less than {LEAST_FREE_BYTES} bytes are free on the disk"
            raise StorageFull(msg)
        await self.log.probe()
        await self._admission.wait_for_index()

    def statistics(self) -> list[Statistic]:  # noqa: D102
        index = self.index.statistics()
        return [
            *self.log.statistics.describe(),
            Statistic("log_segments", "Segment files of the log", len(self.log.segments())),
            Statistic("damaged_records", "Records found damaged since the start", len(self._reader.damaged)),
            Statistic("index_rows", "Events in the index", index.rows),
            Statistic("index_memory_rows", "Events of the index that are in no file yet", index.memory_rows),
            Statistic("index_runs", "Runs that a look-up goes through", index.runs),
            Statistic("index_bytes", "Size of the index's files", index.bytes),
            Statistic("index_merges_total", "Runs written from other runs", index.merges),
        ]

    def _require_open(self) -> None:
        if not self._accepting:
            msg = "the store is not open"
            raise StoreClosed(msg)

    def _require_writable(self) -> None:
        self._require_open()
        if self._read_only:
            msg = "the store is open for reading only"
            raise StoreUnavailable(msg)

    async def _in_thread(self, work: Callable[..., Result], *arguments: Any) -> Result:
        readers = self._readers
        if readers is None:
            msg = "the store is not open"
            raise StoreClosed(msg)
        try:
            async with asyncio.timeout(self._timeout):
                return await asyncio.get_running_loop().run_in_executor(readers, partial(work, *arguments))
        except TimeoutError:
            msg = "the disk has not answered in time"
            raise StoreUnavailable(msg) from None

    async def _in_opening_thread(self, work: Callable[[], Result]) -> Result:
        """Run a part of the opening; cancelled, wait for it to end: nothing may be closed under it."""
        opening = asyncio.get_running_loop().run_in_executor(self._readers, work)
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            self._is_stopped = self._opening_hangs = True
            done, _ = await asyncio.wait((opening,), timeout=self._timeout)
            self._opening_hangs = not done
            if done:
                opening.exception()
            raise
        except OSError as error:
            raise translate_os_error(error) from error

    async def _close_index(self, started: float) -> bool:
        """Close the index; tell whether nothing is left that could still reach the disk."""
        if self._opening_hangs:
            _LOGGER.error("%s was closed while it opened, since the disk does not answer", self.root)
            return False
        patience = 0 if self.log.hung else self._timeout - (time.monotonic() - started)
        in_time = await asyncio.to_thread(self.index.close, max(_LEAST_CLOSING_SECONDS, patience))
        if self.index.problem is not None:
            _LOGGER.warning("%s; what it lacks is read from the log at the next start", self.index.problem)
        return in_time and not self.log.hung

    def _catch_up(self, start: LogPosition) -> None:
        catch_up(
            start,
            self.index,
            self.log,
            self._reader,
            read_only=self._read_only,
            is_stopped=lambda: self._is_stopped,
            progress=self._progress,
        )

    async def _read_first(self, uuid: str, places: Sequence[Place]) -> bytes | None:
        record = self._reader.first_cached(uuid, places)
        return record if record is not None else await self._in_thread(self._reader.first, uuid, places)

    def _read_block(self, lines: Iterator[tuple[Place, bytes]]) -> list[tuple[Place, Event | None]]:
        block, size = [], 0
        for place, line in lines:
            block.append((place, self._reader.event(place, line)))
            size += place.length
            if len(block) >= TAIL_EVENTS or size >= TAIL_BYTES:
                break
        return block

    def _find(self, query: Query, limit: int, max_bytes: int) -> Page:
        records: list[bytes] = []
        size, last = 0, query.after
        while True:
            entries = self.index.list_entries(query._replace(after=last), limit=limit - len(records) + 1)
            for entry in entries:
                if len(records) == limit:
                    return Page(records, last)
                record = self._reader.intact(entry.place)
                if record is not None:
                    if records and size + len(record) > max_bytes:
                        return Page(records, last)
                    records.append(record)
                    size += len(record)
                last = Position(entry.at, entry.uuid)
            if len(entries) <= limit - len(records):
                return Page(records, None)

    def _free_bytes(self) -> int:
        try:
            return self.disk.free_bytes(self.root)
        except OSError as error:
            msg = f"the data directory can't be read: {error.strerror}"
            raise StoreUnavailable(msg) from error
