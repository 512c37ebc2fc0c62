"""Clients that ask and do not read: each costs a bounded piece of memory, for a bounded time."""

import asyncio
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from aiohttp import web

from eventserver.app import make_app
from eventserver.config import Settings
from eventserver.web import responses
from eventserver.web.body_room import BodyRoom
from eventserver.web.keys import ANSWER_ROOM, STORE
from eventserver.web.lists import PAGE_BYTES
from support.events import make_event
from support.live_server import LiveServer, get, parse_answer
from support.wire_events import until

SOME = 40
TEXT = "x" * 60_000
LIST = "/api/v1/events"
AS_LINES = "Accept: application/x-ndjson"


@pytest.fixture
def app(settings: Settings) -> web.Application:
    """An application that holds one of the largest pages at a time."""
    made = make_app(settings)
    made[ANSWER_ROOM] = BodyRoom(PAGE_BYTES)
    return made


@contextmanager
def asking(live: LiveServer, request: bytes) -> Iterator[socket.socket]:
    """Send a request, and do not read."""
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", live.port))
        client.setblocking(False)  # noqa: FBT003 - the form of the library
        client.send(request)
        yield client


@pytest.mark.parametrize(
    "requests",
    [
        pytest.param([get(f"{LIST}/{{uuid}}")] * 400, id="many answers in one go"),
        pytest.param([get(LIST)] * 10, id="pages"),
        pytest.param([get(LIST, AS_LINES)] * 10, id="streams"),
    ],
)
async def test_a_client_that_does_not_read_is_cut_off(
    live: LiveServer, app: web.Application, monkeypatch: pytest.MonkeyPatch, requests: list[bytes]
) -> None:
    """Nothing more is made for it than the connection takes, and after a time the connection ends."""
    monkeypatch.setattr(responses, "READ_SECONDS", 0.3)
    events = [make_event(message={"text": TEXT, "n": number}) for number in range(SOME)]
    await app[STORE].put(events)
    with asking(live, b"".join(requests).replace(b"{uuid}", events[0].uuid.encode())):
        await until(lambda: len(live.server.connections) == 1)
        await until(lambda: not live.server.connections)


@pytest.mark.parametrize("first", [get(LIST), get(LIST, AS_LINES)], ids=["page", "stream"])
@pytest.mark.parametrize("second", [[], [AS_LINES]], ids=["page", "stream"])
async def test_when_pages_that_nobody_reads_take_all_the_room_another_one_is_refused_for_the_time_being(
    live: LiveServer, app: web.Application, first: bytes, second: list[str]
) -> None:
    """429 and when to try again; a small page needs no room; and the room is given back with the connection."""
    large = make_event(at="2030-01-01T00:00:00.000000000Z", message={"text": TEXT * 5})
    await app[STORE].put([large, *(make_event(message={"text": TEXT, "n": number}) for number in range(100))])
    with asking(live, first):
        await until(lambda: app[ANSWER_ROOM].held > 0)
        answer = parse_answer(await live.exchange(get(LIST, "Connection: close", *second)))
        assert (answer.status, json.loads(answer.body)["code"]) == (429, "too_many_requests")
        assert answer.headers["retry-after"] == "10"
        event = parse_answer(await live.exchange(get(f"{LIST}/{large.uuid}", "Connection: close")))
        assert event.status == 429
        small = parse_answer(await live.exchange(get(f"{LIST}?limit=1", "Connection: close", *second)))
        assert small.status == 200
    await until(lambda: app[ANSWER_ROOM].held == 0)
    assert parse_answer(await live.exchange(get(LIST, "Connection: close", *second))).status == 200
    assert app[ANSWER_ROOM].held == 0


@pytest.mark.parametrize("headers", [[], [AS_LINES]], ids=["page", "stream"])
async def test_a_client_that_reads_slowly_gets_all_of_it(
    live: LiveServer, app: web.Application, monkeypatch: pytest.MonkeyPatch, headers: list[str]
) -> None:
    """The time is for each piece, not for the whole: a page of 4 MiB takes long on a thin line."""
    monkeypatch.setattr(responses, "READ_SECONDS", 1.5)
    await app[STORE].put([make_event(message={"text": TEXT, "n": number}) for number in range(60)])
    with asking(live, b"") as client:
        await until(lambda: len(live.server.connections) == 1)
        transport = live.server.connections[0].transport
        assert transport is not None
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        client.send(get(LIST, "Connection: close", *headers))
        received = b""
        while part := await asyncio.get_running_loop().sock_recv(client, 4096):
            received += part
            await asyncio.sleep(0.003)
    assert received.count(b'"uuid"') == 60
