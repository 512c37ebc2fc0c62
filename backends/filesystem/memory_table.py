"""The newest rows of the index, in memory: added one at a time, found at once, packed by the thousand."""

import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import numpy as np

from backends.base import Event
from backends.filesystem.rows import (
    AT_LENGTH,
    DIGEST_WIDTH,
    PLACE,
    PLACE_AND_TYPE,
    Bytes,
    Rows,
    TableFormat,
    as_rows,
    column_of,
    make_rows,
    pack_instants,
    pack_uuids,
    sort_rows,
)
from backends.log import LogPosition, Place

_PIECE_ROWS: Final = 512
"""Rows packed at a time, digests and all; that holds the interpreter's lock for about a third of a millisecond."""
_TABLE_PIECE_ROWS: Final = 2048
"""The same without digests."""
_PAUSE_SECONDS: Final = 0.0002
_pack = PLACE_AND_TYPE.pack


class MemoryTable:
    """Rows in the order of their arrival.

    One thread adds; any thread may read at the same time. Columns hold plain strings and bytes, no object that the
    garbage collector would have to visit, and nothing of the event's record.
    """

    __slots__ = (
        "_ats",
        "_digests",
        "_known_systems",
        "_numbers",
        "_packed",
        "_sorted",
        "_systems",
        "_uuids",
        "complete_up_to",
    )

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._uuids: list[str] = []
        self._systems: list[str] = []
        self._digests = bytearray()
        self._ats = bytearray()
        self._packed = bytearray()
        self._sorted: dict[str, tuple[int, Rows]] = {}
        self._known_systems: dict[str, str] = {}
        self.complete_up_to = LogPosition(0, 0)
        """Set when it is frozen: every event before this position is in this table or an older one."""

    def __len__(self) -> int:
        return len(self._uuids)

    def add_all(
        self, events: Sequence[Event], event_types: Sequence[int], places: Sequence[Place], digests: Sequence[bytes]
    ) -> None:
        """Add events; an older one with the uuid of one of them is not found any more.

        Column by column: that takes half the time of event by event.

        Args:
            events: their keys are kept, their records are not.
            event_types: the numbers of their types and versions.
            places: of their records.
            digests: of their uuids, for the identity table.

        """
        known = self._known_systems
        uuids = [event.uuid for event in events]
        count = len(self._uuids)
        self._packed += b"".join([_pack(*place, kind) for place, kind in zip(places, event_types, strict=True)])
        self._systems += [known.setdefault(event.smrtlink_id, event.smrtlink_id) for event in events]
        self._digests += b"".join(digests)
        self._ats += "".join([event.at for event in events]).encode()
        self._numbers.update(zip(uuids, range(count, count + len(uuids)), strict=True))
        # A reader in another thread takes this list's length for the number of rows: so it grows last.
        self._uuids += uuids

    def find(self, uuid: str) -> Place | None:
        """Return the place of the newest event with this uuid, or None."""
        number = self._numbers.get(uuid)
        if number is None:
            return None
        return Place._make(PLACE.unpack_from(self._packed, number * PLACE_AND_TYPE.size))

    def known(self, uuids: Iterable[str]) -> list[str]:
        """Return those of the uuids that are found here."""
        numbers = self._numbers
        return [uuid for uuid in uuids if uuid in numbers]

    def table(self, table: TableFormat) -> Rows:
        """Return all that was added before the call as a sorted table; what an earlier call sorted is used again."""
        done, rows = self._sorted.get(table.name, (0, as_rows(b"", table.width)))
        count = len(self._uuids)
        if count > done:
            fresh = []
            for start in range(done, count, _TABLE_PIECE_ROWS):
                fresh.append(self._rows(table, start, min(start + _TABLE_PIECE_ROWS, count)))
                time.sleep(_PAUSE_SECONDS)
            rows = sort_rows(np.concatenate([rows, *fresh]), table.key_width)
            self._sorted[table.name] = (count, rows)
        return rows

    def pack(self) -> dict[str, Bytes]:
        """Return all columns, for every table, without holding the interpreter's lock for long at a time."""
        columns: dict[str, bytearray] = {}
        for start in range(0, len(self._uuids), _PIECE_ROWS):
            stop = min(start + _PIECE_ROWS, len(self._uuids))
            digests = bytes(self._digests[start * DIGEST_WIDTH : stop * DIGEST_WIDTH])
            for name, values in (("digest", digests), *self._columns(start, stop)):
                columns.setdefault(name, bytearray()).extend(values)
            time.sleep(_PAUSE_SECONDS)
        return {name: column_of(name, values) for name, values in columns.items()}

    def _rows(self, table: TableFormat, start: int, stop: int) -> Rows:
        return make_rows(table, {name: column_of(name, values) for name, values in self._columns(start, stop)})

    def _columns(self, start: int, stop: int) -> Iterator[tuple[str, bytes]]:
        width = PLACE_AND_TYPE.size
        packed = np.frombuffer(bytes(self._packed[start * width : stop * width]), dtype=np.uint8).reshape(-1, width)
        yield "uuid", pack_uuids(self._uuids[start:stop])
        yield "system", pack_uuids(self._systems[start:stop])
        yield "at", pack_instants(bytes(self._ats[start * AT_LENGTH : stop * AT_LENGTH]))
        yield "event_type", packed[:, PLACE.size :].tobytes()
        yield "place", packed[:, : PLACE.size].tobytes()
