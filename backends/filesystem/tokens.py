"""The tokens of ``tail``: places in the log, right behind a line."""

import re
from typing import Final

from backends.log import LogPosition, Place
from backends.log.reading import LogReader

_TOKEN: Final = re.compile(r"([1-9][0-9]{0,9})-([1-9][0-9]{0,19})")


def token_behind(place: Place) -> str:
    """Return the token that stands for a line."""
    return f"{place.segment}-{place.offset + place.length + 1}"


def newest_token(log: LogReader) -> str | None:
    """Return the token that stands for the last line; None when there is none."""
    newest = max(((segment.number, segment.valid) for segment in log.segments() if segment.valid), default=None)
    return None if newest is None else f"{newest[0]}-{newest[1]}"


def position_of(log: LogReader, token: str) -> LogPosition:
    """Return the end of the line that a token stands for; blocks.

    Raises:
        ValueError: no line ends there.

    """
    match = _TOKEN.fullmatch(token)
    if match is not None:
        number, offset = int(match[1]), int(match[2])
        valid = next((segment.valid for segment in log.segments() if segment.number == number), 0)
        if 0 < offset <= valid and log.read(Place(number, offset - 1, 1)) == b"\n":
            return LogPosition(number, offset)
    msg = f"not a token of this store: {token[:40]!r}"
    raise ValueError(msg)
