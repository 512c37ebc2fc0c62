"""Instants: the times that senders write, as one form that sorts as text.

RFC 3339 is taken narrower in one place (no space instead of ``T``) and wider in one (``-0800`` without a colon, as some
systems send). Second 60 is taken in any minute: whether it was a leap second depends on tables that are not ours.
"""

import re
import time
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Final

_DATE_TIME: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt]((?:[01][0-9]|2[0-3]):[0-5][0-9]):([0-5][0-9]|60)(?:\.([0-9]{1,9}))?"
    r"([Zz]|[+-](?:[01][0-9]|2[0-3]):?[0-5][0-9])"
).fullmatch
_DAYS: Final = date.max.toordinal()
_MINUTES_PER_DAY: Final = 24 * 60


def parse_instant(text: str) -> str:
    """Read a date-time of RFC 3339 (section 5.6) and tell the instant.

    Args:
        text: ``2017-02-16T08:36:21.082-08:00``: ``T`` or ``t``; a fraction of 0 to 9 digits; an offset of ``Z``, ``z``,
            ``+hh:mm`` or ``+hhmm``. Second 60 counts as the next second.

    Returns:
        The instant in UTC with nine digits: ``2017-02-16T16:36:21.082000000Z``. Instants sort as these texts do.

    Raises:
        ValueError: it is no such text, no day of the calendar, or no instant of the years 0001 to 9999 in UTC. The
            message is the end of a sentence for a person: ``must be ...``.

    """
    match = _DATE_TIME(text)
    if match is None:
        raise ValueError(_what_is_wrong(text))
    day, minute, second, fraction, offset = match.groups()
    if second == "60":
        day, minute = _shift(day, minute, offset, 1)
        second = "00"
    elif offset in "Zz":
        day = _calendar_day(day)
    else:
        day, minute = _shift(day, minute, offset, 0)
    return f"{day}T{minute}:{second}.{(fraction or '').ljust(9, '0')}Z"


def received_now() -> str:
    """Return the present moment in UTC, always with six digits: ``2026-11-24T11:22:33.123456Z``."""
    nanoseconds = str(time.time_ns())
    return f"{_second_text(nanoseconds[:-9])}.{nanoseconds[-9:-3]}Z"


@lru_cache(maxsize=8)
def _second_text(second: str) -> str:
    return datetime.fromtimestamp(int(second), UTC).replace(tzinfo=None).isoformat()


@lru_cache(maxsize=4096)
def _calendar_day(day: str) -> str:
    """Return the day if the calendar has it; cached, since most events come from a few days."""
    _ordinal(day)
    return day


@lru_cache(maxsize=4096)
def _shift(day: str, minute: str, offset: str, carry: int) -> tuple[str, str]:
    """Return day and minute in UTC, ``carry`` minutes later; cached, since a busy minute has many events."""
    total = _ordinal(day, first=0) * _MINUTES_PER_DAY + _minutes(minute) + carry
    if offset not in "Zz":
        total += _minutes(offset[1:]) * (1 if offset[0] == "-" else -1)
    ordinal, rest = divmod(total, _MINUTES_PER_DAY)
    if not 1 <= ordinal <= _DAYS:
        msg = "must be an instant of the years 0001 to 9999 in UTC"
        raise ValueError(msg)
    return date.fromordinal(ordinal).isoformat(), f"{rest // 60:02d}:{rest % 60:02d}"


def _minutes(text: str) -> int:
    return int(text[:2]) * 60 + int(text[-2:])


def _ordinal(day: str, first: int = 1) -> int:
    """Number a day, 0001-01-01 being 1; the day before it may be asked for, since an offset can lead out of it."""
    if day == "0000-12-31" and first == 0:
        return 0
    try:
        return date.fromisoformat(day).toordinal()
    except ValueError:
        msg = f"must be a day of the calendar in the years 0001 to 9999; there is no {day}"
        raise ValueError(msg) from None


def _what_is_wrong(text: str) -> str:
    example = "such as 2017-02-16T08:36:21.082-08:00"
    if _DATE_TIME(text + "Z"):
        return f"must have an offset (Z or -08:00), {example}: without one it does not name an instant"
    return f"must be an RFC 3339 date-time with an offset, {example}"
