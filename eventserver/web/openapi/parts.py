"""The recurring parts of an OpenAPI document."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from eventserver.refusal import Code
from eventserver.web.problem import DOCUMENTATION, KINDS, MEDIA_TYPE

JSON: Final = "application/json"
UUID_PATTERN: Final = "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"
UUID: Final = {"type": "string", "format": "uuid", "pattern": UUID_PATTERN}
TAKING: Final = (
    *(Code.BAD_REQUEST, Code.REQUEST_TIMEOUT, Code.PAYLOAD_TOO_LARGE, Code.UNSUPPORTED_MEDIA_TYPE),
    Code.TOO_MANY_REQUESTS,
)
"""The refusals of whatever reads a body."""
_HEADERS: Final = {
    "Retry-After": "Seconds to wait before another try.",
    "WWW-Authenticate": "How to authenticate.",
}


def reference(name: str) -> dict[str, str]:
    """Refer to a schema of the document's components."""
    return {"$ref": f"#/components/schemas/{name}"}


def content(schema: Mapping[str, Any], media_type: str = JSON, **more: Any) -> dict[str, Any]:
    """Describe a body of one media type."""
    return {media_type: {"schema": schema, **more}}


def answers(*codes: Code, **successes: Mapping[str, Any]) -> dict[str, Any]:
    """Describe all answers of an operation: its successes (``s200={...}``), and its refusals by their codes."""
    found: dict[str, Any] = {name.removeprefix("s"): dict(answer) for name, answer in successes.items()}
    by_status: dict[int, list[Code]] = {}
    for code in codes:
        by_status.setdefault(KINDS[code].status, []).append(code)
    found |= {str(status): _refusal(group) for status, group in by_status.items()}
    return dict(sorted(found.items()))


def _refusal(codes: Iterable[Code]) -> dict[str, Any]:
    kinds = {code: KINDS[code] for code in codes}
    headers = {name: _header(_HEADERS[name]) for kind in kinds.values() for name in kind.headers}
    answer: dict[str, Any] = {
        "description": "; ".join(f"`{code}`: {kind.title}" for code, kind in kinds.items()) + ".",
        "content": content(reference("Problem"), MEDIA_TYPE, examples={code: _example(code) for code in kinds}),
    }
    return answer | ({"headers": headers} if headers else {})


def _header(description: str) -> dict[str, Any]:
    return {"description": description, "required": True, "schema": {"type": "string"}}


def _example(code: Code) -> dict[str, Any]:
    kind = KINDS[code]
    value = {
        "type": f"{DOCUMENTATION}#{code}",
        "title": kind.title,
        "status": kind.status,
        "code": code,
        "detail": "...",
        "instance": "/api/v1/...#6f1c0b9a7d3e5f20",
        "httpCode": kind.status,
        "message": "...",
        "errorType": code,
    }
    return {"summary": kind.title, "value": value}


def parameter(name: str, where: str, description: str, schema: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """Describe a parameter; those in the path are required."""
    required = {"required": True} if where == "path" else {}
    return {"name": name, "in": where, "description": description, **required, "schema": schema, **more}
