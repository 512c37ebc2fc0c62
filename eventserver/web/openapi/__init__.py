"""The OpenAPI 3.1 document: made from the same constants, tables and schemas that the handlers work with."""

from importlib.metadata import version
from typing import Any, Final

from aiohttp import web

from eventserver.config import Settings
from eventserver.schemas import SchemaRegistry
from eventserver.web.documents import document
from eventserver.web.keys import REGISTRY, SETTINGS
from eventserver.web.openapi.components import components
from eventserver.web.openapi.events import event_paths
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
    return [web.get(path, get_document) for path in PATHS]


async def get_document(request: web.Request) -> web.Response:
    """Give the document, with the event types that are in force now."""
    value = openapi_document(request.app[SETTINGS], request.app[REGISTRY])
    return document(value, headers={"Cache-Control": "no-cache"})


def openapi_document(settings: Settings, registry: SchemaRegistry) -> dict[str, Any]:
    """Return the document."""
    versions = [one for _, one in sorted(registry.versions.items())]
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "SMRT Link event server",
            "version": version("smrtlink-event-server"),
            "description": "Takes the events of SMRT Link systems, keeps them, and gives them back as they were sent.",
        },
        "servers": [{"url": "/"}],
        "paths": event_paths(settings, versions) | service_paths(settings, versions) | quarantine_paths(),
        "components": {
            "schemas": components(versions) | quarantine_components(),
            "securitySchemes": {"adminToken": _ADMIN_TOKEN},
        },
        "x-codes": [{"code": code, "status": kind.status, "title": kind.title} for code, kind in KINDS.items()],
    }
