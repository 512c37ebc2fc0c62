"""Lists of events over HTTP: filters, cursors, pages, and streams."""

import base64
import re
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from typing import Final, NamedTuple
from urllib.parse import urlencode

from aiohttp import HttpVersion11, web

from backends.base import EventStore, Position, Query
from backends.record import original_of
from eventserver.message import parse_instant
from eventserver.refusal import Code, Refusal
from eventserver.web.bodies import NDJSON
from eventserver.web.events import uuid_of
from eventserver.web.keys import ANSWER_ROOM, STORE
from eventserver.web.responses import in_time, send, write_pieces

DEFAULT_LIMIT: Final = 100
MAX_LIMIT: Final = 1000
PAGE_BYTES: Final = 4 * 1024 * 1024
PARAMETERS: Final = ("eventTypeId", "eventTypeVersion", "from", "to", "order", "limit", "cursor")
_MAX_VERSION: Final = 2147483647
_DIGITS: Final = re.compile(r"[0-9]{1,10}")
_INSTANT: Final = r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{9}Z"
_UUID: Final = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_CURSOR: Final = re.compile(f"({_INSTANT})/({_UUID})")


class ListRequest(NamedTuple):
    """What a list request asks for."""

    query: Query
    limit: int | None
    """None when it was not given."""


def routes() -> list[web.RouteDef]:
    """Return the routes of this module."""
    return [
        web.get("/api/v1/events", list_events),
        web.get("/api/v1/events/smrt-link/{uuid:[^/]+}", list_events_of_system),
    ]


async def list_events(request: web.Request) -> web.StreamResponse:
    """List the events of all systems."""
    return await _list(request, None)


async def list_events_of_system(request: web.Request) -> web.StreamResponse:
    """List the events of one system; of an unknown one, none."""
    return await _list(request, uuid_of(request))


async def _list(request: web.Request, smrtlink_id: str | None) -> web.StreamResponse:
    wanted = read_list_request(request.query, smrtlink_id)
    store = request.app[STORE]
    if NDJSON in request.headers.get("Accept", ""):
        return await _stream(request, store, wanted)
    page = await store.find(wanted.query, limit=wanted.limit or DEFAULT_LIMIT, max_bytes=PAGE_BYTES)
    body = b"[%b]" % b",".join(map(original_of, page.records))
    headers = {} if page.next is None else {"Link": _link_to_next(request, page.next)}
    del page  # while the client reads, its records are not held beside the body
    return await send(request, body, headers=headers)


async def _stream(request: web.Request, store: EventStore, wanted: ListRequest) -> web.StreamResponse:
    """Stream lines; what fails behind the first page breaks the connection: no part is taken for the whole.

    A stream of many pages has room for the largest from its beginning on.
    """
    with request.app[ANSWER_ROOM].share() as take:
        pages = _pages(store, wanted)
        lines, is_last = await anext(pages)
        take(len(lines) if is_last else PAGE_BYTES)
        response = web.StreamResponse(headers={"Content-Type": NDJSON})
        if request.version < HttpVersion11:
            response.force_close()  # there are no chunks: the end of the connection is the end of the stream
        await response.prepare(request)
        if request.method != "HEAD":
            await write_pieces(request, response, lines)
            async for lines, _ in pages:
                await write_pieces(request, response, lines)
        await in_time(request, response.write_eof())
        return response


async def _pages(store: EventStore, wanted: ListRequest) -> AsyncIterator[tuple[bytes, bool]]:
    """Yield the lines of each page, and whether it is the last."""
    query, left = wanted.query, wanted.limit
    is_last = False
    while not is_last:
        page = await store.find(query, limit=min(left or MAX_LIMIT, MAX_LIMIT), max_bytes=PAGE_BYTES)
        if left is not None:
            left -= len(page.records)
        is_last = page.next is None or left == 0
        query = query._replace(after=page.next)
        lines = b"".join([original_of(record) + b"\n" for record in page.records])
        del page  # while the client reads, its records are not held beside the lines
        yield lines, is_last


def read_list_request(parameters: Mapping[str, str], smrtlink_id: str | None) -> ListRequest:
    """Read the query parameters of a list.

    Raises:
        Refusal: ``invalid_parameter``, naming the parameter and what would be right.

    """
    for name, number in Counter(name for name, _ in parameters.items()).items():
        if name not in PARAMETERS:
            raise _invalid(name, f"is not known here; known are {', '.join(PARAMETERS)}")
        if number > 1:
            raise _invalid(name, "is there more than once")
    version = _integer(parameters, "eventTypeVersion", _MAX_VERSION)
    if version is not None and "eventTypeId" not in parameters:
        raise _invalid("eventTypeVersion", "needs eventTypeId beside it")
    order = parameters.get("order", "asc")
    if order not in {"asc", "desc"}:
        raise _invalid("order", "should be asc or desc")
    query = Query(
        smrtlink_id,
        parameters.get("eventTypeId"),
        version,
        _instant(parameters, "from"),
        _instant(parameters, "to"),
        order == "desc",
        _position(parameters),
    )
    return ListRequest(query, _integer(parameters, "limit", MAX_LIMIT))


def _integer(parameters: Mapping[str, str], name: str, most: int) -> int | None:
    text = parameters.get(name)
    if text is None:
        return None
    if not _DIGITS.fullmatch(text) or not 1 <= int(text) <= most:
        raise _invalid(name, f"should be an integer from 1 to {most}")
    return int(text)


def _instant(parameters: Mapping[str, str], name: str) -> str | None:
    text = parameters.get(name)
    if text is None:
        return None
    try:
        # A + that was not escaped arrives as a space, where no space belongs.
        return parse_instant(text.replace(" ", "+"))
    except ValueError as error:
        raise _invalid(name, str(error)) from None


def _position(parameters: Mapping[str, str]) -> Position | None:
    text = parameters.get("cursor")
    if text is None:
        return None
    try:
        match = _CURSOR.fullmatch(base64.b64decode(f"{text}==", b"-_", validate=True).decode("ascii"))
        if match is not None and parse_instant(match[1]) == match[1]:
            return Position(match[1], match[2])
    except ValueError:
        pass
    raise _invalid("cursor", "should be one that a Link header gave")


def encode_cursor(position: Position) -> str:
    """Return the cursor that stands for a position."""
    return base64.urlsafe_b64encode(f"{position.at}/{position.uuid}".encode()).decode().rstrip("=")


def _link_to_next(request: web.Request, position: Position) -> str:
    parameters = {name: value for name, value in request.query.items() if name != "cursor"}
    return f'<{request.rel_url.raw_path}?{urlencode(parameters | {"cursor": encode_cursor(position)})}>; rel="next"'


def _invalid(name: str, what: str) -> Refusal:
    return Refusal(Code.INVALID_PARAMETER, f"The query parameter {name[:60]!r} {what}.")
