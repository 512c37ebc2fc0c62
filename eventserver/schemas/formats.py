"""The four formats that are asserted, as ``jsonschema-rs`` judges them, written a second time in plain Python."""

import calendar
import ipaddress
import re
from collections.abc import Callable, Mapping

_DATE_TIME = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.[0-9]+)?(?:[Zz]|([+-])([0-9]{2}):([0-9]{2}))"
)
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_DAY_MINUTES = 24 * 60
_LEAP_YEAR = 4


def is_date_time(text: str) -> bool:
    """Tell whether a text is a date-time of RFC 3339 section 5.6; second 60 only ends a UTC day (section 5.7)."""
    match = _DATE_TIME.fullmatch(text)
    if not match:
        return False
    year, month, day, hour, minute, second = map(int, match.group(1, 2, 3, 4, 5, 6))
    offset_hour, offset_minute = int(match[8] or 0), int(match[9] or 0)
    if not 1 <= month <= 12 or not 1 <= day <= calendar.monthrange(year or _LEAP_YEAR, month)[1]:  # noqa: PLR2004
        return False
    if hour > 23 or minute > 59 or second > 60 or offset_hour > 23 or offset_minute > 59:  # noqa: PLR2004
        return False
    offset = (offset_hour * 60 + offset_minute) * (-1 if match[7] == "-" else 1)
    return second < 60 or (hour * 60 + minute - offset) % _DAY_MINUTES == _DAY_MINUTES - 1  # noqa: PLR2004


def is_uuid(text: str) -> bool:
    """Tell whether a text is a UUID of RFC 9562: 8-4-4-4-12 hexadecimal digits, any version."""
    return _UUID.fullmatch(text) is not None


def is_ipv4(text: str) -> bool:
    """Tell whether a text is a dotted quad (RFC 2673 section 3.2), no zeros ahead."""
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return True


def is_ipv6(text: str) -> bool:
    """Tell whether a text is an address of RFC 4291 section 2.2, without a zone."""
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return "%" not in text


FORMATS: Mapping[str, Callable[[str], bool]] = {
    "date-time": is_date_time,
    "uuid": is_uuid,
    "ipv4": is_ipv4,
    "ipv6": is_ipv6,
}
"""Every other format is refused at load: a format that nobody asserts is a promise that nobody keeps."""
