"""The operations on the quarantine, as OpenAPI describes them."""

from typing import Any, Final

from eventserver.refusal import Code
from eventserver.web.openapi.parts import answers, content, parameter, reference
from eventserver.web.quarantine import DEFAULT_LIMIT, MAX_LIMIT, PATH

_OPERATORS: Final = (Code.UNAUTHORIZED, Code.FORBIDDEN)
_READING: Final = (*_OPERATORS, Code.STORAGE_UNAVAILABLE)
_CHANGING: Final = (*_READING, Code.STORAGE_FULL)
_ID: Final = "^[0-9a-f]{32}$"
_COUNT: Final = {"type": "integer", "minimum": 0}
_TEXT_OR_NULL: Final = {"type": ["string", "null"]}
_FILTERS: Final = [
    parameter("code", "query", "Only what was refused for this reason.", {"type": "string"}),
    parameter("eventTypeId", "query", "Only events of this type.", {"type": "string"}),
    parameter("peer", "query", "Only what came first from this address.", {"type": "string"}),
]
_CURSOR: Final = parameter(
    "cursor",
    "query",
    "Where to go on, as the answer before said.",
    {"type": "string", "pattern": "^[0-9]{1,18}-[0-9]{1,18}$"},
)
_RESULT: Final = (
    "`stored`, `spooled` and `duplicate` have left the quarantine; what was refused again, or `unavailable`, stays."
)
_ENTRY: Final[dict[str, Any]] = {
    "id": {"type": "string", "pattern": _ID},
    "code": {"type": "string", "description": "Why it was refused."},
    "detail": {"type": "string"},
    "eventTypeId": _TEXT_OR_NULL,
    "eventTypeVersion": {"type": ["integer", "null"]},
    "peer": _TEXT_OR_NULL | {"description": "Who sent it first."},
    "received": {"type": "string", "format": "date-time", "description": "When it came first."},
    "lastReceived": {"type": "string", "format": "date-time", "description": "When it came last."},
    "arrivals": {"type": "integer", "minimum": 1, "description": "How often the same bytes came."},
    "size": _COUNT | {"description": "Length of the body in bytes."},
}


def _closed(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def quarantine_paths() -> dict[str, Any]:
    """Return the operations by path and method."""
    id_ = parameter("id", "path", "The entry's id.", {"type": "string", "minLength": 1}, example="0" * 32)
    return {
        PATH: {"get": _list(), "delete": _drop_all()},
        f"{PATH}/groups": {"get": _groups()},
        f"{PATH}/replay": {"post": _replay_all()},
        f"{PATH}/{{id}}": {"parameters": [id_], "get": _get(), "delete": _drop()},
        f"{PATH}/{{id}}/replay": {"parameters": [id_], "post": _replay()},
    }


def quarantine_components() -> dict[str, Any]:
    """Return the schemas by name."""
    return {
        "QuarantineEntry": _closed(_ENTRY),
        "QuarantineBody": _closed(
            _ENTRY
            | {
                "body": _TEXT_OR_NULL | {"description": "As it was received; null when it is not UTF-8."},
                "bodyBase64": {"type": "string", "description": "As it was received."},
            }
        ),
        "QuarantineGroup": _closed(
            {
                "code": {"type": "string"},
                "eventTypeId": _TEXT_OR_NULL,
                "entries": _COUNT,
                "arrivals": _COUNT,
                "bytes": _COUNT,
            }
        ),
        "Dropped": _closed({"dropped": _COUNT}),
        "Replayed": _closed(
            {
                "status": {
                    "enum": ["stored", "spooled", "duplicate", "refused", "unavailable"],
                    "description": _RESULT,
                },
                "code": _TEXT_OR_NULL | {"description": "Why it was refused; null when it was not."},
                "id": _TEXT_OR_NULL | {"description": "The entry's id from now on; null when it has left."},
            }
        ),
        "ReplayReport": _closed(
            {
                "replayed": _COUNT,
                "results": {
                    "type": "object",
                    "additionalProperties": _COUNT,
                    "description": f"How many had each status, or code of a refusal. {_RESULT}",
                },
                "next": _TEXT_OR_NULL | {"description": "The `cursor` to go on with; null when all were tried."},
            }
        ),
    }


def _operation(operation_id: str, summary: str, description: str, **more: Any) -> dict[str, Any]:
    return {
        "operationId": operation_id,
        "tags": ["quarantine"],
        "summary": summary,
        "description": f"For operators. {description}",
        "security": [{"adminToken": []}, {}],
        **more,
    }


def _success(description: str, schema: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"description": description, "content": content(schema), **more}


def _limit(default: int) -> dict[str, Any]:
    schema = {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": default}
    return parameter("limit", "query", "Entries at most.", schema)


def _list() -> dict[str, Any]:
    link = {"description": 'The next page, `rel="next"` (RFC 8288).', "schema": {"type": "string"}}
    page = _success("A page.", {"type": "array", "items": reference("QuarantineEntry")}, headers={"Link": link})
    return _operation(
        "listQuarantine",
        "List what was refused",
        "Newest first, without the bodies.",
        parameters=[*_FILTERS, _limit(DEFAULT_LIMIT), _CURSOR],
        responses=answers(Code.INVALID_PARAMETER, *_READING, s200=page),
    )


def _groups() -> dict[str, Any]:
    groups = _success("The groups.", {"type": "array", "items": reference("QuarantineGroup")})
    return _operation(
        "listQuarantineGroups",
        "Tell how much was refused for each reason and event type",
        "The most entries first.",
        responses=answers(Code.INVALID_PARAMETER, *_READING, s200=groups),
    )


def _get() -> dict[str, Any]:
    return _operation(
        "getQuarantined",
        "Show what was refused, as it was received",
        "With its body.",
        responses=answers(
            *(Code.INVALID_PARAMETER, Code.NOT_FOUND, *_READING),
            s200=_success("The entry.", reference("QuarantineBody")),
        ),
    )


def _replay() -> dict[str, Any]:
    return _operation(
        "replayQuarantined",
        "Try one entry again",
        "What is taken leaves the quarantine. A replay is harmless: an event that is there already stays as it is.",
        responses=answers(
            *(Code.INVALID_PARAMETER, Code.NOT_FOUND, *_CHANGING),
            s200=_success("What became of it.", reference("Replayed")),
        ),
    )


def _replay_all() -> dict[str, Any]:
    return _operation(
        "replayQuarantine",
        "Try entries again",
        "Oldest first, up to `limit`; go on with `next` as `cursor`. What is taken leaves the quarantine.",
        parameters=[*_FILTERS, _limit(MAX_LIMIT), _CURSOR],
        responses=answers(
            *(Code.INVALID_PARAMETER, *_CHANGING), s200=_success("What became of them.", reference("ReplayReport"))
        ),
    )


def _drop() -> dict[str, Any]:
    return _operation(
        "dropQuarantined",
        "Drop one entry for good",
        "There is no way back.",
        responses=answers(
            *(Code.INVALID_PARAMETER, Code.NOT_FOUND, *_CHANGING), s200=_success("It is gone.", reference("Dropped"))
        ),
    )


def _drop_all() -> dict[str, Any]:
    everything = {"type": "boolean", "default": False}
    return _operation(
        "dropQuarantine",
        "Drop entries for good",
        "All that fit the filters; without a filter only with `all=true`. There is no way back.",
        parameters=[*_FILTERS, parameter("all", "query", "Really everything; without a filter.", everything)],
        responses=answers(*(Code.INVALID_PARAMETER, *_CHANGING), s200=_success("They are gone.", reference("Dropped"))),
    )
