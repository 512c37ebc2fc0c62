"""Figures of an index, for the metrics."""

from typing import NamedTuple, Self

from backends.filesystem.snapshot import Snapshot


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

    @classmethod
    def of(cls, snapshot: Snapshot, *, flushes: int, merges: int) -> Self:
        """Count what is in a snapshot."""
        waiting = [*map(len, (snapshot.active, *snapshot.frozen)), *(run.row_count for run in snapshot.packed)]
        return cls(
            rows=sum(waiting) + sum(run.row_count for run in snapshot.written),
            runs=len(snapshot.lookups),
            memory_rows=sum(waiting),
            flushes=flushes,
            merges=merges,
            bytes=sum(run.description.size for run in snapshot.written),
        )
