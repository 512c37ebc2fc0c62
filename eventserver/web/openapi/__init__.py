"""The OpenAPI 3.1 document: made from the same constants, tables and schemas that the handlers work with."""

import asyncio
from collections.abc import Iterable
from importlib.metadata import version
from typing import Any, Final

from aiohttp import web
from pydantic_core import to_json

from eventserver.config import Settings
from eventserver.schemas import SchemaVersion
from eventserver.web.keys import REGISTRY, SETTINGS
from eventserver.web.openapi.components import components
from eventserver.web.openapi.events import event_paths
from eventserver.web.openapi.files import file_components, file_paths
from eventserver.web.openapi.listeners import listener_components, listener_paths
from eventserver.web.openapi.quarantine import quarantine_components, quarantine_paths
from eventserver.web.openapi.service import service_paths
from eventserver.web.problem import KINDS

_ADMIN_TOKEN: Final = {
    "type": "http",
    "scheme": "bearer",
    "description": "`SMRTFLOW_EVENT_ADMIN_TOKEN` of the server. Without one, operators are those on its machine.",
}
PATHS: Final = ("/api/v1/openapi.json", "/api/v1/swagger")


def routes() -> list[web.RouteDef]:
    """Return the routes of this module."""
    made_for: object = None
    body = b""

    async def get_document(request: web.Request) -> web.Response:
        """Give the document for the event types that are in force now; it is made once for each set of them."""
        nonlocal made_for, body
        versions = request.app[REGISTRY].versions
        if versions is not made_for:
            body = await asyncio.to_thread(lambda: to_json(openapi_document(request.app[SETTINGS], versions.values())))
            made_for = versions
        return web.Response(body=body, content_type="application/json", headers={"Cache-Control": "no-cache"})

    return [web.get(path, get_document) for path in PATHS]


def openapi_document(settings: Settings, schemas: Iterable[SchemaVersion]) -> dict[str, Any]:
    """Return the document for these event types."""
    versions = sorted(schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "SMRT Link event server",
            "version": version("smrtlink-event-server"),
            "description": "Takes the events of SMRT Link systems, keeps them, and gives them back as they were sent.",
        },
        "servers": [{"url": "/"}],
        "paths": event_paths(settings, versions)
        | service_paths(settings, versions)
        | file_paths(settings)
        | listener_paths()
        | quarantine_paths(),
        "components": {
            "schemas": components(versions) | file_components() | listener_components() | quarantine_components(),
            "securitySchemes": {"adminToken": _ADMIN_TOKEN},
        },
        "x-codes": [{"code": code, "status": kind.status, "title": kind.title} for code, kind in KINDS.items()],
    }
