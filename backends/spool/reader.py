"""What waits, read without opening the spool: beside the server that owns it, or when there is none."""

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from backends.disk import Disk
from backends.errors import StoreUnavailable
from backends.log import BEGINNING, AppendLog, LogPosition, Place
from backends.record import is_intact, received_of
from backends.spool.ledger import end_of
from backends.spool.progress import read_progress


class Waiting(NamedTuple):
    """How much waits."""

    events: int
    bytes: int
    oldest: str | None
    """``@received`` of the first, if it is whole."""


class SpoolReader:
    """Reads a spool, for the time of an ``async with`` block.

    Args:
        directory: of the spool; a missing one is empty.

    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._log = AppendLog(directory / "events", read_only=True)
        self._disk = Disk()

    async def __aenter__(self) -> Self:
        """Open.

        Raises:
            StoreUnavailable: it can't be read.

        """
        await self._log.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        await self._log.__aexit__(kind, error, trace)

    def path_of(self, place: Place) -> Path:
        """Return the file of a line, relative to the directory."""
        paths = {segment.number: segment.path for segment in self._log.segments()}
        return paths[place.segment].relative_to(self._directory)

    def lines(self) -> Iterator[tuple[Place, bytes]]:
        """Run through the lines that wait, in order, damaged ones too; blocks.

        What is drained meanwhile by the server is left out.

        Raises:
            StoreUnavailable: it can't be read.

        """
        position = self._drained()
        while True:
            try:
                for place, line in self._log.scan(position):
                    position = end_of(place)
                    yield place, line
            except StoreUnavailable:
                drained = self._drained()
                if drained <= position:
                    raise
                position = drained
            else:
                return

    def measure(self) -> Waiting:
        """Count what waits; blocks while it is read.

        Raises:
            StoreUnavailable: it can't be read.

        """
        events, size, oldest = 0, 0, None
        for _, line in self.lines():
            if not events and is_intact(line):
                oldest = received_of(line)
            events += 1
            size += len(line) + 1
        return Waiting(events, size, oldest)

    def _drained(self) -> LogPosition:
        progress = read_progress(self._disk, self._directory)
        return progress.drained if progress is not None and progress.drained <= self._log.end else BEGINNING


def is_empty(directory: Path) -> bool:
    """Tell whether nothing waits in a spool that nobody has open; blocks shortly. When in doubt it is not empty."""
    progress = read_progress(Disk(), directory)
    if progress is not None and progress.events == 0:
        newest = max((directory / "events").rglob("*.ndjson"), default=None, key=lambda path: path.name)
        return newest is None or (int(newest.stem), newest.stat().st_size) <= progress.counted
    return not any(path.stat().st_size for path in (directory / "events").rglob("*.ndjson"))
