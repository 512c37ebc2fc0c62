"""The listeners over HTTP, for operators: how each is, its dead letters, and feeding it stored events again."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any, Final

from aiohttp import web
from multidict import MultiDict

from backends.errors import StoreUnavailable
from backends.outbox import DeadLetter
from backends.record import read_event
from eventserver.manager.subscription import Subscription
from eventserver.refusal import Code, Refusal
from eventserver.web.keys import LISTENER_FILE, LISTENERS, STORE
from eventserver.web.lists import encode_cursor, read_list_request
from eventserver.web.operators import for_operators
from eventserver.web.responses import json_answer

PATH: Final = "/api/v1/listeners"
MAX_LIMIT: Final = 1000
REPLAY_LIMIT: Final = 200
_REPLAY_BYTES: Final = 4 * 1024**2
_REPLAY_SECONDS: Final = 20.0


def routes() -> list[web.RouteDef]:
    """Return the routes of this module; each asks for an operator first."""
    letters = f"{PATH}/{{name}}/dead-letters"
    return [
        web.get(PATH, for_operators(get_listeners)),
        web.get(letters, for_operators(get_dead_letters)),
        web.delete(letters, for_operators(drop_dead_letters)),
        web.post(f"{letters}/retry", for_operators(retry_dead_letters)),
        web.post(f"{PATH}/{{name}}/replay", for_operators(replay)),
    ]


async def get_listeners(request: web.Request) -> web.StreamResponse:
    """Tell how each listener is."""
    _require_known(request)
    listeners, file = request.app[LISTENERS], request.app[LISTENER_FILE]
    return _answer(
        {
            "listeners": [] if listeners is None else listeners.status(),
            "problem": None if file is None else file.problem,
        }
    )


async def get_dead_letters(request: web.Request) -> web.StreamResponse:
    """List the oldest dead letters of a listener."""
    _require_known(request)
    letters = await _listener_of(request).dead_letters(MAX_LIMIT)
    return json_answer(await asyncio.to_thread(_encode, [letter_value(letter) for letter in letters]))


async def retry_dead_letters(request: web.Request) -> web.StreamResponse:
    """Let dead letters be delivered again."""
    return _answer({"retried": await _listener_of(request).retry_dead_letters(_numbers(request))})


async def drop_dead_letters(request: web.Request) -> web.StreamResponse:
    """Drop dead letters for good."""
    return _answer({"dropped": await _listener_of(request).drop_dead_letters(_numbers(request))})


async def replay(request: web.Request) -> web.StreamResponse:
    """Hand a page of stored events to a listener that takes them, or only count them (``dryRun=true``)."""
    listener = _listener_of(request)
    parameters = MultiDict(request.query)
    dry = parameters.popone("dryRun", "false")
    if dry not in {"true", "false"}:
        raise Refusal(Code.INVALID_PARAMETER, "The query parameter 'dryRun' should be true or false.")
    wanted = read_list_request(parameters, None)
    limit = min(wanted.limit or REPLAY_LIMIT, REPLAY_LIMIT)
    page = await request.app[STORE].find(wanted.query, limit=limit, max_bytes=_REPLAY_BYTES)
    taken = [event for event in map(read_event, page.records) if listener.reader.filter.takes(event)]
    if dry == "false":
        try:
            async with asyncio.timeout(_REPLAY_SECONDS):
                await listener.deliver_again(taken)
        except TimeoutError:
            raise StoreUnavailable("the listener takes no more events now") from None
    following = None if page.next is None else encode_cursor(page.next)
    return _answer({"read": len(page.records), "taken": len(taken), "next": following})


def letter_value(letter: DeadLetter) -> dict[str, Any]:
    """Return a dead letter as it is told on the wire, the event as the text that was sent."""
    return {
        "number": letter.number,
        "uuid": letter.uuid,
        "code": letter.code,
        "detail": letter.detail,
        "givenUp": letter.moment,
        "event": letter.event.decode(errors="replace"),
    }


def _listener_of(request: web.Request) -> Subscription:
    name, listeners = request.match_info["name"], request.app[LISTENERS]
    found = None if listeners is None else listeners.get(name)
    if found is None:
        raise Refusal(Code.NOT_FOUND, f"There is no listener {name[:40]!r}.")
    return found


def _numbers(request: web.Request) -> Sequence[str] | None:
    """Return the numbers that are given; None for all."""
    _require_known(request, "number", "all")
    numbers, everything = request.query.getall("number", []), request.query.get("all", "false")
    if everything not in {"true", "false"} or (everything == "true") == bool(numbers):
        raise Refusal(Code.INVALID_PARAMETER, "Say which: number=... (once or more), or all=true.")
    return numbers or None


def _require_known(request: web.Request, *known: str) -> None:
    for name in request.query:
        if name not in known:
            raise Refusal(
                Code.INVALID_PARAMETER,
                f"The query parameter {name[:60]!r} is not known here; known are {', '.join(known) or 'none'}.",
            )


def _answer(value: object) -> web.StreamResponse:
    return json_answer(_encode(value))


def _encode(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
