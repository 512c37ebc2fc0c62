"""The operations on events, as OpenAPI describes them."""

import json
from collections.abc import Iterable
from typing import Any, Final

from backends.base import Status
from eventserver.config import Settings
from eventserver.refusal import Code
from eventserver.schemas import SchemaVersion
from eventserver.web.bodies import NDJSON
from eventserver.web.lists import DEFAULT_LIMIT, MAX_LIMIT
from eventserver.web.openapi.components import EXAMPLE_INSTANT, EXAMPLE_SYSTEM, INSTANT, example_of, name_of
from eventserver.web.openapi.parts import JSON, TAKING, UUID, answers, content, parameter, reference

_TAKEN: Final = {
    "Location": {"description": "Path of the event.", "required": True, "schema": {"type": "string"}},
    "Event-Status": {
        "description": "How it was taken.",
        "required": True,
        "schema": {"enum": [str(Status.STORED), str(Status.DUPLICATE), str(Status.SPOOLED)]},
    },
}
_READING: Final = (Code.TOO_MANY_REQUESTS, Code.STORAGE_UNAVAILABLE)
_STORING: Final = (Code.STORAGE_UNAVAILABLE, Code.STORAGE_FULL)
_RECEIVED: Final = parameter(
    "Event-Received",
    "header",
    "Operators only: the moment in UTC at which the event arrived, where that was not now, as of an archive. Operators "
    "send the admin token as `Authorization: Bearer`, or are on the server's machine where it has none.",
    {
        "type": "string",
        "format": "date-time",
        "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}[.][0-9]{6}Z$",
    },
)
_FILTERS: Final = [
    parameter("eventTypeId", "query", "Only events of this type.", {"type": "string"}),
    parameter(
        "eventTypeVersion",
        "query",
        "Only events of this version; together with `eventTypeId`.",
        {"type": "integer", "minimum": 1, "maximum": 2147483647},
    ),
    parameter("from", "query", "Only events created at this instant or later.", INSTANT, example=EXAMPLE_INSTANT),
    parameter("to", "query", "Only events created before this instant.", INSTANT, example="9999-12-31T00:00:00Z"),
    parameter("order", "query", "By `createdAt`.", {"enum": ["asc", "desc"], "default": "asc"}),
    parameter(
        "limit",
        "query",
        "Events at most; a stream has no limit by default.",
        {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT},
    ),
    parameter(
        "cursor", "query", "Where to go on: from the `Link` of the page before.", {"type": "string", "format": "cursor"}
    ),
]


def event_paths(settings: Settings, versions: Iterable[SchemaVersion]) -> dict[str, Any]:
    """Return the operations by path and method."""
    versions = list(versions)
    examples = {name_of(version): {"value": example_of(version)} for version in versions}
    example = example_of(versions[0]) if versions else {}
    uuid = parameter("uuid", "path", "The event's uuid.", UUID, example=example.get("uuid"))
    system = parameter("uuid", "path", "The system's `smrtlinkId`.", UUID, example=EXAMPLE_SYSTEM)
    return {
        "/api/v1/events": {"post": _post(settings, examples), "get": _list("listEvents", "List events", [])},
        "/api/v1/events/batch": {"post": _batch(settings, list(examples.values()))},
        "/api/v1/events/{uuid}": {"parameters": [uuid], "get": _get(example)},
        "/api/v1/events/smrt-link/{uuid}": {
            "parameters": [system],
            "get": _list("listEventsOfSystem", "List the events of one system", [Code.INVALID_UUID]),
        },
    }


def _post(settings: Settings, examples: dict[str, Any]) -> dict[str, Any]:
    taken = {"headers": _TAKEN, "content": content(reference("Event")), "links": {"event": _link()}}
    return {
        "operationId": "postEvent",
        "tags": ["events"],
        "summary": "Send one event",
        "description": (
            "It is durable before the answer. The same event again is fine. A body of up to "
            f"{settings.event_max_event_bytes} bytes is taken; a missing Content-Type and text/plain count as JSON."
        ),
        "parameters": [_RECEIVED],
        "requestBody": {"required": True, "content": content(reference("NewEvent"), examples=examples)},
        "responses": answers(
            *TAKING,
            *(Code.INVALID_PARAMETER, Code.UNAUTHORIZED, Code.FORBIDDEN),
            *(Code.MALFORMED_JSON, Code.EVENT_CONFLICT),
            *(Code.INVALID_EVENT, Code.UNKNOWN_EVENT_TYPE, Code.SCHEMA_VIOLATION),
            *_STORING,
            s200={"description": "It was there already: the stored event."} | taken,
            s201={"description": "It is new: the event, as sent."} | taken,
        ),
    }


def _link() -> dict[str, Any]:
    return {
        "operationId": "getEvent",
        "parameters": {"uuid": "$response.body#/uuid"},
        "description": "It can be read back at once.",
    }


def _batch(settings: Settings, examples: list[dict[str, Any]]) -> dict[str, Any]:
    events = [example["value"] for example in examples]
    most = settings.event_max_batch_events
    verdicts = {"type": "array", "maxItems": most, "items": reference("Verdict")}
    return {
        "operationId": "postEvents",
        "tags": ["events"],
        "summary": "Send many events",
        "description": (
            f"Up to {most} events or {settings.event_max_batch_bytes} bytes, as a JSON array or as lines. The good "
            "ones go in, whatever the others are. An array that is not JSON (RFC 8259) is refused whole, also for NaN "
            "in one event; so is one over a limit. Lines are taken as they arrive: a bad one costs only itself, and "
            "where they end too soon (a limit, the time, the connection) each line that arrived whole is taken; a "
            "refusal then has the `verdicts` on them. In a verdict `uuid` is in lower case, and null where none can "
            "be read."
        ),
        "requestBody": {
            "required": True,
            "content": {
                JSON: {"schema": {"type": "array"}, "example": events},
                NDJSON: {"schema": {}, "example": "\n".join(map(json.dumps, events))},
            },
        },
        "responses": answers(
            *TAKING,
            Code.MALFORMED_JSON,
            *_STORING,
            s200={"description": "A verdict for each event, in order.", "content": content(verdicts)},
        ),
    }


def _get(example: dict[str, Any]) -> dict[str, Any]:
    found = {"description": "The event, as it was sent.", "content": content(reference("Event"), example=example)}
    return {
        "operationId": "getEvent",
        "tags": ["events"],
        "summary": "Read one event",
        "responses": answers(Code.INVALID_UUID, Code.NOT_FOUND, *_READING, s200=found),
    }


def _list(operation_id: str, summary: str, refusals: list[Code]) -> dict[str, Any]:
    page = {
        "description": "A page; without `Link` it is the last one. Lines with `Accept: application/x-ndjson`.",
        "headers": {
            "Link": {"description": 'The next page, `rel="next"` (RFC 8288).', "schema": {"type": "string"}},
        },
        "content": {
            JSON: {"schema": {"type": "array", "items": reference("Event")}},
            NDJSON: {"schema": {"type": "string"}},
        },
    }
    return {
        "operationId": operation_id,
        "tags": ["events"],
        "summary": summary,
        "description": (
            "Ordered by the instant of `createdAt`, ties by uuid. Following `Link` shows each event that was there at "
            "the first page exactly once."
        ),
        "parameters": _FILTERS,
        "responses": answers(Code.INVALID_PARAMETER, *refusals, *_READING, s200=page),
    }
