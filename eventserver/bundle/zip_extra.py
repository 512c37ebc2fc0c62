"""The extra fields of a zip archive's members: a time in UTC; what would change name or size is refused."""

import struct
from datetime import UTC, datetime
from typing import Final

from eventserver.bundle.members import corrupt, unsupported

_TIMESTAMP: Final = 0x5455
_HAS_MODIFIED: Final = 1
_REFUSED: Final = {
    0x0001: "zip64",
    0x7075: "a second name for a member",
    0x9901: "encryption",
    0x0017: "encryption",
}
_HEAD: Final = 4
_SHORTEST_TIMESTAMP: Final = 5


def read_extra(extra: bytes) -> int | None:
    """Return the time of modification, in seconds since 1970, if it is there.

    Raises:
        Refusal: ``bundle_corrupt``, ``bundle_unsupported``.

    """
    seconds: int | None = None
    at = 0
    while at < len(extra):
        if len(extra) - at < _HEAD:
            raise corrupt("an extra field is cut off")
        kind, length = struct.unpack_from("<2H", extra, at)
        value = extra[at + _HEAD : at + _HEAD + length]
        at += _HEAD + length
        if at > len(extra):
            raise corrupt("an extra field is cut off")
        if kind in _REFUSED:
            raise unsupported(_REFUSED[kind])
        if kind == _TIMESTAMP and length >= _SHORTEST_TIMESTAMP and value[0] & _HAS_MODIFIED:
            (seconds,) = struct.unpack_from("<l", value, 1)
    return seconds


def moment_in_dos(date: int, time: int) -> float:
    """Return what MS-DOS wrote as seconds since 1970, as if it had meant UTC; what no calendar has is 1970."""
    day, month, year = date & 31, date >> 5 & 15, 1980 + (date >> 9)
    second, minute, hour = (time & 31) * 2, time >> 5 & 63, time >> 11
    try:
        return datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp()
    except ValueError:
        return 0
