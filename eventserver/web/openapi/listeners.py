"""The operations on listeners, as OpenAPI describes them."""

from typing import Any, Final

from eventserver.refusal import Code
from eventserver.web.listeners import MAX_LIMIT, PATH, REPLAY_LIMIT
from eventserver.web.openapi.parts import answers, content, parameter, reference

_OPERATORS: Final = (Code.UNAUTHORIZED, Code.FORBIDDEN, Code.INVALID_PARAMETER)
_ONE: Final = (*_OPERATORS, Code.NOT_FOUND, Code.STORAGE_UNAVAILABLE)
_COUNT: Final = {"type": "integer", "minimum": 0}
_TEXT: Final = {"type": "string"}
_TEXT_OR_NULL: Final = {"type": ["string", "null"]}
_WHICH: Final = [
    parameter("number", "query", "Of a dead letter; once or more.", {"type": "array", "items": {"type": "string"}}),
    parameter("all", "query", "All there are, in place of numbers.", {"type": "boolean"}),
]


def listener_paths() -> dict[str, Any]:
    """Return the operations by path and method."""
    name = parameter("name", "path", "The listener's name.", {"type": "string", "minLength": 1}, example="support")
    letters = f"{PATH}/{{name}}/dead-letters"
    return {
        PATH: {"get": _status()},
        letters: {"parameters": [name], "get": _letters(), "delete": _drop()},
        f"{letters}/retry": {"parameters": [name], "post": _retry()},
        f"{PATH}/{{name}}/replay": {"parameters": [name], "post": _replay()},
    }


def listener_components() -> dict[str, Any]:
    """Return the schemas by name."""
    return {
        "Listener": _closed(
            {
                "name": _TEXT,
                "type": {"enum": ["webhook", "email", "auto-analysis"]},
                "delivered": _COUNT | {"description": "Events, since the start."},
                "failedTries": _COUNT,
                "waiting": _COUNT | {"description": "Events on their way, and waiting in memory."},
                "oldestReceived": _TEXT_OR_NULL | {"description": "When the oldest of those on their way arrived."},
                "isBehind": {"type": "boolean", "description": "Whether it reads the log to catch up."},
                "deadLetters": _COUNT,
                "givenUp": _COUNT | {"description": "Events that became dead letters since the start."},
                "problem": _TEXT_OR_NULL | {"description": "Why the last try failed; null when it did not."},
                "conditionErrors": _COUNT,
                "conditionError": _TEXT_OR_NULL,
            }
        ),
        "Listeners": _closed(
            {
                "listeners": {"type": "array", "items": reference("Listener")},
                "problem": _TEXT_OR_NULL | {"description": "Why a changed file is not in force."},
            }
        ),
        "DeadLetter": _closed(
            {
                "number": _TEXT,
                "uuid": _TEXT,
                "code": _TEXT,
                "detail": _TEXT,
                "givenUp": _TEXT,
                "event": _TEXT | {"description": "As sent."},
            }
        ),
        "RetriedLetters": _closed({"retried": _COUNT}),
        "DroppedLetters": _closed({"dropped": _COUNT}),
        "ListenerReplay": _closed(
            {
                "read": _COUNT,
                "taken": _COUNT | {"description": "Those that the listener's filter takes."},
                "next": _TEXT_OR_NULL | {"description": "The `cursor` to go on with; null at the end."},
            }
        ),
    }


def _closed(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _operation(operation_id: str, summary: str, **more: Any) -> dict[str, Any]:
    return {
        "operationId": operation_id,
        "tags": ["listeners"],
        "summary": summary,
        "description": "For operators.",
        "security": [{"adminToken": []}, {}],
        **more,
    }


def _success(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": content(schema)}


def _status() -> dict[str, Any]:
    return _operation(
        "getListeners",
        "Tell how each listener is",
        responses=answers(*_OPERATORS, s200=_success("All of them.", reference("Listeners"))),
    )


def _letters() -> dict[str, Any]:
    items = {"type": "array", "maxItems": MAX_LIMIT, "items": reference("DeadLetter")}
    return _operation(
        "listDeadLetters",
        "List what a listener gave up, oldest first",
        responses=answers(*_ONE, s200=_success("The oldest.", items)),
    )


def _drop() -> dict[str, Any]:
    return _operation(
        "dropDeadLetters",
        "Drop dead letters for good",
        parameters=_WHICH,
        responses=answers(*_ONE, Code.STORAGE_FULL, s200=_success("How many.", reference("DroppedLetters"))),
    )


def _retry() -> dict[str, Any]:
    return _operation(
        "retryDeadLetters",
        "Let dead letters be delivered again",
        parameters=_WHICH,
        responses=answers(*_ONE, s200=_success("How many.", reference("RetriedLetters"))),
    )


def _replay() -> dict[str, Any]:
    text = {"type": "string"}
    return _operation(
        "replayToListener",
        "Hand stored events to a listener again",
        parameters=[
            parameter("dryRun", "query", "Only count them.", {"type": "boolean", "default": False}),
            parameter("eventTypeId", "query", "Only events of this type.", text),
            parameter("eventTypeVersion", "query", "Only this version of it.", {"type": "integer", "minimum": 1}),
            parameter("from", "query", "Created at this time or later.", text | {"format": "date-time"}),
            parameter("to", "query", "Created before this time.", text | {"format": "date-time"}),
            parameter("order", "query", "Oldest or newest first.", {"enum": ["asc", "desc"], "default": "asc"}),
            parameter(
                "limit",
                "query",
                f"Events read at most; {REPLAY_LIMIT} are read even where it is more.",
                {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": REPLAY_LIMIT},
            ),
            parameter("cursor", "query", "Where to go on, as the answer before said.", text),
        ],
        responses=answers(*_ONE, s200=_success("What was read.", reference("ListenerReplay"))),
    )
