"""One event over HTTP: what the requests may look like, and what the answers do."""

import asyncio
import gzip
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient

from eventserver.app import make_app
from eventserver.config import Settings
from eventserver.web.keys import QUARANTINE
from eventserver.web.responses import LARGE_ANSWER
from support import live_server
from support.events import new_uuid
from support.intakes import sent, sent_with_size
from support.live_server import LiveServer, parse_answer
from support.wire_events import EVENTS, JSON, code_of, post, stored

CLOSE = "Connection: close"


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", None, "Application/JSON", "text/PLAIN"])
async def test_old_clients_may_call_json_text_or_nothing(client: TestClient, content_type: str | None) -> None:
    """A missing type and ``text/plain`` are taken as JSON."""
    headers = {} if content_type is None else {"Content-Type": content_type}
    answer = await client.post(EVENTS, data=sent(), headers=headers, skip_auto_headers=["Content-Type"])
    assert answer.status == 201


@pytest.mark.parametrize("charset", ["utf-8", "UTF-8", '"utf-8"', "utf8", "us-ascii", "utf-8; x=y"])
@pytest.mark.parametrize("media_type", ["application/json", "text/plain"])
async def test_the_charset_may_be_told(client: TestClient, media_type: str, charset: str) -> None:
    """JSON is UTF-8, so that is all that can be told."""
    answer = await client.post(EVENTS, data=sent(), headers={"Content-Type": f"{media_type}; charset={charset}"})
    assert answer.status == 201


@pytest.mark.parametrize(
    "content_type",
    [
        *("application/xml", "application/x-ndjson", "application/octet-stream", "multipart/form-data; boundary=x"),
        *("application/json; charset=iso-8859-1", "text/plain; charset=utf-16", "nonsense", "x" * 5000),
    ],
)
async def test_another_media_type_is_refused_and_what_is_right_is_told(client: TestClient, content_type: str) -> None:
    """Nothing is guessed."""
    uuid = new_uuid()
    answer = await client.post(EVENTS, data=sent(uuid), headers={"Content-Type": content_type})
    assert (answer.status, await code_of(answer)) == (415, "unsupported_media_type")
    assert await stored(client, uuid) is None


@pytest.mark.parametrize(("encoding", "encode"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
async def test_a_body_may_be_compressed(client: TestClient, encoding: str, encode: Callable[[bytes], bytes]) -> None:
    """What is stored is what was compressed."""
    uuid = new_uuid()
    body = sent(uuid)
    assert (await post(client, encode(body), **{"Content-Encoding": encoding})).status == 201
    assert await stored(client, uuid) == body


async def test_head_tells_of_an_event_without_its_body(live: LiveServer) -> None:
    """The length is that of the body that a GET would have."""
    uuid = new_uuid()
    body = sent(uuid)
    await live.exchange(live_server.post(body, EVENTS, CLOSE))
    answer = parse_answer(await live.exchange(live_server.get(f"{EVENTS}/{uuid}", CLOSE, method="HEAD")))
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers["content-length"] == str(len(body))
    absent = await live.exchange(live_server.get(f"{EVENTS}/{new_uuid()}", CLOSE, method="HEAD"))
    assert (parse_answer(absent).status, parse_answer(absent).body) == (404, b"")


@pytest.mark.parametrize("size", [1000, LARGE_ANSWER, LARGE_ANSWER + 1, 1024 * 1024])
async def test_an_event_of_any_size_is_taken_and_given_back(client: TestClient, size: int) -> None:
    """With the same headers, large or small."""
    uuid = new_uuid()
    body = sent_with_size(size, uuid)
    for status, how in ((201, "stored"), (200, "duplicate")):
        answer = await post(client, body)
        assert (answer.status, await answer.read()) == (status, body)
        assert (answer.headers["Location"], answer.headers["Event-Status"]) == (f"{EVENTS}/{uuid}", how)
        assert answer.headers["Content-Type"] == "application/json"
    found = await client.get(f"{EVENTS}/{uuid}")
    assert (await found.read(), found.headers["Content-Type"]) == (body, "application/json")
    head = await client.head(f"{EVENTS}/{uuid}")
    assert (head.status, head.headers["Content-Length"]) == (200, str(size))


async def test_an_event_over_the_limit_is_refused_and_not_kept(client: TestClient, app: web.Application) -> None:
    """One byte is enough, also when the length is not declared."""

    async def pieces() -> Any:
        for start in range(0, len(body), 100_000):
            yield body[start : start + 100_000]

    body = sent_with_size(1024 * 1024 + 1)
    for data in (BytesIO(body), pieces()):
        answer = await client.post(EVENTS, data=data, headers=JSON)
        assert (answer.status, await code_of(answer)) == (413, "payload_too_large")
    assert (await app[QUARANTINE].find()).entries == []


async def test_a_limit_is_also_one_for_bodies_that_come_with_their_headers(tmp_path: Any, aiohttp_client: Any) -> None:
    """A small limit is met before anything was waited for."""
    client = await aiohttp_client(make_app(Settings(event_root_dir=tmp_path, event_max_event_bytes=1000)))
    assert (await post(client, sent_with_size(1000))).status == 201
    assert (await post(client, sent_with_size(1001))).status == 413


async def test_http_1_0_closes_unless_it_asks_to_stay(live: LiveServer) -> None:
    """As HTTP/1.0 has it; the answer says which."""
    uuid = new_uuid()
    await live.exchange(live_server.post(sent(uuid), EVENTS, CLOSE))
    head = f"GET {EVENTS}/{uuid} HTTP/1.0\r\nHost: here\r\n"
    answer = parse_answer(await live.exchange(f"{head}\r\n".encode()))
    assert (answer.status, answer.body, answer.headers["connection"]) == (200, sent(uuid), "close")
    reader, writer = await live.connect()
    for _ in range(2):
        writer.write(f"{head}Connection: keep-alive\r\n\r\n".encode())
        answer = parse_answer(await reader.readuntil(sent(uuid)))
        assert (answer.status, answer.headers["connection"]) == (200, "keep-alive")
    writer.close()


async def test_connection_close_closes_behind_the_answer(live: LiveServer) -> None:
    """And is repeated; without it the connection stays, which needs no header."""
    body = sent()
    closing = parse_answer(await live.exchange(live_server.post(body, EVENTS, CLOSE)))
    assert (closing.status, closing.headers["connection"]) == (201, "close")
    reader, writer = await live.connect()
    for _ in range(2):
        writer.write(live_server.post(body))
        answer = parse_answer(await reader.readuntil(body))
        assert (answer.status, "connection" in answer.headers) == (200, False)
    writer.close()


@dataclass
class Writes:
    """What a server wrote to its connections, each write by itself."""

    port: int
    seen: list[bytes] = field(default_factory=list)

    def note(self, transport: asyncio.Transport, data: bytes) -> None:
        """Note a write, if it is one of the server."""
        if transport.get_extra_info("sockname")[1] == self.port:
            self.seen.append(data)


@pytest.fixture
def writes(live: LiveServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Writes]:
    """Note each write of the server."""
    noted = Writes(live.port)
    transport_class = asyncio.selector_events._SelectorSocketTransport
    write, writelines = transport_class.write, transport_class.writelines

    def noting_write(self: Any, data: bytes) -> None:
        noted.note(self, bytes(data))
        write(self, data)

    def noting_writelines(self: Any, pieces: Any) -> None:
        pieces = list(pieces)
        noted.note(self, b"".join(pieces))
        writelines(self, pieces)

    monkeypatch.setattr(transport_class, "write", noting_write)
    monkeypatch.setattr(transport_class, "writelines", noting_writelines)
    return iter([noted])


UUID = "83927d00-f46c-11e6-9f9b-3c15c2cc8f88"


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (live_server.post(sent(), EVENTS, CLOSE), 201),
        (live_server.post(sent(UUID), EVENTS, CLOSE), 200),
        (live_server.post(sent(UUID, '{"a":1}'), EVENTS, CLOSE), 409),
        (live_server.post(sent(event_type_id="eula_signed"), EVENTS, CLOSE), 422),
        (live_server.get(f"{EVENTS}/{UUID}", CLOSE), 200),
        (live_server.get(f"{EVENTS}/{UUID}", CLOSE, method="HEAD"), 200),
        (live_server.get(EVENTS, CLOSE), 200),
    ],
)
async def test_an_answer_is_one_write(live: LiveServer, writes: Any, request_: bytes, status: int) -> None:
    """Headers and body together: installed clients lose an answer that comes in pieces."""
    await live.exchange(live_server.post(sent(UUID), EVENTS, CLOSE))
    noted = next(writes)
    noted.seen.clear()
    received = await live.exchange(request_)
    assert parse_answer(received).status == status
    assert noted.seen == [received]
