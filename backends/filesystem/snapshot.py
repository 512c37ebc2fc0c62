"""What the index consists of at one moment, and the one place where that changes."""

import mmap
import threading
from collections.abc import Sequence
from typing import NamedTuple

from backends.filesystem.memory_table import MemoryTable
from backends.filesystem.run import Run, find_candidates
from backends.log import Place

Lookup = tuple[mmap.mmap | bytearray, int, int, Run]
"""``Run.filter`` and the run."""


class Snapshot(NamedTuple):
    """The parts of the index. Whoever holds a snapshot can read all of it, whatever happens meanwhile."""

    active: MemoryTable
    """Rows are added here."""
    frozen: tuple[MemoryTable, ...]
    """Full, to be packed; oldest first."""
    packed: tuple[Run, ...]
    """In memory, to be written; oldest first."""
    written: tuple[Run, ...]
    """Mapped from files that the manifest names."""
    lookups: tuple[Lookup, ...]
    """Of all runs, for ``Index.find_places``."""

    def find_all(self, uuids: Sequence[str], digests: Sequence[bytes]) -> dict[str, Sequence[Place]]:
        """Do what ``Index.find_all_places`` says."""
        found: dict[str, Sequence[Place]] = {}
        for memory in (*self.frozen, self.active):
            found |= {uuid: (place,) for uuid in memory.known(uuids) if (place := memory.find(uuid)) is not None}
        in_runs: dict[str, set[Place]] = {}
        for number, run in find_candidates(self.lookups, digests):
            if uuids[number] not in found:
                in_runs.setdefault(uuids[number], set()).update(run.find(digests[number]))
        return found | {uuid: sorted(places, reverse=True) for uuid, places in in_runs.items() if places}


class SharedSnapshot:
    """The current snapshot: read by any thread without a lock, replaced as a whole."""

    __slots__ = ("_lock", "current")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.current = Snapshot(MemoryTable(), (), (), (), ())

    def freeze(self) -> None:
        """Begin a new active table; the one before is to be packed. Only the thread that adds may call this."""
        with self._lock:
            now = self.current
            self._set(MemoryTable(), (*now.frozen, now.active), now.packed, now.written)

    def replace_frozen(self, table: MemoryTable, run: Run) -> None:
        """Put the run made of the oldest frozen table into its place."""
        with self._lock:
            now = self.current
            assert now.frozen[0] is table
            self._set(now.active, now.frozen[1:], (*now.packed, run), now.written)

    def replace_packed(self, packed: Run, run: Run) -> None:
        """Put the mapped run into the place of the oldest one in memory."""
        with self._lock:
            now = self.current
            assert now.packed[0] is packed
            self._set(now.active, now.frozen, now.packed[1:], (*now.written, run))

    def replace_written(self, before: Sequence[Run], after: Sequence[Run]) -> None:
        """Put runs into the place of those that they were merged from."""
        with self._lock:
            now = self.current
            kept = tuple(run for run in now.written if run not in before)
            self._set(now.active, now.frozen, now.packed, (*kept, *after))

    def _set(
        self, active: MemoryTable, frozen: tuple[MemoryTable, ...], packed: tuple[Run, ...], written: tuple[Run, ...]
    ) -> None:
        # Made here, since a run that held itself would be kept, with its file, until the garbage collector came by.
        lookups = tuple((*run.filter, run) for run in (*packed, *written))
        self.current = Snapshot(active, frozen, packed, written, lookups)
