"""Events over HTTP: take one, give one back."""

from datetime import datetime
from typing import Final

from aiohttp import web
from multidict import istr

from backends.base import Status
from backends.record import original_of
from eventserver.intake import Intake
from eventserver.message import is_uuid
from eventserver.refusal import Code, Refusal
from eventserver.web.bodies import arrived_body, require_json, whole_body
from eventserver.web.connection import peer_of
from eventserver.web.keys import INTAKE, SETTINGS, STORE
from eventserver.web.operators import require_operator
from eventserver.web.responses import LARGE_ANSWER, WholeAnswer, json_answer, send

_EVENT_RECEIVED: Final = istr("Event-Received")


def routes() -> list[web.RouteDef]:
    """Return the routes of this module."""
    return [
        web.post("/api/v1/events", post_event),
        web.get("/api/v1/events/{uuid:[^/]+}", get_event),
    ]


async def post_event(request: web.Request) -> web.StreamResponse:
    """Take one event: 201 when it is new, 200 when it is there already; durable before the answer."""
    require_json(request)
    app = request.app
    settings = app[SETTINGS]
    limit = settings.event_max_event_bytes
    if (body := arrived_body(request, limit)) is not None:
        return await _take(request, app[INTAKE], body)
    async with whole_body(request, limit=limit, seconds=settings.event_body_timeout_seconds) as body:
        return await _take(request, app[INTAKE], body)


async def _take(request: web.Request, intake: Intake, body: bytes) -> web.StreamResponse:
    received = _received(request) if _EVENT_RECEIVED in request.headers else None
    status, uuid, original = await intake.accept(body, peer=peer_of(request), received=received)
    code = 200 if status is Status.DUPLICATE else 201
    if len(original) > LARGE_ANSWER:
        return json_answer(
            original, status=code, headers={"Location": f"/api/v1/events/{uuid}", "Event-Status": status}
        )
    return WholeAnswer(code, original, f"Location: /api/v1/events/{uuid}\r\nEvent-Status: {status.value}\r\n")


def _received(request: web.Request) -> str:
    """Return the moment of arrival that an operator tells in ``Event-Received`` (`eventserver import` does).

    Raises:
        Refusal: ``invalid_parameter``, or it is no operator who tells it.

    """
    moment = request.headers[_EVENT_RECEIVED]
    require_operator(request)
    try:
        told = datetime.strptime(moment, "%Y-%m-%dT%H:%M:%S.%fZ")  # noqa: DTZ007 - it is in UTC, as the Z says
    except ValueError:
        told = None
    if told is None or f"{told.isoformat(timespec='microseconds')}Z" != moment:
        detail = f"Event-Received {moment[:40]!r} should be a moment such as 2026-11-24T11:22:33.123456Z."
        raise Refusal(Code.INVALID_PARAMETER, detail)
    return moment


async def get_event(request: web.Request) -> web.StreamResponse:
    """Give one event back as it was sent."""
    uuid = uuid_of(request)
    record = await request.app[STORE].get(uuid)
    if record is None:
        raise Refusal(Code.NOT_FOUND, f"No event with uuid {uuid} is stored.")
    return await send(request, original_of(record))


def uuid_of(request: web.Request) -> str:
    """Return the uuid in the path, lower case.

    Raises:
        Refusal: ``invalid_uuid``.

    """
    text = request.match_info["uuid"]
    if not is_uuid(text):
        detail = f"{text[:80]!r} is not a uuid; it should be 36 characters, 8-4-4-4-12 hexadecimal digits."
        raise Refusal(Code.INVALID_UUID, detail)
    return text.lower()
