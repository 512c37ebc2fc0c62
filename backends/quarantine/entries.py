"""What the quarantine keeps, as plain values."""

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Final, NamedTuple

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
KEY_BYTES: Final = 16
_MAX_DETAIL: Final = 1000
_MAX_NAME: Final = 100

NEVER_EVICTED: Final = frozenset({"conflict_after_ack"})
"""Codes of what was acknowledged once: no limit of size or age applies to them, only an operator drops them."""


class Refused(NamedTuple):
    """Something that was refused for its content, as it is handed in."""

    body: bytes
    """As received; any bytes."""
    code: str
    """Why, as the stable code of the wire: ``malformed_json``, ``schema_violation``, ..."""
    detail: str
    """Why, in a sentence for a person; cut at 1,000 characters."""
    received: str
    """The moment of its (first) arrival, ``YYYY-MM-DDTHH:MM:SS.ffffffZ``."""
    peer: str | None = None
    """Who sent it; cut at 100 characters."""
    event_type_id: str | None = None
    """As sent, if it could be read; cut at 100 characters."""
    event_type_version: int | None = None


class Entry(NamedTuple):
    """One thing in quarantine, without its body."""

    id: str
    """32 hexadecimal digits, made of the code and the body: the same bytes refused for the same code are one entry."""
    code: str
    detail: str
    event_type_id: str | None
    event_type_version: int | None
    peer: str | None
    """Who sent it first."""
    received: str
    """When it arrived first."""
    last_received: str
    """When it arrived last."""
    arrivals: int
    """How often it arrived."""
    size: int
    """Length of the body in bytes."""


class Kept(NamedTuple):
    """One thing in quarantine, with its body."""

    entry: Entry
    body: bytes


class Filter(NamedTuple):
    """Which entries are meant; all conditions must hold, None is no condition."""

    code: str | None = None
    event_type_id: str | None = None
    peer: str | None = None


class Page(NamedTuple):
    """A part of a list."""

    entries: list[Entry]
    next: str | None
    """The cursor of the next page, or None when there is no more."""


class Group(NamedTuple):
    """How much is in quarantine for one reason and one event type."""

    code: str
    event_type_id: str | None
    entries: int
    arrivals: int
    """How often they arrived, all together."""
    bytes: int


def key_of(code: str, body: bytes) -> bytes:
    """Return the identity of an entry: 16 bytes of the SHA-256 over its code, a line end and its body."""
    digest = sha256(code.encode())
    digest.update(b"\n")
    digest.update(body)
    return digest.digest()[:KEY_BYTES]


def tidy(refused: Refused) -> Refused:
    """Return it with its texts cut to their limits, and without lone surrogates, which no file could hold."""
    return refused._replace(
        detail=_cut(refused.detail, _MAX_DETAIL),
        peer=refused.peer and _cut(refused.peer, _MAX_NAME),
        event_type_id=refused.event_type_id and _cut(refused.event_type_id, _MAX_NAME),
    )


def to_microseconds(moment: str) -> int:
    """Return a moment (``YYYY-MM-DDTHH:MM:SS.ffffffZ``) as microseconds since 1970.

    Raises:
        ValueError: it is no moment.

    """
    return (datetime.fromisoformat(moment) - _EPOCH) // _MICROSECOND


def to_moment(microseconds: int) -> str:
    """Return microseconds since 1970 as a moment."""
    moment = (_EPOCH + microseconds * _MICROSECOND).replace(tzinfo=None)
    return f"{moment.isoformat(timespec='microseconds')}Z"


def _cut(text: str, length: int) -> str:
    return text[:length].encode(errors="replace").decode()
