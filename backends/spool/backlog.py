"""What waits for the backend: it is taken here, judged by, read, and let go.

The log is the filesystem store's, and so is what decides which event goes into it (``Admission``): a uuid that waits
here is here once, and what was acknowledged is synced.
"""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from backends.base import Event, Outcome, Query, Status
from backends.disk import Disk
from backends.errors import StorageFull
from backends.filesystem.admission import Admission, judge
from backends.filesystem.rows import Entry
from backends.log import LogPosition, Place
from backends.record import received_of
from backends.spool.ledger import Ledger, Sizes, end_of

LEAST_FREE_BYTES: Final = 4 * 1024 * 1024
_LEAST_ROOM: Final = 1024 * 1024
"""The largest event should fit; a small spool is full when an eighth of it is left."""
_SPOOLED: Final = Outcome(Status.SPOOLED)


class Bulk(NamedTuple):
    """The next lines of the log."""

    lines: list[tuple[Place, Event | None]]
    """None for a line that is damaged; it was reported and set aside."""

    @property
    def events(self) -> list[Event]:
        """Those that are whole."""
        return [event for _, event in self.lines if event is not None]

    @property
    def end(self) -> LogPosition:
        """The position behind the last line; there must be one."""
        return end_of(self.lines[-1][0])


class Backlog:
    """See the module.

    Args:
        directory: made when missing; the caller owns it.
        disk: the system calls.
        sizes: its bounds.
        timeout: seconds after which a call that the disk does not answer fails.

    """

    def __init__(self, directory: Path, *, disk: Disk, sizes: Sizes, timeout: float) -> None:
        self.ledger = Ledger(directory, disk=disk, sizes=sizes, timeout=timeout)
        self.threads = self.ledger.threads
        self.reader = self.ledger.reader
        self.sizes = sizes
        self._timeout = timeout
        self._admission = self._new_admission()
        self._watch: asyncio.Task[None] | None = None
        self._puts = 0
        self._reserved = 0
        self._pins: list[LogPosition] = []

    async def open(self) -> None:
        """Recover what is on disk.

        Raises:
            StorageFull, StoreUnavailable: it can't be read, or not be made.

        """
        await self.ledger.open()
        self._begin_admission()
        await self._remove_drained()

    async def close(self) -> None:
        """Finish what is in flight, and close. Idempotent."""
        await self._admission.finish()
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        await self.ledger.close()

    @property
    def events(self) -> int:
        """How many lines wait."""
        return self.ledger.index.events

    @property
    def size(self) -> int:
        """How many bytes wait."""
        return self.ledger.index.bytes

    @property
    def oldest(self) -> str | None:
        """``@received`` of the event that has waited longest."""
        return self.ledger.index.oldest if self.events else None

    @property
    def is_untouched(self) -> bool:
        """Whether nothing waits, and nothing is on its way here."""
        return not self.ledger.index.events and self._admission.is_idle

    def find_places(self, uuids: Sequence[str], behind: LogPosition | None = None) -> dict[str, Sequence[Place]]:
        """Return where events with these uuids may wait; those that do not are left out.

        Args:
            uuids: in lower case.
            behind: take what begins at or behind this position for what waits.

        """
        index = self.ledger.index
        if behind is None and not index.events:
            return {}
        return index.find_behind(index.drained if behind is None else behind, uuids)

    def may_know(self, uuid: str) -> bool:
        """Tell whether an event with this uuid may wait, or be on its way here; quicker than the two that follow."""
        index = self.ledger.index
        return bool(index.events and index.find_places(uuid)) or self._admission.is_in_flight(uuid)

    def is_in_flight(self, uuid: str) -> bool:
        """Tell whether an event with this uuid is on its way into the log, though perhaps nobody waits for it."""
        return self._admission.is_in_flight(uuid)

    async def first(self, uuid: str, places: Sequence[Place]) -> bytes | None:
        """Return the record of that event from the first of the places that has it whole. Hold a pin meanwhile.

        Raises:
            StoreUnavailable: the log can't be read.

        """
        record = self.reader.first_cached(uuid, places)
        return record if record is not None else await self.threads.run(self.reader.first, uuid, places)

    async def judge(self, event: Event, places: Sequence[Place]) -> Outcome | None:
        """Judge an event against the one that waits at these places; None when no event with its uuid does."""
        record = await self.first(event.uuid, places)
        return None if record is None else await judge(event, record)

    async def put(self, events: Sequence[Event]) -> list[Outcome]:
        """Keep events as ``EventStore.put`` promises; what is new is ``SPOOLED``.

        Raises:
            StorageFull, StoreUnavailable: nothing of this call is acknowledged.

        """
        size = sum([len(event.record) for event in events]) + len(events)
        if self.size + self._reserved + size > self.sizes.max_bytes:
            raise StorageFull("the spool is full")
        self._reserved += size
        self._puts += 1
        try:
            outcomes = await self._admission.put(events)
        finally:
            self._reserved -= size
            self._puts -= 1
        return [_SPOOLED if outcome.status is Status.STORED else outcome for outcome in outcomes]

    async def check(self) -> None:
        """Return when an event could be taken now.

        Raises:
            StorageFull, StoreUnavailable: it could not.

        """
        room = self.sizes.max_bytes - self.size - self._reserved
        if room < min(_LEAST_ROOM, self.sizes.max_bytes // 8):
            raise StorageFull("the spool is full")
        if await self.threads.run(self.ledger.disk.free_bytes, self.ledger.directory) < LEAST_FREE_BYTES:
            raise StorageFull(f"less than {LEAST_FREE_BYTES} bytes are free on the spool's disk")
        await self.ledger.log.probe()
        await self._admission.wait_for_index()

    @contextmanager
    def pinned(self) -> Iterator[LogPosition]:
        """Keep the files of all that waits now, for the time of the block; gives the position where it begins."""
        position = self.ledger.index.drained
        self._pins.append(position)
        try:
            yield position
        finally:
            self._pins.remove(position)

    def list_entries(self, query: Query, *, limit: int) -> list[Entry]:
        """Return the first entries of a list; blocks. Some may be drained already: their place tells."""
        return self.ledger.index.list_entries(query, limit=limit)

    async def read(self, start: LogPosition, *, most: int, max_bytes: int) -> Bulk:
        """Return the lines from a position on, but one at least if there is any.

        Raises:
            StoreUnavailable: the log can't be read.

        """
        log, index = self.ledger.log, self.ledger.index
        end = log.end
        bulk = await self.threads.run(self._read, start, most, max_bytes)
        if not bulk.lines and start == index.drained and end == log.end:
            # A segment was begun, and there is nothing in it.
            index.drained, index.events, index.bytes = end, 0, 0
        return bulk

    def begin(self, bulk: Bulk) -> None:
        """Take note that these lines are the next ones to go."""
        for _, event in bulk.lines[:1]:
            self.ledger.index.oldest = event and received_of(event.record)

    async def advance(self, lines: Sequence[Place]) -> None:
        """Let go of the lines that were next: they have reached the backend, durably."""
        await self.ledger.advance(lines)
        await self._remove_drained()

    async def tidy(self) -> None:
        """Give back the room of what is drained; an empty spool begins a new index."""
        await self._remove_drained()
        await self.ledger.renew_index(
            lambda: not self._puts and not self._pins and self.is_untouched, self._begin_admission
        )

    def _read(self, start: LogPosition, most: int, max_bytes: int) -> Bulk:
        bulk, size = Bulk([]), 0
        for place, line in self.ledger.log.scan(start):
            size += place.length
            if bulk.lines and (len(bulk.lines) == most or size > max_bytes):
                break
            bulk.lines.append((place, self.reader.event(place, line)))
        return bulk

    async def _remove_drained(self) -> None:
        await self.ledger.remove_before(min([*self._pins, self.ledger.index.drained]))

    def _begin_admission(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
        self._admission = self._new_admission()
        self._watch = asyncio.create_task(self._admission.give_up_when_late(), name="spool-watch")

    def _new_admission(self) -> Admission:
        return Admission(self.ledger.log, self.ledger.index, self.first, self._timeout)
