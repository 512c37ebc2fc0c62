"""The SMRT Link System Message: bytes in, the keys of the envelope out, or a refusal that says all that is wrong."""

import re
from functools import lru_cache, partial
from itertools import islice
from typing import Any, Final, NamedTuple

from eventserver.instant import parse_instant, received_now
from eventserver.refusal import Code, Refusal, Violation
from eventserver.strict_json import decode

__all__ = ["SystemMessage", "is_uuid", "parse", "parse_instant", "received_now"]

_SPACE: Final = b" \t\n\r"
is_uuid: Final = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}").fullmatch
"""Tells whether a whole text is a UUID in the one form that the wire knows: a match, or None."""
_MAX_VERSION: Final = 2147483647
_MAX_VIOLATIONS: Final = 20
_MAX_POINTER: Final = 100
_NEEDED_KEYS: Final = 6


class SystemMessage(NamedTuple):
    """An event whose envelope is right; its message is still to be judged by a schema."""

    uuid: str
    """36 characters, lower case."""
    smrtlink_id: str
    """36 characters, lower case."""
    event_type_id: str
    """Any text; whether there is such a type is not known here."""
    event_type_version: int
    """1 to 2147483647."""
    at: str
    """``createdAt`` as an instant in UTC, nine digits: ``2017-02-16T16:36:21.082000000Z``."""
    message: dict[str, Any]
    """For validation; numbers beyond the range of a float are ``Decimal`` (see ``strict_json.decode``)."""
    original: bytes
    """The event as sent, without the white space around it."""


_make_message: Final = partial(tuple.__new__, SystemMessage)
"""A third of what the named tuple's own constructor costs."""


def parse(body: bytes) -> SystemMessage:
    """Read an event.

    Args:
        body: the bytes as received.

    Raises:
        Refusal: ``malformed_json`` when it is not strict JSON, else ``invalid_event`` with all that is wrong (at most
            20 violations), each with its pointer and what would be right.

    """
    event = decode(body)
    # One test for the whole envelope; what exactly is wrong is asked only when it fails. This is the hot path.
    try:
        uuid = event["uuid"]
        smrtlink_id = _system(event["smrtLinkId" if "smrtLinkId" in event else "smrtlinkId"])
        event_type_id = event["eventTypeId"]
        event_type_version = event["eventTypeVersion"]
        message = event["message"]
        if (
            is_uuid(uuid)
            and type(event_type_id) is str
            and type(event_type_version) is int
            and 1 <= event_type_version <= _MAX_VERSION
            and type(message) is dict
            and (len(event) == _NEEDED_KEYS or not _violations_of_other_keys(event))
        ):
            at = parse_instant(event["createdAt"])
            original = body.strip(_SPACE)
            return _make_message((uuid.lower(), smrtlink_id, event_type_id, event_type_version, at, message, original))
    except (KeyError, TypeError, ValueError) as error:  # a missing key, no text where one belongs, no instant
        raise _refusal(event) from error
    raise _refusal(event)


@lru_cache(maxsize=4096)
def _system(smrtlink_id: str) -> str:
    """Return the id in lower case; cached, since a few hundred systems send all events."""
    if not is_uuid(smrtlink_id):
        msg = "not a UUID"
        raise ValueError(msg)
    return smrtlink_id.lower()


def _refusal(event: Any) -> Refusal:
    """Say all that is wrong with an envelope that ``parse`` did not take."""
    if type(event) is not dict:
        violations = [Violation("", "must be a JSON object: one SMRT Link System Message")]
    else:
        violations = [
            *_violation_of_uuid(event, "uuid"),
            *_violations_of_system(event),
            *_violations_of_created_at(event),
            *_violations_of_event_type(event),
            *_violations_of_message(event),
            *_violations_of_other_keys(event),
        ]
    pointer, message = violations[0]
    detail = f"The event is not valid: {pointer or 'it'} {message}."
    return Refusal(Code.INVALID_EVENT, detail, violations[:_MAX_VIOLATIONS])


def _violation_of_uuid(event: dict[str, Any], key: str) -> list[Violation]:
    value = event.get(key)
    if type(value) is str and is_uuid(value):
        return []
    return [Violation(f"/{key}", _must_be(event, key, "a UUID: 8-4-4-4-12 hexadecimal digits with hyphens"))]


def _violations_of_system(event: dict[str, Any]) -> list[Violation]:
    if "smrtLinkId" in event:
        return _violation_of_uuid(event, "smrtLinkId")
    return _violation_of_uuid(event, "smrtlinkId")


def _violations_of_created_at(event: dict[str, Any]) -> list[Violation]:
    value = event.get("createdAt")
    if type(value) is not str:
        form = "text: an RFC 3339 date-time with an offset, such as 2017-02-16T08:36:21.082-08:00"
        return [Violation("/createdAt", _must_be(event, "createdAt", form))]
    try:
        parse_instant(value)
    except ValueError as error:
        return [Violation("/createdAt", str(error))]
    return []


def _violations_of_event_type(event: dict[str, Any]) -> list[Violation]:
    violations = []
    if type(event.get("eventTypeId")) is not str:
        violations.append(Violation("/eventTypeId", _must_be(event, "eventTypeId", "text, such as sl_test_event")))
    version = event.get("eventTypeVersion")
    if type(version) is not int or not 1 <= version <= _MAX_VERSION:
        form = f"an integer from 1 to {_MAX_VERSION}, written with digits only"
        violations.append(Violation("/eventTypeVersion", _must_be(event, "eventTypeVersion", form)))
    return violations


def _violations_of_message(event: dict[str, Any]) -> list[Violation]:
    if type(event.get("message")) is dict:
        return []
    return [Violation("/message", _must_be(event, "message", "a JSON object"))]


def _violations_of_other_keys(event: dict[str, Any]) -> list[Violation]:
    """Judge what need not be there: the second spelling, dnsName, keys of the sender's own."""
    violations = []
    if "smrtlinkId" in event and "smrtLinkId" in event:
        violations.append(
            Violation("/smrtlinkId", "must not be there beside /smrtLinkId: send one of the two spellings")
        )
    if type(event.get("dnsName", "")) not in {str, type(None)}:
        violations.append(Violation("/dnsName", "must be text or null, or left out"))
    for key in islice((key for key in event if key.startswith("@")), _MAX_VIOLATIONS):
        pointer = "/" + key.replace("~", "~0").replace("/", "~1") if len(key) <= _MAX_POINTER else ""
        violations.append(Violation(pointer, "must not be there: keys that begin with @ are the server's own"))
    return violations


def _must_be(event: dict[str, Any], key: str, form: str) -> str:
    return f"must be {form}" if key in event else f"is missing: it must be {form}"
