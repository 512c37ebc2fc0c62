"""Which partition a list's row goes to: who counts the rows, and begins another one before there are too many.

Used by one group of events after the other, never by two at the same time.
"""

import secrets
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from backends.base import Event
from backends.cassandra.counts import Counts

ARRIVALS: Final = "arrivals"
_REMEMBERED: Final = 20_000


class Key(NamedTuple):
    """A list on a day."""

    list: str
    day: str

    @property
    def month(self) -> str:
        """The month, ``2017-02``."""
        return self.day[:7]


def system_list(smrtlink_id: str) -> str:
    """Return the name of a system's list in the register."""
    return f"system/{smrtlink_id}"


def type_list(event_type_id: str, event_type_version: int) -> str:
    """Return the name of a type's list in the register."""
    return f"type/{event_type_id}/{event_type_version}"


@dataclass
class Shard:
    """A partition that this writer writes."""

    key: Key
    name: str
    rows: int = 0
    first: str = ""
    last: str = ""
    is_registered: bool = False


class Shards:
    """The partitions of one writer.

    Args:
        rows: how many a partition may have.
        counts: of what is begun.

    Attributes:
        writer: the name of this writer, which no other one has.

    """

    def __init__(self, rows: int, counts: Counts) -> None:
        self.writer = secrets.token_hex(6)
        self._limit = rows
        self._counts = counts
        self._open: OrderedDict[Key, Shard] = OrderedDict()
        self._begun = 0
        self._ended: list[Shard] = []
        self._known: OrderedDict[Any, None] = OrderedDict()

    def place(self, list_name: str, at: str) -> Shard:
        """Return the partition for one more row, and count it."""
        key = Key(list_name, at[:10])
        shard = self._open.get(key)
        if shard is None or shard.rows >= self._limit:
            if shard is not None:
                self._ended.append(shard)
            self._begun += 1
            self._counts.shards += 1
            shard = self._open[key] = Shard(key, f"{self.writer}.{self._begun}", first=at, last=at)
            if len(self._open) > _REMEMBERED:
                self._open.popitem(last=False)
        self._open.move_to_end(key)
        shard.rows += 1
        shard.first = min(shard.first, at)
        shard.last = max(shard.last, at)
        return shard

    def take_ended(self) -> list[Shard]:
        """Return the partitions that get no more rows, each once."""
        ended, self._ended = self._ended, []
        return [shard for shard in ended if shard.is_registered]

    def is_known(self, entry: object) -> bool:
        """Tell whether an entry of a register was written by this writer."""
        return entry in self._known

    def learn(self, entry: object) -> None:
        """Remember that an entry of a register was written."""
        self._known[entry] = None
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)


class Placed(NamedTuple):
    """An event, and the partitions of its rows."""

    event: Event
    arrived: str
    by_system: Shard
    by_type: Shard
    arrivals: Shard

    def shards(self) -> Iterator[Shard]:
        """Run through its partitions."""
        yield self.by_system
        yield self.by_type
        yield self.arrivals
