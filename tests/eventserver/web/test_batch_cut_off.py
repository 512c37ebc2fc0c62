"""Lines that end too soon: what arrived whole before the end is stored, and has its verdict if there is an answer."""

import asyncio
import gzip
import json
import socket
import struct
import zlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient

from backends.base import Event, Outcome, Query
from eventserver.config import Settings
from eventserver.web.keys import BODY_ROOM, COUNTERS, INTAKE, STORE
from support.events import new_uuid
from support.intakes import sent, sent_with_size
from support.live_server import LiveServer, parse_answer, post
from support.wire_events import BATCH, NDJSON, code_of, lines_of, until

BATCH_BYTES = 20_000
EARLY_ENDS = [(1, "abort"), (100, "abort"), (1, "close"), (9_999, "close")]


@pytest.fixture
def batch_bytes() -> int:
    """Bytes of a batch that are taken."""
    return 16 * 1024 * 1024


@pytest.fixture
def settings(tmp_path: Path, batch_bytes: int) -> Settings:
    """Settings with time enough."""
    return Settings(event_root_dir=tmp_path, server_port=0, event_max_batch_bytes=batch_bytes)


async def pieces_of(*pieces: bytes) -> AsyncIterator[bytes]:
    """Yield pieces of a body whose length is not declared."""
    for piece in pieces:
        yield piece


async def taken_in(app: web.Application, count: int) -> None:
    """Return when the handler has read so many bytes of the body that is under way."""
    await until(lambda: app[BODY_ROOM].held >= count)


async def count_of_stored(app: web.Application) -> int:
    """Return how many events there are."""
    return len((await app[STORE].find(Query(), limit=20_000, max_bytes=1 << 40)).records)


async def until_stored(app: web.Application, count: int) -> None:
    """Return when there are so many events, and no request is under way that could store more."""
    async with asyncio.timeout(20):
        while app[BODY_ROOM].held or await count_of_stored(app) < count:  # noqa: ASYNC110 - a store has no event
            await asyncio.sleep(0.01)
    assert await count_of_stored(app) == count


def request_of_lines(body: bytes, *more: str, length: int | None = None) -> bytes:
    """Return a request with lines; the declared length can be more than what is there."""
    return post(body, BATCH, *more, length=length).replace(b"application/json", b"application/x-ndjson")


async def send_and_leave(live: LiveServer, request: bytes, leave: str = "abort") -> None:
    """Send a request and end the connection at once: with a reset, or in good order."""

    def send() -> None:
        with socket.create_connection(("127.0.0.1", live.port)) as connection:
            if leave == "abort":
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.sendall(request)

    await asyncio.to_thread(send)


@pytest.mark.parametrize("batch_bytes", [BATCH_BYTES])
async def test_a_body_that_grows_too_large_ends_with_the_verdicts_so_far(
    client: TestClient, app: web.Application
) -> None:
    """413; what was read whole is stored. What comes behind the limit is read and dropped, so the answer arrives."""
    before = lines_of([sent(), b"1", sent()])
    event = sent()

    async def pieces() -> AsyncIterator[bytes]:
        yield before + event[:-1]
        await taken_in(app, len(before))
        for _ in range(3):
            yield b" " * BATCH_BYTES + b"}\n" + event + b"\n"

    answer = await client.post(BATCH, data=pieces(), headers=NDJSON)
    assert (answer.status, await code_of(answer)) == (413, "payload_too_large")
    document = await answer.json()
    assert [verdict["status"] for verdict in document["verdicts"]] == ["stored", "invalid", "stored"]
    assert document["httpCode"] == 413
    assert await count_of_stored(app) == 2


@pytest.mark.parametrize("batch_bytes", [BATCH_BYTES])
@pytest.mark.parametrize("beyond", [1, 5, 300, 100_000], ids="{} bytes beyond the limit".format)
@pytest.mark.parametrize("encoding", ["identity", "gzip"])
async def test_each_line_before_the_limit_of_bytes_has_its_verdict(
    client: TestClient, app: web.Application, beyond: int, encoding: str
) -> None:
    """Also those of the piece that crosses it; the line that does is the first without one, and no other follows."""
    uuids = [new_uuid() for _ in range(20)]
    before = lines_of([*(sent(uuid) for uuid in uuids), b"1"])
    crossing = sent_with_size(BATCH_BYTES - len(before) + beyond - 1)
    body = before + lines_of([crossing, sent()])
    piece = gzip.compress(body) if encoding == "gzip" else body
    answer = await client.post(BATCH, data=pieces_of(piece), headers=NDJSON | {"Content-Encoding": encoding})
    assert (answer.status, await code_of(answer)) == (413, "payload_too_large")
    verdicts = (await answer.json())["verdicts"]
    assert [(verdict["uuid"], verdict["status"]) for verdict in verdicts] == [
        *((uuid, "stored") for uuid in uuids),
        (None, "invalid"),
    ]
    assert await count_of_stored(app) == len(uuids)


@pytest.mark.parametrize("batch_bytes", [BATCH_BYTES])
@pytest.mark.parametrize("end", [b"", b"\n"])
async def test_lines_that_reach_the_limit_of_bytes_exactly_are_taken(client: TestClient, end: bytes) -> None:
    """All of them."""
    before = lines_of([sent() for _ in range(20)])
    body = before + sent_with_size(BATCH_BYTES - len(before) - len(end)) + end
    answer = await client.post(BATCH, data=pieces_of(body), headers=NDJSON)
    assert [verdict["status"] for verdict in await answer.json()] == ["stored"] * 21


async def test_when_the_client_goes_away_what_was_read_whole_is_stored(live: LiveServer, app: web.Application) -> None:
    """The line that it had begun is not."""
    reader, writer = await live.connect()
    piece = lines_of([sent(), sent(), b"1", sent()]) + sent()[:-1]
    writer.write(request_of_lines(piece, length=9_000))
    await taken_in(app, len(piece))
    writer.transport.abort()
    await until(lambda: app[INTAKE].counters.outcomes["invalid_event", "other"] == 1)
    assert await count_of_stored(app) == 3
    assert await reader.read() == b""


@pytest.mark.parametrize(("count", "leave"), EARLY_ENDS)
async def test_when_the_client_sends_and_goes_away_what_arrived_whole_is_stored(
    live: LiveServer, app: web.Application, count: int, leave: str
) -> None:
    """Though nobody had read it when the connection was lost, nor begun to handle the request."""
    body = lines_of([sent() for _ in range(count)]) + sent()[:-1]
    await send_and_leave(live, request_of_lines(body, length=len(body) + 1), leave)
    await until_stored(app, count)


@pytest.mark.parametrize(("count", "leave"), EARLY_ENDS)
async def test_a_batch_that_has_all_arrived_is_stored_though_the_client_is_gone(
    live: LiveServer, app: web.Application, count: int, leave: str
) -> None:
    """The last line too, which is whole though it has no end."""
    body = lines_of([sent() for _ in range(count)]) + sent()
    await send_and_leave(live, request_of_lines(body), leave)
    await until_stored(app, count + 1)


@pytest.mark.parametrize("is_all", [True, False], ids=["all had arrived", "more was to come"])
@pytest.mark.parametrize("count", [1, 2_500])
async def test_what_arrives_while_a_block_is_stored_is_stored_though_the_client_is_gone_then(
    live: LiveServer, app: web.Application, monkeypatch: pytest.MonkeyPatch, count: int, *, is_all: bool
) -> None:
    """The connection is lost while the handler waits for the disk: what lies between them then is not."""
    monkeypatch.setattr("eventserver.batch.BLOCK_EVENTS", 1)
    put, at_work, go_on = app[STORE].put, asyncio.Event(), asyncio.Event()

    async def put_late(events: Sequence[Event]) -> list[Outcome]:
        at_work.set()
        await go_on.wait()
        return await put(events)

    monkeypatch.setattr(app[STORE], "put", put_late)
    _, writer = await live.connect()
    first, rest = lines_of([sent()]), lines_of([sent() for _ in range(count)]) + sent()
    if not is_all:
        rest = rest[:-1]
    writer.write(request_of_lines(first, length=len(first) + len(rest) + (not is_all)))
    await at_work.wait()
    writer.write(rest)
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    await asyncio.sleep(0.05)
    go_on.set()
    await until_stored(app, 1 + count + is_all)


@pytest.mark.parametrize("content_type", [b"application/json", b"application/x-ndjson"])
@pytest.mark.parametrize("body", [b"", b"[1", sent()[:-1], lines_of([sent()])])
async def test_a_client_that_goes_away_is_no_defect(
    live: LiveServer, app: web.Application, body: bytes, content_type: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever the moment is at which it goes: a problem is what somebody is told, a trace in the log is our own."""
    request = request_of_lines(body, length=len(body) + 1).replace(b"application/x-ndjson", content_type)
    for _ in range(5):
        await send_and_leave(live, request)
    await until(lambda: live.server.requests_count == 5 and not app[COUNTERS].connections)
    await until(lambda: not app[BODY_ROOM].held)
    assert not app[COUNTERS].problems
    assert caplog.records == []


async def test_when_the_server_stops_what_arrived_whole_is_stored(live: LiveServer, app: web.Application) -> None:
    """Its sender has no verdict and sends it again; until then it is here."""
    _, writer = await live.connect()
    piece = lines_of([sent(), sent()]) + sent()[:-1]
    writer.write(request_of_lines(piece, length=9_000))
    await taken_in(app, len(piece))
    await live.server.shutdown(0.2)
    assert await count_of_stored(app) == 2
    writer.close()


async def test_what_is_not_encoded_as_declared_ends_with_the_verdicts_so_far(
    live: LiveServer, app: web.Application
) -> None:
    """400; the lines that could be unpacked are stored."""
    lines, packer = lines_of([sent(), sent()]) + sent()[:-1], zlib.compressobj(wbits=31)
    good, broken = packer.compress(lines) + packer.flush(zlib.Z_FULL_FLUSH), b"\xff" * 100
    reader, writer = await live.connect()
    writer.write(request_of_lines(good, "Content-Encoding: gzip", length=len(good) + len(broken)))
    await taken_in(app, len(lines))
    writer.write(broken)
    answer = parse_answer(await asyncio.wait_for(reader.read(), 10))
    writer.close()
    document = json.loads(answer.body)
    assert (answer.status, document["code"]) == (400, "bad_request")
    assert [verdict["status"] for verdict in document["verdicts"]] == ["stored", "stored"]
    assert await count_of_stored(app) == 2
