"""The index of the log: where the event with a uuid stands, and the orders that lists run in.

::

    <directory>/
        manifest.json       which runs there are, and up to where in the log they are complete
        00000012.run        immutable: rows of events sorted by digest of the uuid, by system, by type, by time

It is derived from the log. Events are added in memory, after they were made durable there; full memory tables become
runs, and four runs of about one size become one (``backends.filesystem.maintenance``). A run is synced before the
manifest names it, and the manifest is replaced atomically: so after a power cut the index is whole up to the position
that it gives, and the caller adds again what lies behind that in the log. An index that is missing, damaged or of
another layout is begun anew. On a full disk what a start adds stays in memory, within a limit, until there is room.
"""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from backends.base import Event, Query
from backends.disk import Disk
from backends.errors import StorageFull
from backends.filesystem.listing import list_entries
from backends.filesystem.maintenance import Maintenance
from backends.filesystem.manifest import EventType, Manifest
from backends.filesystem.opening import begin_anew, open_files
from backends.filesystem.rows import Entry, digest_of
from backends.filesystem.run import FILTER_MASKS, Run
from backends.filesystem.run_file import verify_run
from backends.filesystem.snapshot import SharedSnapshot
from backends.filesystem.statistics import IndexStatistics
from backends.log import BEGINNING, LogPosition, Place, translate_os_error

MEMORY_ROWS: Final = 32_768
MOST_WAITING_ON_A_FULL_DISK: Final = 200
"""Memory tables' worth of rows that a start may keep in memory: 6.5 million events, of 170 bytes each."""
_MOST_WAITING: Final = 4
_MOST_FROZEN: Final = 2
_POLL_SECONDS: Final = 0.01

__all__ = ["MEMORY_ROWS", "Entry", "Index", "IndexStatistics"]


class Index:
    """Finds the places of events.

    ``add``, ``mark_complete`` and ``find_places`` are called by one thread, the event loop's; ``list_entries`` and
    ``verify`` by any, meanwhile. Nothing is durable but what a run holds: the caller reads the rest from the log again.

    Args:
        directory: made when missing; one process owns it.
        disk: the system calls that write.
        memory_rows: about so many events are kept in memory before they become a run.

    """

    def __init__(self, directory: Path, *, disk: Disk, memory_rows: int = MEMORY_ROWS) -> None:
        self._directory = directory
        self._disk = disk
        self._memory_rows = memory_rows
        self._read_only = False
        self._last_problem: str | None = None
        self._secret = b""
        self._event_types: dict[EventType, int] = {}
        self._complete_up_to = BEGINNING
        self._shared = SharedSnapshot()
        self._memory = self._shared.current.active
        self._maintenance: Maintenance | None = None

    def open(self, *, read_only: bool = False) -> LogPosition:
        """Open what is there, or begin anew; blocking, a few milliseconds whatever the size.

        Args:
            read_only: beside the process that owns the directory: nothing is written, what is added stays in memory.

        Returns:
            The position before which everything is in the index; the beginning when it is new. The caller adds all
            events from there on.

        Raises:
            OSError: the directory can't be made or changed.

        """
        self._read_only = read_only
        self._start(*open_files(self._disk, self._directory, read_only=read_only))
        return self._complete_up_to

    def close(self, timeout: float | None = None) -> bool:
        """Write what is in memory, so that nothing need be read again, and let go of all files; blocking. Idempotent.

        When that fails ``problem`` says why, and the next start reads it from the log.

        Args:
            timeout: seconds that it may take.

        Returns:
            Whether it took no longer. Else a thread is still there, and waits for the disk.

        """
        in_time = True
        if self._maintenance is not None:
            self._freeze()
            in_time = self._maintenance.finish(self._complete_up_to, timeout)
            self._last_problem = self._maintenance.problem if in_time else "the index was not written in time"
            self._maintenance = None
        self._use([])
        return in_time

    def discard(self) -> None:
        """Begin anew, empty, as if there had been no index; blocking.

        Raises:
            OSError: the directory can't be changed.

        """
        if self._maintenance is not None:
            self._maintenance.stop()
        self._start(begin_anew(self._disk, self._directory, read_only=self._read_only), [])

    def add(self, event: Event, place: Place) -> None:
        """Add one event, as ``add_all`` does."""
        self.add_all((event,), (place,), self.digests((event.uuid,)))

    def digests(self, uuids: Iterable[str]) -> list[bytes]:
        """Return the digests by which uuids are found in runs.

        Args:
            uuids: 36 characters, lower case.

        """
        secret = self._secret
        return [digest_of(secret, uuid) for uuid in uuids]

    def add_all(self, events: Sequence[Event], places: Sequence[Place], digests: Sequence[bytes]) -> None:
        """Add events that are durable in the log; they are found from now on.

        Args:
            events: their keys are kept, their records are not. Event types are few: a new one is remembered for good.
            places: of their records. Of several with one uuid the newest place is found first and listed.
            digests: of their uuids; to find them new has taken these already.

        """
        known = self._event_types
        keys = [(event.event_type_id, event.event_type_version) for event in events]
        for key in keys:
            if key not in known:
                known[key] = len(known)
        self._memory.add_all(events, [known[key] for key in keys], places, digests)

    def mark_complete(self, position: LogPosition) -> None:
        """Tell that everything before a position was added; here a memory table ends when it is full.

        To be called after each group of events; between two calls memory grows with every event.
        """
        self._complete_up_to = position
        if len(self._memory) >= self._memory_rows and not self._read_only:
            self._freeze()

    def find_all_places(self, uuids: Sequence[str], digests: Sequence[bytes]) -> dict[str, Sequence[Place]]:
        """Return what ``find_places`` does for each of many uuids, without those that are new.

        Run by run for all of them; uuid by uuid takes three times as long.
        """
        return self._shared.current.find_all(uuids, digests)

    def find_places(self, uuid: str, digest: bytes | None = None) -> Sequence[Place]:
        """Return where the event with this uuid may stand, newest first; mostly none or one.

        What is in memory is exact. Of what is in runs a digest is compared: the record at the place decides.

        Args:
            uuid: 36 characters, lower case.
            digest: of the uuid, where it is known already.

        """
        snapshot = self._shared.current
        for memory in (snapshot.active, *reversed(snapshot.frozen)) if snapshot.frozen else (snapshot.active,):
            place = memory.find(uuid)
            if place is not None:
                return (place,)
        if digest is None:
            digest = digest_of(self._secret, uuid)
        prefix = int.from_bytes(digest[:4], "big")
        mask = FILTER_MASKS[digest[-1]]
        places: list[Place] = []
        for data, start, shift, run in snapshot.lookups:
            if data[start + (prefix >> shift)] & mask == mask:
                places += run.find(digest)
        return sorted(set(places), reverse=True) if len(places) > 1 else places

    def list_entries(self, query: Query, *, limit: int) -> list[Entry]:
        """Return the first entries of a list, behind ``query.after``, in the list's order; blocking.

        Holds everything that was added before the call. An event that was added twice appears once, with its newest
        place; if its keys were not the same, once for each. Fewer than ``limit`` means that the list ends.

        Args:
            query: conditions, direction, starting position.
            limit: the most entries, 1 or more.

        """
        event_types = None
        if query.event_type_id is not None:
            event_types = [
                number
                for (event_type_id, version), number in list(self._event_types.items())
                if event_type_id == query.event_type_id and query.event_type_version in {None, version}
            ]
        return list_entries(self._shared.current, query, event_types=event_types, limit=limit)

    @property
    def problem(self) -> str | None:
        """Why the index can't be written (once closed: was not), in plain words, or None. It tries again by itself."""
        return self._maintenance.problem if self._maintenance else self._last_problem

    @property
    def is_behind(self) -> bool:
        """Whether so much waits to be written that the caller should add no more."""
        snapshot = self._shared.current
        return len(snapshot.frozen) + len(snapshot.packed) >= _MOST_WAITING or len(snapshot.frozen) >= _MOST_FROZEN

    async def wait_until_caught_up(self) -> None:
        """Return when it is not behind; an attempt that fails meanwhile raises its ``OSError``. Set a time limit."""
        maintenance = self._maintenance
        if maintenance is None or not self.is_behind:
            return
        failures = maintenance.failures
        maintenance.retry()
        while self.is_behind:
            if maintenance.failures != failures and maintenance.error is not None:
                raise maintenance.error
            await asyncio.sleep(_POLL_SECONDS)

    def takes_more(self) -> bool:
        """Tell whether a start may go on adding. It may though the index is behind, where that is for lack of room.

        Else a full disk would keep the server from starting. What there is no room for waits in memory, packed.

        Raises:
            StorageFull: memory has its fill too: ``MOST_WAITING_ON_A_FULL_DISK``.
            OSError: it is behind, and can't be written for another reason.

        """
        snapshot, maintenance = self._shared.current, self._maintenance
        if maintenance is None or not self.is_behind:
            return True
        if maintenance.problem is None or maintenance.error is None:
            return False
        if not isinstance(translate_os_error(maintenance.error), StorageFull):
            raise maintenance.error
        if len(snapshot.frozen) + len(snapshot.packed) >= MOST_WAITING_ON_A_FULL_DISK:
            rows = self.statistics().memory_rows
            msg = f"there is no room on the disk for the index, and with {rows} events of it memory has its fill"
            raise StorageFull(msg)
        return len(snapshot.frozen) < _MOST_FROZEN

    def statistics(self) -> IndexStatistics:
        """Return figures for metrics."""
        maintenance = self._maintenance
        flushes, merges = (maintenance.flushes, maintenance.merges) if maintenance else (0, 0)
        return IndexStatistics.of(self._shared.current, flushes=flushes, merges=merges)

    def verify(self) -> Iterator[str]:
        """Read all files of the index, check checksums and order, and yield a sentence for each problem; blocking."""
        for run in self._shared.current.written:
            problems = list(verify_run(self._disk, self._directory, run))
            if run in self._shared.current.written:  # else merged into another one meanwhile, and removed
                yield from problems

    def _start(self, manifest: Manifest, runs: list[Run]) -> None:
        self._secret = manifest.secret
        self._event_types = {event_type: number for number, event_type in enumerate(manifest.event_types)}
        self._complete_up_to = manifest.complete_up_to
        self._use(runs)
        if not self._read_only:
            self._maintenance = Maintenance(
                self._directory,
                disk=self._disk,
                shared=self._shared,
                manifest=manifest,
                event_types=lambda: list(self._event_types),
                memory_rows=self._memory_rows,
            )
            self._maintenance.start()

    def _use(self, runs: list[Run]) -> None:
        self._shared = SharedSnapshot()
        self._shared.replace_written([], runs)
        self._memory = self._shared.current.active

    def _freeze(self) -> None:
        if self._memory and self._maintenance is not None:
            self._memory.complete_up_to = self._complete_up_to
            self._shared.freeze()
            self._memory = self._shared.current.active
            self._maintenance.wake()
