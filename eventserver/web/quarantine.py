"""The quarantine over HTTP, for operators: see what was refused, try it again, drop it."""

import asyncio
import base64
import json
import re
from collections.abc import Collection
from typing import Any, Final
from urllib.parse import urlencode

from aiohttp import web

from backends.quarantine import Entry, Filter, Group, InvalidCursor, Kept
from eventserver.quarantine_replay import GONE, QuarantineReplay
from eventserver.refusal import Code, Refusal
from eventserver.web.keys import BUNDLE_INTAKE, INTAKE, QUARANTINE
from eventserver.web.operators import for_operators
from eventserver.web.responses import json_answer

DEFAULT_LIMIT: Final = 100
MAX_LIMIT: Final = 1000
PATH: Final = "/api/v1/quarantine"
FILTERS: Final = ("code", "eventTypeId", "peer")
_DIGITS: Final = re.compile(r"[0-9]{1,10}")


def routes() -> list[web.RouteDef]:
    """Return the routes of this module; each asks for an operator first."""
    return [
        web.get(PATH, for_operators(list_entries)),
        web.get(f"{PATH}/groups", for_operators(list_groups)),
        web.get(f"{PATH}/{{id}}", for_operators(get_entry)),
        web.post(f"{PATH}/replay", for_operators(replay_entries)),
        web.post(f"{PATH}/{{id}}/replay", for_operators(replay_entry)),
        web.delete(PATH, for_operators(drop_entries)),
        web.delete(f"{PATH}/{{id}}", for_operators(drop_entry)),
    ]


async def list_entries(request: web.Request) -> web.StreamResponse:
    """List entries without their bodies, newest first."""
    _require_known(request, *FILTERS, "limit", "cursor")
    limit, cursor = _limit(request), request.query.get("cursor")
    try:
        page = await request.app[QUARANTINE].find(_filter(request), limit=limit, cursor=cursor)
    except InvalidCursor:
        raise _bad_cursor() from None
    headers = {}
    if page.next is not None:
        parameters = {name: value for name, value in request.query.items() if name != "cursor"}
        target = f"{PATH}?{urlencode(parameters | {'cursor': page.next})}"
        headers["Link"] = f'<{target}>; rel="next"'
    return _answer([entry_value(entry) for entry in page.entries], headers)


async def list_groups(request: web.Request) -> web.StreamResponse:
    """Tell how much there is for each code and event type, the most entries first."""
    _require_known(request)
    return _answer([group_value(group) for group in await request.app[QUARANTINE].groups()])


async def get_entry(request: web.Request) -> web.StreamResponse:
    """Show one entry with its body, as text if it is UTF-8, and as base64 in any case."""
    _require_known(request)
    kept = await request.app[QUARANTINE].get(request.match_info["id"])
    if kept is None:
        raise _unknown(request)
    return json_answer(await asyncio.to_thread(_encode_kept, kept))


async def replay_entry(request: web.Request) -> web.StreamResponse:
    """Try one entry again."""
    _require_known(request)
    replayed = await _replay_of(request).replay(request.match_info["id"])
    if replayed.result == GONE:
        raise _unknown(request)
    refused = replayed.result in set(Code)
    status, code = ("refused", replayed.result) if refused else (replayed.result, None)
    return _answer({"status": status, "code": code, "id": replayed.id})


async def replay_entries(request: web.Request) -> web.StreamResponse:
    """Try the entries that fit the filters again, oldest first, up to ``limit``."""
    _require_known(request, *FILTERS, "limit", "cursor")
    limit, cursor = _limit(request, MAX_LIMIT), request.query.get("cursor")
    try:
        report = await _replay_of(request).replay_all(_filter(request), limit=limit, cursor=cursor)
    except InvalidCursor:
        raise _bad_cursor() from None
    return _answer({"replayed": report.results.total(), "results": dict(report.results), "next": report.next})


async def drop_entry(request: web.Request) -> web.StreamResponse:
    """Drop one entry for good."""
    _require_known(request)
    if not await request.app[QUARANTINE].drop([request.match_info["id"]]):
        raise _unknown(request)
    return _answer({"dropped": 1})


async def drop_entries(request: web.Request) -> web.StreamResponse:
    """Drop all entries that fit the filters for good; without a filter only if ``all=true`` says so."""
    _require_known(request, *FILTERS, "all")
    condition, everything = _filter(request), request.query.get("all", "false")
    if everything not in {"true", "false"}:
        raise _invalid("all", "should be true or false")
    if (condition == Filter()) != (everything == "true"):
        detail = "Say what to drop: by code, eventTypeId, peer, or with all=true everything there is."
        raise Refusal(Code.INVALID_PARAMETER, detail)
    return _answer({"dropped": await request.app[QUARANTINE].drop_all(condition)})


def entry_value(entry: Entry) -> dict[str, Any]:
    """Return an entry as it is told on the wire."""
    return {
        "id": entry.id,
        "code": entry.code,
        "detail": entry.detail,
        "eventTypeId": entry.event_type_id,
        "eventTypeVersion": entry.event_type_version,
        "peer": entry.peer,
        "received": entry.received,
        "lastReceived": entry.last_received,
        "arrivals": entry.arrivals,
        "size": entry.size,
    }


def group_value(group: Group) -> dict[str, Any]:
    """Return a group as it is told on the wire."""
    return {
        "code": group.code,
        "eventTypeId": group.event_type_id,
        "entries": group.entries,
        "arrivals": group.arrivals,
        "bytes": group.bytes,
    }


def _encode_kept(kept: Kept) -> bytes:
    try:
        text = kept.body.decode()
    except UnicodeDecodeError:
        text = None
    value = {"body": text, "bodyBase64": base64.b64encode(kept.body).decode()}
    return _encode(entry_value(kept.entry) | value)


def _replay_of(request: web.Request) -> QuarantineReplay:
    return QuarantineReplay(request.app[QUARANTINE], request.app[INTAKE], request.app[BUNDLE_INTAKE])


def _filter(request: web.Request) -> Filter:
    return Filter(*(request.query.get(name) for name in FILTERS))


def _limit(request: web.Request, default: int = DEFAULT_LIMIT) -> int:
    text = request.query.get("limit", str(default))
    if not _DIGITS.fullmatch(text) or not 1 <= int(text) <= MAX_LIMIT:
        raise _invalid("limit", f"should be an integer from 1 to {MAX_LIMIT}")
    return int(text)


def _require_known(request: web.Request, *known: str) -> None:
    _refuse_others(request.query, known)


def _refuse_others(names: Collection[str], known: Collection[str]) -> None:
    for name in names:
        if name not in known:
            raise _invalid(name, f"is not known here; known are {', '.join(known) or 'none'}")


def _invalid(name: str, what: str) -> Refusal:
    return Refusal(Code.INVALID_PARAMETER, f"The query parameter {name[:60]!r} {what}.")


def _bad_cursor() -> Refusal:
    return _invalid("cursor", "should be one that this list gave")


def _unknown(request: web.Request) -> Refusal:
    return Refusal(Code.NOT_FOUND, f"There is nothing under {request.match_info['id'][:40]!r} in the quarantine.")


def _answer(value: object, headers: dict[str, str] | None = None) -> web.StreamResponse:
    return json_answer(_encode(value), headers=headers)


def _encode(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
