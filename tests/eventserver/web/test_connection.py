"""Connections on a real socket: refusals in one piece, limits of time, and a stop that loses nothing."""

import asyncio
import gzip
import json
import socket

import pytest
from aiohttp import web

from backends.base import Page, Position, Query
from backends.errors import StoreUnavailable
from eventserver.server import drain
from eventserver.web.keys import COUNTERS, STORE
from support.live_server import EVENT, LiveServer, get, parse_answer, post

CLOSE = "Connection: close"


def first_piece(port: int, request: bytes) -> bytes:
    """Return what a single read gets of the answer, from a thread of its own."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(request)
        return connection.recv(65536)


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (get("/nothing"), 404),
        (get("/status", method="PUT"), 405),
        (get("/api/v1/events/no-uuid"), 400),
        (post(b"{"), 400),
        (post(EVENT, "/api/v1/events", "Expect: a-miracle"), 417),
        (post(EVENT.replace(b"sl_test_event", b"nobody_knows")), 422),
        (b"this is not HTTP\r\n\r\n", 400),
        (post(b"", length=10**9), 413),
    ],
)
async def test_a_refusal_arrives_in_one_piece_of_less_than_a_kilobyte(
    live: LiveServer, request_: bytes, status: int
) -> None:
    """A refusal arrives in one piece of less than a kilobyte."""
    piece = await asyncio.to_thread(first_piece, live.port, request_)
    answer = parse_answer(piece)
    assert answer.status == status
    assert len(piece) < 1000
    assert len(answer.body) == int(answer.headers["content-length"])
    assert answer.headers["content-type"] == "application/problem+json"
    assert json.loads(answer.body)["status"] == status


@pytest.mark.parametrize(
    "bytes_",
    [
        b"GET / HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /\x00 HTTP/1.1\r\nHost: here\r\n\r\n",
        get("/status", "X-Long: " + "x" * 100_000),
        get("/status", *(f"X-{number}: y" for number in range(10_000))),
        get("/" + "x" * 100_000),
        post(EVENT, "/api/v1/events", "Content-Length: 5"),
    ],
)
async def test_bytes_that_are_not_http_get_a_small_answer_and_the_connection_ends(
    live: LiveServer, bytes_: bytes
) -> None:
    """Bytes that are not http get a small answer and the connection ends."""
    answer = parse_answer(await live.exchange(bytes_))
    assert answer.status == 400
    assert json.loads(answer.body)["code"] == "bad_request"


async def test_a_sender_that_goes_on_after_a_refusal_still_gets_the_answer(live: LiveServer) -> None:
    """A sender that goes on after a refusal still gets the answer."""
    flood = get("/status", "X-Long: " + "x" * 100_000)
    answer = await live.exchange(flood, *([b"x" * 100_000] * 20))
    assert parse_answer(answer).status == 400


async def test_a_body_that_is_not_encoded_as_declared_is_refused(live: LiveServer) -> None:
    """A body that is not encoded as declared is refused."""
    answer = await live.exchange(post(b"no gzip at all", "/api/v1/events", "Content-Encoding: gzip", CLOSE))
    assert parse_answer(answer).status == 400


async def test_a_slow_body_is_refused_and_the_connection_ends(live: LiveServer) -> None:
    """A slow body is refused and the connection ends."""
    answer = parse_answer(await live.exchange(post(EVENT[:20], length=len(EVENT))))
    assert (answer.status, answer.headers["connection"]) == (408, "close")


async def test_a_request_head_that_does_not_end_in_time_closes_the_connection(live: LiveServer) -> None:
    """A request head that does not end in time closes the connection."""
    assert await live.exchange(b"GET /status HTTP/1.1\r\n", b"Host: he") == b""


async def test_a_slow_head_is_not_saved_by_the_request_before_it(live: LiveServer) -> None:
    """A slow head is not saved by the request before it."""
    answer = await live.exchange(get("/status"), b"GET /status HTTP/1.1\r\n")
    assert parse_answer(answer).status == 200


async def test_an_idle_connection_outlives_the_time_limit_of_a_head(live: LiveServer) -> None:
    """An idle connection outlives the time limit of a head."""
    reader, writer = await live.connect()
    for _ in range(2):
        await asyncio.sleep(0.5)
        writer.write(get("/health/live"))
        assert (await reader.readuntil(b'"live"}')).startswith(b"HTTP/1.1 200")
    writer.close()


async def test_a_client_that_waits_before_its_body_is_asked_for_it(live: LiveServer) -> None:
    """A client that waits before its body is asked for it."""
    head = post(b"", "/api/v1/events", "Expect: 100-continue", CLOSE, length=len(EVENT))
    interim, _, final = (await live.exchange(head, EVENT)).partition(b"\r\n\r\n")
    assert interim == b"HTTP/1.1 100 Continue"
    assert parse_answer(final).status == 201


async def test_a_refusal_after_the_interim_answer_arrives_all_the_same(live: LiveServer) -> None:
    """A refusal after the interim answer arrives all the same."""
    head = post(b"", "/api/v1/events", "Expect: 100-continue", CLOSE, length=1)
    _, _, final = (await live.exchange(head, b"{")).partition(b"\r\n\r\n")
    assert json.loads(parse_answer(final).body)["code"] == "malformed_json"


@pytest.mark.parametrize("received", [10, 200, len(post(EVENT)) - 1])
async def test_a_stop_lets_a_half_received_request_arrive_and_answers_it(live: LiveServer, received: int) -> None:
    """A stop lets a half received request arrive and answers it."""
    reader, writer = await live.connect()
    request = post(EVENT)
    writer.write(request[:received])
    await asyncio.sleep(0.05)
    stopping = asyncio.create_task(drain(live.server))
    await asyncio.sleep(0.1)
    assert not stopping.done()
    writer.write(request[received:])
    assert parse_answer(await asyncio.wait_for(reader.read(), 5)).status == 201
    await asyncio.wait_for(stopping, 5)
    writer.close()


async def test_a_stop_answers_pipelined_requests(live: LiveServer) -> None:
    """A stop answers pipelined requests."""
    reader, writer = await live.connect()
    writer.write(get("/health/live") * 5)
    await asyncio.sleep(0)
    await asyncio.wait_for(drain(live.server), 5)
    answers = await asyncio.wait_for(reader.read(), 5)
    assert answers.count(b"HTTP/1.1 200") in {0, 5}
    writer.close()


async def test_a_stop_closes_idle_connections_at_once(live: LiveServer) -> None:
    """A stop closes idle connections at once."""
    connections = [await live.connect() for _ in range(50)]
    await asyncio.sleep(0.05)
    await asyncio.wait_for(drain(live.server), 1)
    for reader, writer in connections:
        assert await reader.read() == b""
        writer.close()


async def test_a_client_that_goes_away_does_not_stop_the_storing_of_its_event(live: LiveServer) -> None:
    """A client that goes away does not stop the storing of its event."""
    _, writer = await live.connect()
    writer.write(post(EVENT))
    await writer.drain()
    writer.transport.abort()
    await asyncio.sleep(0.3)
    answer = await live.exchange(get("/api/v1/events/83927d00-f46c-11e6-9f9b-3c15c2cc8f88", CLOSE))
    assert parse_answer(answer).body == EVENT


async def test_an_answer_that_fails_in_its_middle_breaks_the_connection(
    live: LiveServer, app: web.Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody takes a part of a stream for the whole: its end is missing."""
    await live.exchange(post(EVENT, "/api/v1/events", CLOSE))
    store = app[STORE]
    pages = [await store.find(Query(), limit=10, max_bytes=10_000)]

    async def find_once(query: Query, *, limit: int, max_bytes: int) -> Page:
        if pages:
            return pages.pop()._replace(next=Position("2017", "8"))
        raise StoreUnavailable

    monkeypatch.setattr(store, "find", find_once)
    answer = await live.exchange(get("/api/v1/events", "Accept: application/x-ndjson"))
    assert answer.startswith(b"HTTP/1.1 200")
    assert EVENT in answer
    assert not answer.endswith(b"0\r\n\r\n")
    assert b"problem" not in answer


async def test_connections_are_counted(live: LiveServer, app: web.Application) -> None:
    """The metrics say how many connections are open."""
    connections = [await live.connect() for _ in range(3)]
    await asyncio.sleep(0.05)
    assert app[COUNTERS].connections == 3
    for _, writer in connections:
        writer.close()
    await asyncio.sleep(0.05)
    assert app[COUNTERS].connections == 0


@pytest.mark.parametrize("target", ["OPTIONS *", "CONNECT here:80", "OPTIONS here"])
async def test_a_request_without_a_path_is_answered_with_a_problem(live: LiveServer, target: str) -> None:
    """No route can have it, and it is a refusal like any other."""
    answer = parse_answer(await live.exchange(f"{target} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n".encode()))
    assert (answer.status, answer.headers["content-type"]) in {
        (404, "application/problem+json"),
        (400, "application/problem+json"),
    }
    assert json.loads(answer.body)["code"] in {"not_found", "bad_request"}


@pytest.mark.parametrize("path", ["/api/v1/events", "/api/v1/events/batch", "/api/v1/validate"])
@pytest.mark.parametrize(
    "encodings",
    [["br"], ["zstd"], ["x-gzip"], ["compress"], ["nonsense"], ["gzip, gzip"], ["deflate, gzip"], ["gzip", "gzip"]],
)
async def test_an_encoding_that_is_not_undone_is_refused_and_what_is_right_is_told(
    live: LiveServer, path: str, encodings: list[str]
) -> None:
    """What it stands for would be taken for the event, and kept as a malformed one."""
    headers = [f"Content-Encoding: {encoding}" for encoding in encodings]
    answer = parse_answer(await live.exchange(post(gzip.compress(gzip.compress(EVENT)), path, CLOSE, *headers)))
    assert (answer.status, json.loads(answer.body)["code"]) == (415, "unsupported_media_type")
    assert "gzip or deflate" in json.loads(answer.body)["detail"]
    assert answer.headers["accept-encoding"] == "gzip, deflate"


@pytest.mark.parametrize(("encoding", "body"), [("GZIP", gzip.compress(EVENT)), ("identity", EVENT), ("", EVENT)])
async def test_an_encoding_that_is_undone_may_be_spelt_in_any_case(
    live: LiveServer, encoding: str, body: bytes
) -> None:
    """And that there is none may be told."""
    answer = parse_answer(await live.exchange(post(body, "/api/v1/events", CLOSE, f"Content-Encoding: {encoding}")))
    assert answer.status == 201
