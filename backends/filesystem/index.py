"""The index of the log: where the event with a uuid stands, and the orders that lists run in.

::

    <directory>/
        manifest.json       which runs there are, and up to where in the log they are complete
        00000012.run        immutable: rows of events sorted by digest of the uuid, by system, by type, by time

It is derived from the log. Events are added in memory, after they were made durable there; full memory tables become
runs, and four runs of about one size become one (``backends.filesystem.maintenance``). A run is synced before the
manifest names it, and the manifest is replaced atomically: so after a power cut the index is whole up to the position
that it gives, and the caller adds again what lies behind that in the log. An index that is missing, damaged or of
another layout is begun anew.
"""

import asyncio
import errno
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from backends.base import Event, Query
from backends.disk import Disk
from backends.filesystem.listing import list_entries
from backends.filesystem.maintenance import Maintenance
from backends.filesystem.manifest import FILE_NAME, EventType, Manifest, read_manifest
from backends.filesystem.rows import Entry, digest_of
from backends.filesystem.run import FILTER_MASKS, Run, find_candidates, open_run
from backends.filesystem.run_file import verify_run
from backends.filesystem.snapshot import SharedSnapshot
from backends.log import LogPosition, Place

MEMORY_ROWS: Final = 32_768
_MOST_WAITING: Final = 4
_MOST_FROZEN: Final = 2
_POLL_SECONDS: Final = 0.01
_OPEN_ATTEMPTS: Final = 10
_BEGINNING: Final = LogPosition(0, 0)

__all__ = ["MEMORY_ROWS", "Entry", "Index", "IndexStatistics"]


class IndexStatistics(NamedTuple):
    """Figures of an index at one moment."""

    rows: int
    """Events in all; one that was added twice may count twice until its rows meet in a merge."""
    runs: int
    """Runs that are looked up, in files and in memory."""
    memory_rows: int
    """Events that are in no file yet."""
    flushes: int
    """Runs written from memory since it was opened."""
    merges: int
    """Runs written from other runs since it was opened."""
    bytes: int
    """Size of all files of runs."""


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
        self._complete_up_to = _BEGINNING
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
        if not read_only:
            self._disk.make_directory(self._directory)
        self._start(*self._read())
        return self._complete_up_to

    def close(self) -> None:
        """Write what is in memory, so that nothing need be read again, and let go of all files; blocking. Idempotent.

        When that fails ``problem`` says why, and the next start reads it from the log.
        """
        if self._maintenance is not None:
            self._freeze()
            self._maintenance.finish(self._complete_up_to)
            self._last_problem = self._maintenance.problem
            self._maintenance = None
        self._use([])

    def discard(self) -> None:
        """Begin anew, empty, as if there had been no index; blocking.

        Raises:
            OSError: the directory can't be changed.

        """
        if self._maintenance is not None:
            self._maintenance.stop()
        self._start(self._new_manifest(), [])

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
        snapshot = self._shared.current
        found: dict[str, Sequence[Place]] = {}
        for memory in (*snapshot.frozen, snapshot.active):
            found |= {uuid: (place,) for uuid in memory.known(uuids) if (place := memory.find(uuid)) is not None}
        in_runs: dict[str, set[Place]] = {}
        for number, run in find_candidates(snapshot.lookups, digests):
            if uuids[number] not in found:
                in_runs.setdefault(uuids[number], set()).update(run.find(digests[number]))
        return found | {uuid: sorted(places, reverse=True) for uuid, places in in_runs.items() if places}

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

    def raise_failure(self) -> None:
        """Raise the ``OSError`` of the last attempt to write, if that failed."""
        if self._maintenance is not None and self._maintenance.problem and self._maintenance.error is not None:
            raise self._maintenance.error

    def statistics(self) -> IndexStatistics:
        """Return figures for metrics."""
        snapshot = self._shared.current
        waiting = [*map(len, (snapshot.active, *snapshot.frozen)), *(run.row_count for run in snapshot.packed)]
        return IndexStatistics(
            rows=sum(waiting) + sum(run.row_count for run in snapshot.written),
            runs=len(snapshot.lookups),
            memory_rows=sum(waiting),
            flushes=self._maintenance.flushes if self._maintenance else 0,
            merges=self._maintenance.merges if self._maintenance else 0,
            bytes=sum(run.description.size for run in snapshot.written),
        )

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

    def _read(self) -> tuple[Manifest, list[Run]]:
        for _ in range(_OPEN_ATTEMPTS):
            try:
                manifest = read_manifest(self._disk, self._directory)
                return manifest, [open_run(self._disk, self._directory, run) for run in manifest.runs]
            except FileNotFoundError:
                # Beside the owner: it may have put another manifest into place, and removed files, since it was read.
                if not self._read_only:
                    break
            except ValueError:
                break
            except OSError as error:
                if error.errno != errno.EIO:
                    raise
                break
        return self._new_manifest(), []

    def _new_manifest(self) -> Manifest:
        if not self._read_only:
            self._disk.remove(self._directory / FILE_NAME)
            self._disk.sync_directory(self._directory)
        return Manifest(os.urandom(16), _BEGINNING, [], [])
