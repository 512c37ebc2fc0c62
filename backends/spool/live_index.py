"""The index of the spool's log: that of the filesystem store, which hides what has been drained.

A dictionary of the uuids would take more than two gigabytes for ten million events, and be gone with the process. The
filesystem store's index takes memory for the newest 32,768 only, answers in microseconds, is opened in milliseconds
however many events wait, and has the orders of all lists: so merged lists cost no second structure.

It only grows. Rows of what is drained stay in it, hidden by their place, until the spool is empty and begins a new one
(``backends.spool.ledger``).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from backends.base import Event
from backends.disk import Disk
from backends.filesystem.index import Index
from backends.log import BEGINNING, LogPosition, Place
from backends.record import received_of


class LiveIndex(Index):
    """See the module.

    Attributes:
        drained: what stands before this position in the log is hidden, and not counted.
        events: lines behind it.
        bytes: of these lines, with their line ends.
        oldest: ``@received`` of the first of them.

    """

    def __init__(self, directory: Path, *, disk: Disk, memory_rows: int) -> None:
        super().__init__(directory, disk=disk, memory_rows=memory_rows)
        self.drained: LogPosition = BEGINNING
        self.events = 0
        self.bytes = 0
        self.oldest: str | None = None

    def add_all(self, events: Sequence[Event], places: Sequence[Place], digests: Sequence[bytes]) -> None:  # noqa: D102
        super().add_all(events, places, digests)
        if not self.events:
            self.oldest = received_of(events[0].record)
        self.events += len(places)
        self.bytes += sum([place.length for place in places]) + len(places)

    def find_places(self, uuid: str, digest: bytes | None = None) -> Sequence[Place]:
        """Return where the event with this uuid may stand, if it is not drained yet."""
        places = super().find_places(uuid, digest)
        return [place for place in places if is_behind(place, self.drained)] if places else places

    def find_all_places(self, uuids: Sequence[str], digests: Sequence[bytes]) -> dict[str, Sequence[Place]]:
        """Return what ``find_places`` does for each of many uuids, without those that are not in the spool."""
        return _select(super().find_all_places(uuids, digests), self.drained)

    def find_behind(self, position: LogPosition, uuids: Sequence[str]) -> dict[str, Sequence[Place]]:
        """Do the same with another position than ``drained``."""
        return _select(super().find_all_places(uuids, self.digests(uuids)), position)


def is_behind(place: Place, position: LogPosition) -> bool:
    """Tell whether a line begins at or behind a position."""
    return place[:2] >= position


def _select(found: Mapping[str, Sequence[Place]], position: LogPosition) -> dict[str, Sequence[Place]]:
    behind = ((uuid, [place for place in places if is_behind(place, position)]) for uuid, places in found.items())
    return {uuid: places for uuid, places in behind if places}
