"""Clients that ask and do not read: each costs a bounded piece of memory, for a bounded time."""

import socket

import pytest
from aiohttp import web

from eventserver.web import responses
from eventserver.web.keys import STORE
from support.events import make_event
from support.live_server import LiveServer, get
from support.wire_events import until

SOME = 40
TEXT = "x" * 60_000


@pytest.mark.parametrize(
    "requests",
    [
        pytest.param([get("/api/v1/events/{uuid}")] * 400, id="many answers in one go"),
        pytest.param([get("/api/v1/events")] * 10, id="pages"),
        pytest.param([get("/api/v1/events", "Accept: application/x-ndjson")] * 10, id="streams"),
    ],
)
async def test_a_client_that_does_not_read_is_cut_off(
    live: LiveServer, app: web.Application, monkeypatch: pytest.MonkeyPatch, requests: list[bytes]
) -> None:
    """Nothing more is made for it than the connection takes, and after a time the connection ends."""
    monkeypatch.setattr(responses, "READ_SECONDS", 0.3)
    events = [make_event(message={"text": TEXT, "n": number}) for number in range(SOME)]
    await app[STORE].put(events)
    with socket.create_connection(("127.0.0.1", live.port)) as client:
        client.setblocking(False)  # noqa: FBT003 - the form of the library
        client.send(b"".join(requests).replace(b"{uuid}", events[0].uuid.encode()))
        await until(lambda: len(live.server.connections) == 1)
        await until(lambda: not live.server.connections)
