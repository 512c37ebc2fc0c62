"""Strict JSON and the envelope of an event, read the slow and obvious way: a second opinion on every body.

Written from RFC 8259, RFC 3339 and the design; it shares nothing with the service, and numbers stay the texts they are.
"""

import re
from typing import Any, NamedTuple

MAX_DEPTH = 64
NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
HEXADECIMAL = "0123456789abcdefABCDEF"


class NotStrictError(Exception):
    """The text is not strict JSON."""


class Number(NamedTuple):
    """A number, by its text."""

    text: str


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def take(self, expected: str) -> None:
        if not self.text.startswith(expected, self.at):
            raise NotStrictError
        self.at += len(expected)

    def space(self) -> None:
        while self.peek() and self.peek() in " \t\n\r":
            self.at += 1

    def value(self, depth: int) -> Any:
        self.space()
        match self.peek():
            case "{":
                value: Any = self.members(depth + 1)
            case "[":
                value = self.items(depth + 1)
            case '"':
                value = self.string()
            case "t":
                self.take("true")
                value = True
            case "f":
                self.take("false")
                value = False
            case "n":
                self.take("null")
                value = None
            case _:
                value = self.number()
        self.space()
        return value

    def number(self) -> Number:
        match = NUMBER.match(self.text, self.at)
        if match is None:
            raise NotStrictError
        self.at = match.end()
        return Number(match.group())

    def items(self, depth: int) -> list[Any]:
        if depth > MAX_DEPTH:
            raise NotStrictError
        self.take("[")
        self.space()
        items: list[Any] = []
        while self.peek() != "]":
            if items:
                self.take(",")
            items.append(self.value(depth))
        self.take("]")
        return items

    def members(self, depth: int) -> dict[str, Any]:
        if depth > MAX_DEPTH:
            raise NotStrictError
        self.take("{")
        self.space()
        members: dict[str, Any] = {}
        while self.peek() != "}":
            if members:
                self.take(",")
                self.space()
            key = self.string()
            self.space()
            self.take(":")
            if key in members:
                raise NotStrictError
            members[key] = self.value(depth)
        self.take("}")
        return members

    def string(self) -> str:
        self.take('"')
        units = ""
        while self.peek() != '"':
            if not self.peek() or self.peek() < " ":
                raise NotStrictError
            units += self.escape() if self.peek() == "\\" else self.plain()
        self.take('"')
        return units

    def plain(self) -> str:
        self.at += 1
        return self.text[self.at - 1]

    def escape(self) -> str:
        self.take("\\")
        if self.peek() != "u":
            letter = self.peek()
            if letter not in ESCAPES:
                raise NotStrictError
            self.at += 1
            return ESCAPES[letter]
        first = self.unit()
        if 0xDC00 <= first <= 0xDFFF:
            raise NotStrictError
        if not 0xD800 <= first <= 0xDBFF:
            return chr(first)
        self.take("\\")
        second = self.unit()
        if not 0xDC00 <= second <= 0xDFFF:
            raise NotStrictError
        return chr(0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00))

    def unit(self) -> int:
        self.take("u")
        digits = self.text[self.at : self.at + 4]
        if len(digits) < 4 or any(digit not in HEXADECIMAL for digit in digits):
            raise NotStrictError
        self.at += 4
        return int(digits, 16)


def read_strictly(body: bytes) -> Any:
    """Return the value, with numbers as ``Number``.

    Raises:
        NotStrictError: it is not strict JSON.

    """
    try:
        reader = _Reader(body.decode("utf-8", "strict"))
    except UnicodeDecodeError:
        raise NotStrictError from None
    value = reader.value(0)
    if reader.peek():
        raise NotStrictError
    return value


def judge(body: bytes) -> str:
    """Return ``malformed_json``, ``invalid_event`` or ``accepted``."""
    try:
        event = read_strictly(body)
    except NotStrictError:
        return "malformed_json"
    return "accepted" if isinstance(event, dict) and _is_envelope(event) else "invalid_event"


def _is_envelope(event: dict[str, Any]) -> bool:
    systems = [key for key in event if key in ("smrtlinkId", "smrtLinkId")]
    version = event.get("eventTypeVersion")
    return (
        len(systems) == 1
        and _is_uuid(event[systems[0]])
        and _is_uuid(event.get("uuid"))
        and isinstance(event.get("createdAt"), str)
        and instant_of(event["createdAt"]) is not None
        and isinstance(event.get("eventTypeId"), str)
        and isinstance(version, Number)
        and version.text.isdigit()
        and len(version.text) <= 10
        and 1 <= int(version.text) <= 2**31 - 1
        and isinstance(event.get("message"), dict)
        and (event.get("dnsName") is None or isinstance(event["dnsName"], str))
        and not any(key[:1] == "@" for key in event)
    )


def _is_uuid(value: Any) -> bool:
    if not isinstance(value, str) or len(value) != 36:
        return False
    return all(letter == "-" if at in (8, 13, 18, 23) else letter in HEXADECIMAL for at, letter in enumerate(value))


def instant_of(text: str) -> str | None:
    """Return the instant in UTC with nine digits, or None when it is none that the design allows."""
    match = re.fullmatch(
        r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:[Zz]|([+-])(\d\d):?(\d\d))", text, re.ASCII
    )
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    fraction, sign, offset_hours, offset_minutes = match.groups()[6:]
    if not 1 <= month <= 12 or not 1 <= day <= _days_of(year, month) or hour > 23 or minute > 59 or second > 60:
        return None
    offset = 0
    if sign:
        if int(offset_hours) > 23 or int(offset_minutes) > 59:
            return None
        offset = (1 if sign == "+" else -1) * (int(offset_hours) * 3600 + int(offset_minutes) * 60)
    total = _days_before(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - offset
    days, rest = divmod(total, 86400)
    year = month = day = 0
    while days >= 366 or days >= _days_before(year + 1, 1, 1) - _days_before(year, 1, 1):
        step = max(1, days // 366)
        days -= _days_before(year + step, 1, 1) - _days_before(year, 1, 1)
        year += step
    if days < 0 or not 1 <= year <= 9999:
        return None
    month = 1
    while days >= _days_of(year, month):
        days -= _days_of(year, month)
        month += 1
    clock = f"{rest // 3600:02d}:{rest // 60 % 60:02d}:{rest % 60:02d}"
    return f"{year:04d}-{month:02d}-{days + 1:02d}T{clock}.{(fraction or '0'):0<9}Z"


def _is_leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def _days_of(year: int, month: int) -> int:
    return 29 if month == 2 and _is_leap(year) else [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1]


def _days_before(year: int, month: int, day: int) -> int:
    """Days from 0000-01-01 (a leap year) to this day."""
    leap_days = 0 if year == 0 else (year - 1) // 4 - (year - 1) // 100 + (year - 1) // 400 + 1
    return year * 365 + leap_days + sum(_days_of(year, before) for before in range(1, month)) + day - 1
