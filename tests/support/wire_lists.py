"""Many events, the addresses of their lists, and a way through the pages."""

import base64
from collections.abc import Sequence
from random import Random
from urllib.parse import urlencode
from uuid import UUID

from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient

from backends.base import Event, Position, Query
from backends.record import original_of
from support.events import make_event
from support.strategies import EVENT_TYPES, INSTANTS, SYSTEMS, VERSIONS
from support.wire_events import EVENTS

LINES = {"Accept": "application/x-ndjson"}


def _many_events() -> list[Event]:
    """Return events of few systems, types and instants, so that each has several, in no order."""
    random = Random(20170216)
    return [
        make_event(
            str(UUID(int=random.getrandbits(128))),
            smrtlink_id=random.choice(SYSTEMS),
            event_type_id=random.choice(EVENT_TYPES),
            event_type_version=random.choice(VERSIONS),
            at=random.choice(INSTANTS),
            message={"number": number},
        )
        for number in range(120)
    ]


MANY = _many_events()
"""In no order."""


def originals(events: Sequence[Event]) -> list[bytes]:
    """Return events as they were sent."""
    return [original_of(event.record) for event in events]


def array_of(events: Sequence[Event]) -> bytes:
    """Return the body of a page."""
    return b"[" + b",".join(originals(events)) + b"]"


def url_of(query: Query, **more: object) -> str:
    """Return the address of a list."""
    path = EVENTS if query.smrtlink_id is None else f"{EVENTS}/smrt-link/{query.smrtlink_id}"
    parameters = {
        "eventTypeId": query.event_type_id,
        "eventTypeVersion": query.event_type_version,
        "from": query.from_at,
        "to": query.to_at,
        "order": "desc" if query.descending else None,
        "cursor": None if query.after is None else cursor_of(query.after),
        **more,
    }
    return f"{path}?{urlencode({name: value for name, value in parameters.items() if value is not None})}"


def cursor_of(position: Position) -> str:
    """Return a cursor as a ``Link`` has it."""
    return base64.urlsafe_b64encode(f"{position.at}/{position.uuid}".encode()).decode().rstrip("=")


def next_of(answer: ClientResponse) -> str | None:
    """Return the address of the next page."""
    link = answer.headers.get("Link")
    if link is None:
        return None
    assert link.endswith('>; rel="next"')
    return link.removeprefix("<").removesuffix('>; rel="next"')


async def pages_of(client: TestClient, url: str) -> list[bytes]:
    """Return the bodies of all pages, following the links."""
    pages = []
    following: str | None = url
    while following is not None:
        answer = await client.get(following)
        assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json"), await answer.text()
        pages.append(await answer.read())
        following = next_of(answer)
    return pages
