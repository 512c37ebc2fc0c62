"""``GET /health/live`` and ``/health/ready``: probes for whoever runs the server.

Ready means that an event sent now would be taken. Each part is asked at the same time, under a time limit, and the
answer names those that are not well, without a path or a driver's message.
"""

import asyncio
from collections.abc import Awaitable, Mapping
from http import HTTPStatus
from pathlib import Path
from shutil import disk_usage
from typing import Any, Final

from aiohttp import web

from backends.errors import StorageFull, StoreUnavailable
from backends.spool import SpoolState
from eventserver.web.documents import document
from eventserver.web.keys import BUNDLE_INTAKE, QUARANTINE, REGISTRY, SETTINGS, SPOOL, STORE
from eventserver.web.problem import refusal_of

LEAST_FREE_BYTES: Final = 4 * 1024 * 1024
_NO_STORE: Final = {"Cache-Control": "no-store"}


def routes() -> list[web.RouteDef]:
    """Return the routes of the probes."""
    return [web.get("/health/live", get_live), web.get("/health/ready", get_ready)]


async def get_live(request: web.Request) -> web.Response:  # noqa: ARG001 - the form of a handler
    """Answer: whoever can is alive."""
    return document({"status": "live"}, headers=_NO_STORE)


async def get_ready(request: web.Request) -> web.Response:
    """Ask each part whether it is well."""
    app = request.app
    limit = app[SETTINGS].event_store_timeout_seconds
    checks = {
        "store": _checked(app[STORE].ping(), limit),
        "bundles": _checked(app[BUNDLE_INTAKE].bundles.ping(), limit),
        "quarantine": _checked(_check_quarantine(app), limit),
        "disk": _checked(_check_disk(app[SETTINGS].event_root_dir), limit),
        "schemas": _checked(_check_schemas(app), limit),
    }
    parts = dict(zip(checks, await asyncio.gather(*checks.values()), strict=True))
    if (spool := app[SPOOL]) is not None:
        parts["spool"] = _spool_value(spool.state())
    ready = all(part["ready"] for part in parts.values())
    return document(
        {"status": "ready" if ready else "not_ready", "parts": parts},
        status=HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE,
        headers=_NO_STORE,
    )


def _spool_value(state: SpoolState) -> dict[str, Any]:
    """Return how the spool is; a full one is told by the store, which takes nothing then."""
    return {
        "ready": True,
        "storeIsUp": state.is_up,
        "storeAwaySeconds": round(state.away_seconds, 1),
        "events": state.events,
        "bytes": state.bytes,
        "maxBytes": state.max_bytes,
        "ageSeconds": round(state.age_seconds, 1),
        "drained": state.drained,
        "drainedPerSecond": round(state.drain_rate, 1),
    }


async def _checked(check: Awaitable[Mapping[str, Any] | None], limit: float) -> dict[str, Any]:
    try:
        async with asyncio.timeout(limit):
            return {"ready": True, **(await check or {})}
    except Exception as error:  # noqa: BLE001 - a part that fails in whatever way is not well
        return {"ready": False, "code": refusal_of(error).code}


async def _check_disk(root: Path) -> dict[str, int]:
    free = (await asyncio.to_thread(disk_usage, root)).free
    if free < LEAST_FREE_BYTES:
        raise StorageFull
    return {"freeBytes": free}


async def _check_quarantine(app: web.Application) -> dict[str, int]:
    await app[QUARANTINE].ping()
    return {"entries": app[QUARANTINE].entries}


async def _check_schemas(app: web.Application) -> dict[str, int]:
    versions = len(app[REGISTRY].validators)
    if not versions:
        raise StoreUnavailable
    return {"versions": versions}
