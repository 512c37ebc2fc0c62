"""``GET /status``: whether the server is up, in SMRT Link's own format, which installed clients decode."""

import getpass
import os
from importlib.metadata import version
from time import monotonic
from typing import Final
from uuid import uuid4

from aiohttp import web

from eventserver.web.documents import document

SERVICE_ID: Final = "smrtlink_event_server"


def routes() -> list[web.RouteDef]:
    """Return the route; the uptime counts from this call, and the uuid is this start's own."""
    started, uuid, release, user = monotonic(), str(uuid4()), version("smrtlink-event-server"), _user()

    async def get_status(request: web.Request) -> web.Response:  # noqa: ARG001 - the form of a handler
        uptime = int((monotonic() - started) * 1000)
        return document(
            {
                "id": SERVICE_ID,
                "message": f"Services have been up for {_duration(uptime)}.",
                "uptime": uptime,
                "uuid": uuid,
                "version": release,
                "user": user,
            }
        )

    return [web.get("/status", get_status)]


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without an entry in the password file
        return str(os.getuid())


def _duration(milliseconds: int) -> str:
    minutes, rest = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} hours, {minutes} minutes and {rest / 1000:.3f} seconds"
