"""The operations on event types, and those for whoever runs the server, as OpenAPI describes them."""

from collections.abc import Iterable
from typing import Any, Final

from eventserver.config import Settings
from eventserver.refusal import Code
from eventserver.schemas import SchemaVersion
from eventserver.web.openapi.components import example_of
from eventserver.web.openapi.parts import JSON, TAKING, answers, content, parameter, reference
from eventserver.web.schemas import SCHEMA_TYPE

_TYPES: Final = {"type": "array", "items": reference("EventType")}
_METRICS_TYPE: Final = "text/plain"


def service_paths(settings: Settings, versions: Iterable[SchemaVersion]) -> dict[str, Any]:
    """Return the operations by path and method."""
    versions = list(versions)
    return {
        "/status": {"get": _reading("getStatus", "service", "Tell that the server is up", "ServiceStatus")},
        "/health/live": {"get": _live()},
        "/health/ready": {"get": _ready()},
        "/metrics": {"get": _metrics()},
        "/api/v1/openapi.json": {"get": _document("getOpenAPI")},
        "/api/v1/swagger": {"get": _document("getSwagger")},
        "/api/v1/docs": {"get": _page("getDocs", "This page", "text/html")},
        "/api/v1/docs/{asset}": {"get": _asset()},
        **_type_paths(versions),
        "/api/v1/validate": {"post": _validate(settings, versions)},
    }


def _reading(operation_id: str, tag: str, summary: str, schema: str) -> dict[str, Any]:
    answer = {"description": summary + ".", "content": content(reference(schema))}
    return {"operationId": operation_id, "tags": [tag], "summary": summary, "responses": answers(s200=answer)}


def _page(operation_id: str, summary: str, media_type: str) -> dict[str, Any]:
    answer = {"description": summary + ".", "content": content({"type": "string"}, media_type)}
    return {"operationId": operation_id, "tags": ["service"], "summary": summary, "responses": answers(s200=answer)}


def _asset() -> dict[str, Any]:
    operation = _page("getDocsAsset", "A part of the page", "text/css")
    operation["parameters"] = [parameter("asset", "path", "Its name.", {"enum": ["docs.css", "docs.js"]})]
    operation["responses"]["200"]["content"]["text/javascript"] = {"schema": {"type": "string"}}
    operation["responses"] |= answers(Code.NOT_FOUND)
    return operation


def _document(operation_id: str) -> dict[str, Any]:
    answer = {"description": "This document.", "content": content({"type": "object", "required": ["openapi"]})}
    return {
        "operationId": operation_id,
        "tags": ["service"],
        "summary": "This document",
        "responses": answers(s200=answer),
    }


def _live() -> dict[str, Any]:
    answer = {
        "description": "The process answers.",
        "content": content({"type": "object", "properties": {"status": {"const": "live"}}, "required": ["status"]}),
    }
    return {
        "operationId": "getLive",
        "tags": ["service"],
        "summary": "Tell that the process answers",
        "responses": answers(s200=answer),
    }


def _ready() -> dict[str, Any]:
    operation = _reading("getReady", "service", "Tell whether an event sent now would be taken", "Readiness")
    operation["responses"]["503"] = {
        "description": "It would not; `parts` says why.",
        "content": content(reference("Readiness")),
    }
    return operation


def _metrics() -> dict[str, Any]:
    operation = _page("getMetrics", "Counters for Prometheus", _METRICS_TYPE)
    operation["responses"] |= answers(Code.STORAGE_UNAVAILABLE)
    return operation


def _type_paths(versions: list[SchemaVersion]) -> dict[str, Any]:
    example = versions[0].event_type_id if versions else None
    id_ = parameter("id", "path", "The event type's id.", {"type": "string", "minLength": 1}, example=example)
    version = parameter("version", "path", "The version.", {"type": "integer", "minimum": 1}, example=1)
    types = {"description": "Versions of event types, sorted.", "content": content(_TYPES)}
    schema = {
        "description": "The JSON Schema (2020-12) of `message`.",
        "headers": {"ETag": {"description": "Its fingerprint.", "required": True, "schema": {"type": "string"}}},
        "content": content({"type": "object"}, SCHEMA_TYPE),
    }
    unchanged = {"description": "`If-None-Match` names the schema in force."}
    common = {"tags": ["event types"]}
    return {
        "/api/v1/event-types": {
            "get": {"operationId": "listEventTypes", "summary": "List the event types in force"}
            | common
            | {"responses": answers(s200=types)}
        },
        "/api/v1/event-types/{id}": {
            "parameters": [id_],
            "get": {"operationId": "listVersions", "summary": "List the versions of one event type"}
            | common
            | {"responses": answers(Code.NOT_FOUND, s200=types)},
        },
        "/api/v1/event-types/{id}/{version}": {
            "parameters": [id_, version],
            "get": {"operationId": "getSchema", "summary": "Read a schema"}
            | common
            | {"responses": answers(Code.NOT_FOUND, s200=schema, s304=unchanged)},
        },
    }


def _validate(settings: Settings, versions: list[SchemaVersion]) -> dict[str, Any]:
    examples = {"valid": {"value": example_of(versions[0])} if versions else {}, "invalid": {"value": {"uuid": 1}}}
    verdict = {"description": "The verdict.", "content": content(reference("Validation"))}
    return {
        "operationId": "postValidate",
        "tags": ["event types"],
        "summary": "Judge an event without storing it",
        "description": f"Any JSON of up to {settings.event_max_event_bytes} bytes gets its verdict.",
        "requestBody": {"required": True, "content": {JSON: {"schema": {}, "examples": examples}}},
        "responses": answers(*TAKING, Code.MALFORMED_JSON, s200=verdict),
    }
