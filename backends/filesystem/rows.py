"""How an event becomes a row of each of the index's tables, and a row an entry of a list.

A row is a key and a place, both as bytes that sort as they mean, in one fixed-width byte string. So each table is an
array of byte strings in ascending order, and of two rows with one key the one with the newer place is the later one::

    identity    digest 8                                            place 12
    by system   system 16   at 12   uuid 16                         place 12   event type 4
    by type     event type 4   at 12   uuid 16                      place 12
    by time     at 12   uuid 16                                     place 12

``at`` is the 23 digits of ``Event.at`` and one constant, four bits each. The event type is the number that the
manifest gives to an (id, version). The place is segment, offset and length, four bytes each, big-endian.
"""

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from struct import Struct
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from backends.log import Place

Bytes = npt.NDArray[np.uint8]
Rows = npt.NDArray[np.bytes_]

DIGEST_WIDTH: Final = 8
PLACE: Final = Struct(">III")
PLACE_AND_TYPE: Final = Struct(">IIII")
EVENT_TYPE: Final = Struct(">I")

_WIDTHS: Final = {"digest": DIGEST_WIDTH, "system": 16, "at": 12, "uuid": 16, "event_type": 4, "place": PLACE.size}
_AT_FORM: Final = "2017-02-16T16:36:21.082000000Z"
AT_LENGTH: Final = len(_AT_FORM)
_AT_DIGITS: Final = np.array([number for number, mark in enumerate(_AT_FORM) if mark not in "-T:."])
_POSITION_WIDTH: Final = _WIDTHS["at"] + _WIDTHS["uuid"]


class Entry(NamedTuple):
    """An event in a list: its position and where its record stands."""

    at: str
    uuid: str
    place: Place


class TableFormat(NamedTuple):
    """Which columns make a table's rows."""

    name: str
    columns: tuple[str, ...]
    """Sorted by, in this order: the key, the place, and what is only looked at."""
    key_width: int
    """Of rows that agree in so many bytes, one is kept: the one with the newest place."""

    @property
    def width(self) -> int:
        """Bytes of a row."""
        return sum(_WIDTHS[column] for column in self.columns)

    def offset(self, column: str) -> int:
        """Return where a column begins in a row."""
        return sum(_WIDTHS[before] for before in self.columns[: self.columns.index(column)])


# Two uuids may share a digest, so that only rows that are equal altogether are one.
IDENTITY: Final = TableFormat("identity", ("digest", "place"), 20)
BY_SYSTEM: Final = TableFormat("by_system", ("system", "at", "uuid", "place", "event_type"), 44)
BY_TYPE: Final = TableFormat("by_type", ("event_type", "at", "uuid", "place"), 32)
BY_TIME: Final = TableFormat("by_time", ("at", "uuid", "place"), 28)
ORDERS: Final = (BY_SYSTEM, BY_TYPE, BY_TIME)
FORMATS: Final = (IDENTITY, *ORDERS)


def pack_uuids(uuids: Sequence[str]) -> bytes:
    """Return the 16 bytes of each uuid, joined.

    Raises:
        ValueError: one is not hexadecimal.

    """
    return bytes.fromhex("".join(uuids).replace("-", ""))


def pack_instants(instants: bytes) -> bytes:
    """Return the 12 bytes of each of the instants (form of ``Event.at``) whose texts are joined here.

    Raises:
        ValueError: one has another length.

    """
    text = np.frombuffer(instants, dtype=np.uint8).reshape(-1, AT_LENGTH)
    digits = text[:, _AT_DIGITS] & 15
    return ((digits[:, ::2] << 4) | digits[:, 1::2]).tobytes()


def digest_of(secret: bytes, uuid: str) -> bytes:
    """Return the digest of a uuid in the identity table; the secret keeps senders from making equal ones."""
    return blake2b(secret + uuid.encode(), digest_size=DIGEST_WIDTH).digest()


def column_of(name: str, values: bytes | bytearray) -> Bytes:
    """View the joined values of a column as a matrix of bytes, a value each."""
    return np.frombuffer(values, dtype=np.uint8).reshape(-1, _WIDTHS[name])


def make_rows(table: TableFormat, columns: Mapping[str, Bytes]) -> Rows:
    """Join columns to rows, in the order that they come in.

    Args:
        table: which columns, in which order.
        columns: matrices of bytes, all for equally many rows.

    """
    return as_rows(np.concatenate([columns[name] for name in table.columns], axis=1), table.width)


def as_rows(data: Bytes | bytes, width: int) -> Rows:
    """View bytes as rows of so many bytes each."""
    flat = np.frombuffer(data, dtype=np.uint8) if isinstance(data, bytes) else data.reshape(-1)
    return flat.view(f"S{width}")


def as_bytes(rows: Rows) -> Bytes:
    """View rows as a matrix of bytes, a row each."""
    return rows.view(np.uint8).reshape(len(rows), rows.dtype.itemsize)


def keys_of(rows: Rows, key_width: int) -> Rows:
    """View the first bytes of each row, without copying."""
    rest = rows.dtype.itemsize - key_width
    return rows.view([("key", f"S{key_width}"), ("rest", f"S{rest}")])["key"] if rest else rows


def sort_rows(rows: Rows, key_width: int) -> Rows:
    """Return the rows sorted, of those with one key only the one with the newest place.

    Joined runs of rows that are sorted already are merged, which costs a sixth of sorting them.
    """
    # Sorting the numbers of the rows and taking those is faster than moving rows about.
    ordered = np.take(rows, np.argsort(rows, kind="stable"))
    keys = keys_of(ordered, key_width)
    is_first = keys[1:] != keys[:-1]
    if is_first.all():
        return ordered
    # The last row of a key is the one before the first row of the next key.
    return np.take(ordered, np.append(np.flatnonzero(is_first), len(ordered) - 1))


def positions_of(table: TableFormat, rows: Rows) -> Rows:
    """Cut rows of an order down to what all orders share: at, uuid, place; that is, to rows by time."""
    data = as_bytes(rows)
    start = table.offset("at")
    return as_rows(np.ascontiguousarray(data[:, start : start + BY_TIME.width]), BY_TIME.width)


def read_entries(rows: Rows) -> list[Entry]:
    """Turn rows by time into entries, in their order."""
    width = BY_TIME.width
    data = rows.tobytes()
    return [_read_entry(data[start : start + width]) for start in range(0, len(data), width)]


def _read_entry(row: bytes) -> Entry:
    text = row[:_POSITION_WIDTH].hex()
    at = f"{text[:4]}-{text[4:6]}-{text[6:8]}T{text[8:10]}:{text[10:12]}:{text[12:14]}.{text[14:23]}Z"  # 24th: constant
    uuid = f"{text[24:32]}-{text[32:36]}-{text[36:40]}-{text[40:44]}-{text[44:]}"
    return Entry(at, uuid, Place._make(PLACE.unpack_from(row, _POSITION_WIDTH)))
