"""The lines of the quarantine's log; each is one JSON object that ends in a checksum, as in ``backends.record``.

::

    {"id":"<32 hex>","sequence":n,"received":...,"lastReceived":...,"arrivals":n,"code":...,"detail":...,
     "eventTypeId":...,"eventTypeVersion":...,"peer":...,"size":n,"body":"<text>","@crc":"1a2b3c4d"}
    {"again":"<32 hex>","sequence":n,"arrivals":n,"lastReceived":...,"@crc":...}       the same bytes came again
    {"drop":["<32 hex>:<sequence>",...],"segment":n,"@crc":...}                     these are gone

A body that is not UTF-8, or would grow by more than a third as JSON text, stands in ``bodyBase64`` instead of ``body``.
``sequence`` tells two lives of one id apart: what is dropped stays dropped, and can be kept anew. ``segment`` is where
the dropped lines stood; once that segment is gone, the drop line has done its work.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Sequence
from typing import Any, Final, NamedTuple
from zlib import crc32

import jiter

from backends.quarantine.entries import Entry, Kept, Refused, to_microseconds, to_moment
from backends.record import is_intact

HEAD_BYTES: Final = 16 * 1024
"""All that stands before the body is shorter than this."""
AGAIN_BYTES: Final = 150
"""About the length of an ``again`` line."""
ENTRY_START: Final = b'{"id":'
_BODY: Final = b',"body'


class EntryLine(NamedTuple):
    """What the directory needs of an entry's line."""

    key: bytes
    sequence: int
    arrivals: int
    last: int
    code: str
    event_type_id: str | None
    peer: str | None


class AgainLine(NamedTuple):
    """The same bytes came again: how often so far, and when they came last (microseconds since 1970)."""

    key: bytes
    sequence: int
    arrivals: int
    last: int


class DropLine(NamedTuple):
    """Entries that are gone, and in which segment they stood."""

    segment: int
    dropped: list[tuple[bytes, int]]


Line = EntryLine | AgainLine | DropLine


def make_entry_line(refused: Refused, entry: EntryLine) -> bytes:
    """Return the line of an entry."""
    head = {
        "id": entry.key.hex(),
        "sequence": entry.sequence,
        "received": refused.received,
        "lastReceived": to_moment(entry.last),
        "arrivals": entry.arrivals,
        "code": refused.code,
        "detail": refused.detail,
        "eventTypeId": refused.event_type_id,
        "eventTypeVersion": refused.event_type_version,
        "peer": refused.peer,
        "size": len(refused.body),
    }
    return _seal(_dump(head)[:-1] + _make_body(refused.body))


def make_again_line(key: bytes, sequence: int, arrivals: int, last_received: str) -> bytes:
    """Return the line that says how often an entry has come so far."""
    line = {"again": key.hex(), "sequence": sequence, "arrivals": arrivals, "lastReceived": last_received}
    return _seal(_dump(line)[:-1])


def make_drop_line(segment: int, dropped: Sequence[tuple[bytes, int]]) -> bytes:
    """Return the line that says that these (key, sequence) are gone."""
    return _seal(_dump({"drop": [f"{key.hex()}:{sequence}" for key, sequence in dropped], "segment": segment})[:-1])


def recount(line: bytes, arrivals: int, last_received: str) -> bytes:
    """Return an entry's line with the number of arrivals that it has reached."""
    end = line.index(_BODY)
    head = jiter.from_json(line[:end] + b"}") | {"arrivals": arrivals, "lastReceived": last_received}
    return _seal(_dump(head)[:-1] + line[end : line.rindex(b',"@crc"')])


def read_line(line: bytes) -> Line | None:
    """Read a line for what the directory needs; None when it is damaged, or a kind that this release does not know."""
    if not is_intact(line):
        return None
    try:
        if line.startswith(ENTRY_START):
            head = read_head(line)
            return EntryLine(*_life(head["id"], head), head["code"], head["eventTypeId"], head["peer"])
        value = jiter.from_json(line)
        if "again" in value:
            return AgainLine(*_life(value["again"], value))
        dropped = (text.split(":") for text in value["drop"])
        return DropLine(value["segment"], [(bytes.fromhex(key), int(sequence)) for key, sequence in dropped])
    except (ValueError, KeyError, TypeError):
        return None


def read_head(start: bytes) -> dict[str, Any]:
    """Return what stands before the body, from the beginning of an entry's line.

    Raises:
        ValueError: it is not one.

    """
    head: dict[str, Any] = jiter.from_json(start[: start.index(_BODY)] + b"}")
    return head


def read_kept(line: bytes) -> Kept | None:
    """Return the entry of a whole line with its body; None when the line is damaged."""
    if not is_intact(line):
        return None
    try:
        end = line.index(_BODY)
        body = jiter.from_json(b"{" + line[end + 1 :])
        content = body["body"].encode() if "body" in body else b64decode(body["bodyBase64"])
        return Kept(make_entry(read_head(line)), content)
    except (ValueError, KeyError, AttributeError):
        return None


def make_entry(head: dict[str, Any]) -> Entry:
    """Return the entry that a line's head describes."""
    return Entry(
        id=head["id"],
        code=head["code"],
        detail=head["detail"],
        event_type_id=head["eventTypeId"],
        event_type_version=head["eventTypeVersion"],
        peer=head["peer"],
        received=head["received"],
        last_received=head["lastReceived"],
        arrivals=head["arrivals"],
        size=head["size"],
    )


def _life(key: str, line: dict[str, Any]) -> tuple[bytes, int, int, int]:
    return bytes.fromhex(key), line["sequence"], line["arrivals"], to_microseconds(line["lastReceived"])


def _make_body(body: bytes) -> bytes:
    try:
        text = json.dumps(body.decode(), ensure_ascii=False).encode()
    except UnicodeDecodeError:
        text = None
    if text is None or len(text) > len(body) * 4 // 3 + 8:
        return b',"bodyBase64":"%b"' % b64encode(body)
    return b',"body":%b' % text


def _dump(value: dict[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _seal(body: bytes) -> bytes:
    return b'%b,"@crc":"%08x"}' % (body, crc32(body))
