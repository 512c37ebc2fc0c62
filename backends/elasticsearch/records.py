"""The documents: what is sent to be stored, and what records and claims are read from."""

import json
import logging
from typing import Final, NamedTuple

from jiter import from_json

from backends.base import Event
from backends.errors import StoreUnavailable
from backends.record import is_intact, received_of

_LOGGER: Final = logging.getLogger(__name__)
AS_IS: Final = "@asis"
RECORD: Final = "@record"
_AS_IS_START: Final = b'{"@asis":true,"@record":'


class Claim(NamedTuple):
    """Which index has the event of a uuid."""

    name: str
    """The name that it is written by."""
    bytes: int
    """How long the event's record is."""
    version: str
    """Which state of the claim this is: what a change of it has to name, as query or action."""


def as_is(event: Event) -> bytes:
    """Return the document of an event that can't be indexed: the keys that it is found by, and its record as text.

    No event looks like this: keys that begin with ``@`` are refused, but for the three of a record, at its end.
    """
    document = {
        AS_IS: True,
        RECORD: event.record.decode(),
        "uuid": event.uuid,
        "smrtlinkId": event.smrtlink_id,
        "createdAt": event.at,
        "eventTypeId": event.event_type_id,
        "eventTypeVersion": event.event_type_version,
        "@at": event.at,
        "@received": received_of(event.record),
    }
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def claim_of(event: Event, index: str) -> bytes:
    """Return the document that says where an event is."""
    return b'{"index":"%b","bytes":%d}' % (index.encode(), len(event.record))


def read_record(source: bytes) -> bytes:
    """Return the record out of a document.

    Raises:
        StoreUnavailable: it is a document of somebody else's.

    """
    if not source.startswith(_AS_IS_START):
        return source
    try:
        return bytes(from_json(source)[RECORD].encode())
    except (ValueError, KeyError, AttributeError) as error:
        raise StoreUnavailable("a document in Elasticsearch is not one of this store's") from error


def tell_damage(index: str, uuid: str, record: bytes) -> bool:
    """Tell whether the record is not what was stored, and say so in the log."""
    if is_intact(record):
        return False
    _LOGGER.error("event %s in %s is not what was stored: its checksum is wrong", uuid, index)
    return True
