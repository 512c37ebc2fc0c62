"""The schemas of the OpenAPI document. What an event may be follows from the schemas in force."""

import uuid
from collections.abc import Iterable
from typing import Any, Final

from backends.base import Status
from eventserver.refusal import Code
from eventserver.schemas import SchemaVersion
from eventserver.web.openapi.parts import UUID, reference

EXAMPLE_SYSTEM: Final = "2319db24-f46e-11e6-a35c-3c15c2cc8f88"
EXAMPLE_INSTANT: Final = "2017-02-16T08:36:21.082-08:00"
INSTANT_PATTERN: Final = (
    "^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt]([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)([.][0-9]{1,9})?"
    "([Zz]|[+-]([01][0-9]|2[0-3]):?[0-5][0-9])$"
)
INSTANT: Final = {"type": "string", "format": "date-time", "pattern": INSTANT_PATTERN}
_SYSTEM_KEYS: Final = ("smrtlinkId", "smrtLinkId")
_OUR_KEYS: Final = {"not": {"pattern": "^@"}}


def components(versions: Iterable[SchemaVersion]) -> dict[str, Any]:
    """Return all schemas by name."""
    versions = list(versions)
    return {
        "NewEvent": {
            "description": "A SMRT Link System Message of one of the event types in force.",
            "anyOf": [reference(name_of(version)) for version in versions],
        },
        **{name_of(version): _event_of(version) for version in versions},
        "Event": _EVENT,
        "Problem": _PROBLEM,
        "Violation": _VIOLATION,
        "Verdict": _VERDICT,
        "Validation": _VALIDATION,
        "EventType": _EVENT_TYPE,
        "ServiceStatus": _SERVICE_STATUS,
        "Readiness": _READINESS,
    }


def name_of(version: SchemaVersion) -> str:
    """Return the name of the schema of one version's events."""
    return f"{version.event_type_id}.{version.version}"


def example_of(version: SchemaVersion) -> dict[str, Any]:
    """Return an event of one version, with a uuid of its own."""
    return {
        "smrtlinkId": EXAMPLE_SYSTEM,
        "uuid": str(uuid.uuid5(uuid.UUID(EXAMPLE_SYSTEM), name_of(version))),
        "createdAt": EXAMPLE_INSTANT,
        "eventTypeId": version.event_type_id,
        "eventTypeVersion": version.version,
        "message": version.examples["valid"][0],
    }


def _event_of(version: SchemaVersion) -> dict[str, Any]:
    """Describe an event of one version: the envelope, with the system's id in exactly one of its two spellings."""
    message = {key: value for key, value in version.schema.items() if key != "$schema"}
    properties = {
        "uuid": UUID | {"description": "Identity: the same event may be sent again."},
        "createdAt": INSTANT | {"description": "With an offset, fraction of up to 9 digits."},
        "eventTypeId": {"const": version.event_type_id},
        "eventTypeVersion": {"const": version.version},
        "dnsName": {"type": ["string", "null"]},
        "message": message,
    }
    return {
        "title": version.schema.get("title", name_of(version)),
        "type": "object",
        "anyOf": [
            {
                "properties": properties | {key: UUID | {"description": "The sending system."}, other: False},
                "required": [key, "uuid", "createdAt", "eventTypeId", "eventTypeVersion", "message"],
            }
            for key, other in (_SYSTEM_KEYS, _SYSTEM_KEYS[::-1])
        ],
        "propertyNames": _OUR_KEYS,
        "examples": [example_of(version)],
    }


_VIOLATION: Final = {
    "type": "object",
    "properties": {
        "pointer": {"type": "string", "description": "JSON Pointer (RFC 6901) into the event as sent."},
        "message": {"type": "string"},
    },
    "required": ["pointer", "message"],
}

_EVENT: Final = {
    "type": "object",
    "description": "A stored event, token for token as it was sent.",
    "properties": {
        "smrtlinkId": UUID,
        "smrtLinkId": UUID,
        "uuid": UUID,
        "createdAt": INSTANT,
        "eventTypeId": {"type": "string"},
        "eventTypeVersion": {"type": "integer", "minimum": 1, "maximum": 2147483647},
        "dnsName": {"type": ["string", "null"]},
        "message": {"type": "object"},
    },
    "required": ["uuid", "createdAt", "eventTypeId", "eventTypeVersion", "message"],
    "oneOf": [{"required": [key]} for key in _SYSTEM_KEYS],
}

_PROBLEM: Final = {
    "type": "object",
    "description": (
        "A refusal (RFC 9457). It is less than 1 kB, with violations left out and long texts cut, unless the request's "
        "`Accept` names `application/problem+json`."
    ),
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"enum": [str(code) for code in Code]},
        "detail": {"type": "string"},
        "instance": {"type": "string", "description": "Path and id of the request; the id is in the server's log."},
        "errors": {"type": "array", "maxItems": 20, "items": reference("Violation")},
        "errorsOmitted": {"type": "integer", "minimum": 1},
        "httpCode": {"type": "integer", "description": "`status`, as the predecessor called it."},
        "message": {"type": "string", "description": "`detail`, as the predecessor called it."},
        "errorType": {"type": "string", "description": "`code`, as the predecessor called it."},
        "verdicts": {
            "type": "array",
            "description": "Of a batch of lines that grew over a limit: what became of the events before it.",
            "items": reference("Verdict"),
        },
    },
    "required": ["type", "title", "status", "code", "detail", "instance", "httpCode", "message", "errorType"],
}

_VERDICT: Final = {
    "type": "object",
    "description": "What became of one event of a batch.",
    "properties": {
        "index": {"type": "integer", "minimum": 0},
        "uuid": {"type": ["string", "null"]},
        "status": {"enum": [*map(str, Status), "invalid"]},
        "code": {"enum": [str(code) for code in Code]},
        "detail": {"type": "string"},
        "errors": {"type": "array", "items": reference("Violation")},
        "retryable": {"type": "boolean", "description": "Whether sending the same bytes again may succeed."},
    },
    "required": ["index", "uuid", "status", "retryable"],
}

_VALIDATION: Final = {
    "type": "object",
    "oneOf": [
        {
            "properties": {
                "valid": {"const": True},
                "uuid": UUID,
                "eventTypeId": {"type": "string"},
                "eventTypeVersion": {"type": "integer"},
            },
            "required": ["valid", "uuid", "eventTypeId", "eventTypeVersion"],
        },
        {
            "properties": {
                "valid": {"const": False},
                "code": {"enum": [str(code) for code in Code]},
                "detail": {"type": "string"},
                "errors": {"type": "array", "items": reference("Violation")},
            },
            "required": ["valid", "code", "detail", "errors"],
        },
    ],
}

_EVENT_TYPE: Final = {
    "type": "object",
    "properties": {
        "eventTypeId": {"type": "string", "pattern": "^[a-z][a-z0-9_]{0,99}$"},
        "eventTypeVersion": {"type": "integer", "minimum": 1},
        "title": {"type": "string"},
        "description": {"type": "string"},
        "revision": {"type": "integer", "minimum": 1, "description": "Counts the widenings of this version."},
        "fingerprint": {"type": "string", "description": "SHA-256 of the schema."},
        "schema": {"type": "string", "format": "uri-reference", "description": "Where the JSON Schema is."},
    },
    "required": ["eventTypeId", "eventTypeVersion", "title", "description", "revision", "fingerprint", "schema"],
}

_SERVICE_STATUS: Final = {
    "type": "object",
    "properties": {
        "id": {"type": "string"},
        "message": {"type": "string"},
        "uptime": {"type": "integer", "minimum": 0, "description": "Milliseconds since the start."},
        "uuid": {"type": "string", "format": "uuid", "description": "Of this start of the server."},
        "version": {"type": "string"},
        "user": {"type": "string"},
    },
    "required": ["id", "message", "uptime", "uuid", "version", "user"],
}

_READINESS: Final = {
    "type": "object",
    "properties": {
        "status": {"enum": ["ready", "not_ready"]},
        "parts": {
            "type": "object",
            "description": "By name; `code` says why a part is not ready.",
            "additionalProperties": {
                "type": "object",
                "properties": {"ready": {"type": "boolean"}, "code": {"enum": [str(code) for code in Code]}},
                "required": ["ready"],
            },
        },
    },
    "required": ["status", "parts"],
}
