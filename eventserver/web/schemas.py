"""Event types over HTTP: which there are, their JSON Schemas, and the verdict for an event that is not to be stored."""

import asyncio
import re
from typing import Any, Final

from aiohttp import web

from eventserver.intake import LARGE_BODY
from eventserver.refusal import Code, Refusal
from eventserver.schemas import SchemaVersion
from eventserver.web.bodies import require_json, whole_body
from eventserver.web.documents import document
from eventserver.web.keys import INTAKE, REGISTRY, SETTINGS

_VERDICTS: Final = frozenset({Code.INVALID_EVENT, Code.UNKNOWN_EVENT_TYPE, Code.SCHEMA_VIOLATION})
SCHEMA_TYPE: Final = "application/schema+json"
_VERSION: Final = re.compile(r"[1-9][0-9]{0,9}")


def routes() -> list[web.RouteDef]:
    """Return the routes of this module."""
    return [
        web.get("/api/v1/event-types", list_types),
        web.get("/api/v1/event-types/{id}", list_versions),
        web.get("/api/v1/event-types/{id}/{version}", get_schema),
        web.post("/api/v1/validate", post_validate),
    ]


async def list_types(request: web.Request) -> web.Response:
    """Name all versions of all types, sorted."""
    return document([_summary(version) for _, version in sorted(request.app[REGISTRY].versions.items())])


async def list_versions(request: web.Request) -> web.Response:
    """Name the versions of one type, sorted."""
    event_type_id = request.match_info["id"]
    versions = [version for key, version in sorted(request.app[REGISTRY].versions.items()) if key[0] == event_type_id]
    if not versions:
        raise Refusal(Code.NOT_FOUND, f"There is no event type {event_type_id[:100]!r}.")
    return document([_summary(version) for version in versions])


async def get_schema(request: web.Request) -> web.Response:
    """Give the JSON Schema of one version."""
    event_type_id, version = request.match_info["id"], request.match_info["version"]
    key = (event_type_id, int(version) if _VERSION.fullmatch(version) else 0)
    found = request.app[REGISTRY].versions.get(key)
    if found is None:
        raise Refusal(Code.NOT_FOUND, f"There is no version {version[:20]!r} of an event type {event_type_id[:100]!r}.")
    tag = f'"{found.fingerprint}"'
    headers = {"ETag": tag, "Cache-Control": "no-cache"}
    if tag in request.headers.get("If-None-Match", ""):
        return web.Response(status=304, headers=headers)
    return document(found.schema, content_type=SCHEMA_TYPE, headers=headers)


async def post_validate(request: web.Request) -> web.Response:
    """Judge an event as intake would, and store nothing: 200 whatever the verdict."""
    require_json(request)
    settings, judge = request.app[SETTINGS], request.app[INTAKE].judge
    limit, seconds = settings.event_max_event_bytes, settings.event_body_timeout_seconds
    try:
        async with whole_body(request, limit=limit, seconds=seconds) as body:
            event = judge(body) if len(body) <= LARGE_BODY else await asyncio.to_thread(judge, body)
    except Refusal as refusal:
        if refusal.code not in _VERDICTS:
            raise
        errors = [error._asdict() for error in refusal.errors]
        return document({"valid": False, "code": refusal.code, "detail": refusal.detail, "errors": errors})
    return document(
        {
            "valid": True,
            "uuid": event.uuid,
            "eventTypeId": event.event_type_id,
            "eventTypeVersion": event.event_type_version,
        }
    )


def _summary(version: SchemaVersion) -> dict[str, Any]:
    return {
        "eventTypeId": version.event_type_id,
        "eventTypeVersion": version.version,
        "title": version.schema.get("title", ""),
        "description": version.schema.get("description", ""),
        "revision": version.revision,
        "fingerprint": version.fingerprint,
        "schema": f"/api/v1/event-types/{version.event_type_id}/{version.version}",
    }
