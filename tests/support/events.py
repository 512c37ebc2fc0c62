"""Finished events, made the long way: text in, text out, nothing of the service is used."""

import json
from collections.abc import Sequence
from typing import Any
from uuid import uuid4
from zlib import crc32

from backends.base import Event, Page, Position
from backends.record import at_of, finish_record, original_of

SYSTEM = "2319db24-f46e-11e6-a35c-3c15c2cc8f88"
OTHER_SYSTEM = "83927d00-f46c-11e6-9f9b-3c15c2cc8f88"
AT = "2017-02-16T16:36:21.082000000Z"
RECEIVED = "2026-11-24T11:22:33.123456Z"
NO_LIMIT = 1 << 40


def new_uuid() -> str:
    """Return a uuid that no other event has."""
    return str(uuid4())


def make_event(
    uuid: str | None = None,
    *,
    smrtlink_id: str = SYSTEM,
    event_type_id: str = "sl_test_event",
    event_type_version: int = 1,
    at: str = AT,
    message: Any = None,
) -> Event:
    """Return an event with a message that is given as a value."""
    return as_sent(
        json.dumps({} if message is None else message, separators=(",", ":"), ensure_ascii=False),
        uuid,
        smrtlink_id=smrtlink_id,
        event_type_id=event_type_id,
        event_type_version=event_type_version,
        at=at,
    )


def as_sent(
    message: str,
    uuid: str | None = None,
    *,
    smrtlink_id: str = SYSTEM,
    event_type_id: str = "sl_test_event",
    event_type_version: int = 1,
    at: str = AT,
) -> Event:
    """Return an event with a message that is given as the text that is sent."""
    uuid = uuid or new_uuid()
    original = (
        f'{{"smrtlinkId":"{smrtlink_id}","uuid":"{uuid}","createdAt":"{at}",'
        f'"eventTypeId":"{event_type_id}","eventTypeVersion":{event_type_version},"message":{message}}}'
    )
    return respelt(
        Event(uuid.lower(), smrtlink_id.lower(), event_type_id, event_type_version, at, b""), original.encode()
    )


def respelt(event: Event, original: bytes, received: str = RECEIVED) -> Event:
    """Return the event under the same keys, sent as another text."""
    return event._replace(record=finish_record(original, event.at, received))


def replaced(event: Event, old: str, new: str) -> Event:
    """Return the event with a part of its text replaced, which must be there."""
    original = original_of(event.record)
    assert old.encode() in original
    return respelt(event, original.replace(old.encode(), new.encode(), 1))


def position_of(event: Event) -> Position:
    """Return an event's place in every list."""
    return Position(event.at, event.uuid)


def records_of(events: Sequence[Event]) -> list[bytes]:
    """Return the records of events, in the same order."""
    return [event.record for event in events]


def last_position(page: Page) -> Position:
    """Return the position of the last record of a page."""
    record = page.records[-1]
    return Position(at_of(record), json.loads(record)["uuid"].lower())


def line(number: int, padding: int = 0) -> bytes:
    """Return a numbered line with a checksum of its own, for a log that does not look into its lines."""
    body = b'{"n":%d,"p":"%b"' % (number, b"x" * padding)
    return b'%b,"@crc":"%08x"}' % (body, crc32(body))


def is_whole(text: bytes) -> bool:
    """Tell whether a line of ``line`` is what was written."""
    body, found, checksum = text.rpartition(b',"@crc":"')
    return bool(found) and checksum == b'%08x"}' % crc32(body)
