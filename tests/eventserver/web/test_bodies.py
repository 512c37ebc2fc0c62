"""Bodies: within a time for each, and within a room for all that are under way."""

import asyncio
import json
from collections.abc import Sequence
from contextlib import suppress
from io import BytesIO

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient

from backends.base import Event, Outcome
from eventserver.app import make_app
from eventserver.config import Settings
from eventserver.refusal import Code, Refusal
from eventserver.web.body_room import PART_OF_BATCHES, ROOM_BYTES, BodyRoom
from eventserver.web.keys import BODY_ROOM, STORE
from support.events import new_uuid
from support.intakes import sent, sent_with_size
from support.live_server import Answer, LiveServer, parse_answer, post
from support.wire_events import BATCH, EVENTS, NDJSON, code_of, lines_of, post_batch, stored, until

ROOM = 1_000_000
VALIDATE = "/api/v1/validate"
PATHS = [EVENTS, BATCH, VALIDATE]


@pytest.fixture
def app(settings: Settings) -> web.Application:
    """An application with little room."""
    made = make_app(settings)
    made[BODY_ROOM] = BodyRoom(ROOM, free=0)
    return made


def post_lines(body: bytes, *, length: int) -> bytes:
    """Return the beginning of a batch of lines."""
    return post(body, BATCH, length=length).replace(b"application/json", b"application/x-ndjson")


async def one_answer(reader: asyncio.StreamReader) -> Answer:
    """Return an answer; a server that refused a body goes on reading it for some seconds before it closes."""
    async with asyncio.timeout(10):
        head = await reader.readuntil(b"\r\n\r\n")
        return parse_answer(head + await reader.readexactly(int(parse_answer(head).headers["content-length"])))


async def answer_to(live: LiveServer, request: bytes) -> Answer:
    """Send a request, and return its answer."""
    reader, writer = await live.connect()
    writer.write(request)
    answer = await one_answer(reader)
    writer.close()
    return answer


def code(answer: Answer) -> tuple[int, str]:
    """Return status and stable code."""
    return answer.status, json.loads(answer.body)["code"]


@pytest.mark.parametrize("path", PATHS)
async def test_a_body_that_does_not_arrive_is_waited_for_no_longer_than_its_time(live: LiveServer, path: str) -> None:
    """408, and the connection ends: what comes next on it could be anything."""
    answer = await answer_to(live, post(b'{"uuid":', path, length=500))
    assert code(answer) == (408, "request_timeout")
    assert answer.headers["connection"] == "close"


@pytest.mark.parametrize("path", PATHS)
async def test_a_body_that_arrives_byte_by_byte_has_no_more_time(live: LiveServer, path: str) -> None:
    """The time is for all of it, not for each piece."""
    reader, writer = await live.connect()
    answer = asyncio.create_task(one_answer(reader))
    writer.write(post(b"", path, length=500))
    while not answer.done():
        writer.write(b" ")
        await asyncio.sleep(0.02)
    assert code(await answer) == (408, "request_timeout")
    writer.close()


async def test_lines_that_stop_arriving_end_with_the_verdicts_so_far(live: LiveServer, app: web.Application) -> None:
    """What was read whole is stored."""
    uuid = new_uuid()
    answer = await answer_to(live, post_lines(lines_of([sent(uuid), b"1"]) + sent()[:50], length=5_000))
    assert code(answer) == (408, "request_timeout")
    verdicts = json.loads(answer.body)["verdicts"]
    assert [(verdict["uuid"], verdict["status"]) for verdict in verdicts] == [(uuid, "stored"), (None, "invalid")]
    assert await app[STORE].get(uuid) is not None


async def test_the_time_that_storing_takes_is_not_the_senders(
    client: TestClient, app: web.Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slow disk makes nobody a slow sender."""
    monkeypatch.setattr("eventserver.batch.BLOCK_EVENTS", 1)
    put, at_work = app[STORE].put, asyncio.Event()

    async def put_slowly(events: Sequence[Event]) -> list[Outcome]:
        at_work.set()
        await asyncio.sleep(0.4)  # the sender's time is 0.3
        return await put(events)

    async def pieces():  # noqa: ANN202
        yield lines_of([sent()])
        await at_work.wait()
        yield lines_of([sent()])

    monkeypatch.setattr(app[STORE], "put", put_slowly)
    answer = await client.post(BATCH, data=pieces(), headers=NDJSON)
    assert [verdict["status"] for verdict in await answer.json()] == ["stored", "stored"]


@pytest.mark.parametrize("path", PATHS)
async def test_when_the_room_of_all_bodies_is_taken_another_one_is_refused_for_the_time_being(
    live: LiveServer, app: web.Application, path: str
) -> None:
    """429 and when to try again; small ones that come with their headers need no room; and then it is given back."""
    largest = sent_with_size(600_000)
    reader, writer = await live.connect()
    writer.write(post(largest[:-1], EVENTS, "Connection: close", length=len(largest)))
    await until(lambda: app[BODY_ROOM].held == len(largest) - 1)
    refused = await answer_to(live, post(largest, path, "Connection: close"))
    assert code(refused) == (429, "too_many_requests")
    assert refused.headers["retry-after"] == "10"
    assert (await answer_to(live, post(sent(), EVENTS, "Connection: close"))).status == 201
    writer.write(largest[-1:])
    assert (await one_answer(reader)).status == 201
    writer.close()
    assert app[BODY_ROOM].held == 0
    again = await answer_to(live, post(b"[%b]" % largest, BATCH, "Connection: close"))
    assert json.loads(again.body)[0]["status"] == "duplicate"
    assert app[BODY_ROOM].held == 0


async def test_lines_that_find_no_room_any_more_end_with_the_verdicts_so_far(
    client: TestClient, app: web.Application
) -> None:
    """What was read whole is stored; the rest may be sent again."""
    uuid = new_uuid()
    answer = await post_batch(client, lines_of([sent(uuid), b" " * ROOM]), NDJSON)
    assert (answer.status, await code_of(answer)) == (429, "too_many_requests")
    assert [verdict["status"] for verdict in (await answer.json())["verdicts"]] == ["stored"]
    assert await stored(client, uuid) is not None
    assert app[BODY_ROOM].held == 0


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        (EVENTS, b"x" * 500_000, 400),
        (EVENTS, sent_with_size(500_000), 201),
        (BATCH, b"x" * 500_000, 400),
        (BATCH, b"[" + b"1," * 200_000 + b"1]", 413),
        (VALIDATE, b"1" * 500_000, 200),
    ],
)
async def test_the_room_is_given_back_whatever_becomes_of_a_body(
    client: TestClient, app: web.Application, path: str, body: bytes, status: int
) -> None:
    """Taken or refused."""
    held: list[int] = []
    share = app[BODY_ROOM].share
    app[BODY_ROOM].share = lambda part=1: held.append(1) or share(part)  # type: ignore[func-returns-value,method-assign]
    answer = await client.post(path, data=BytesIO(body), headers={"Content-Type": "application/json"})
    assert (answer.status, held) == (status, [1])
    assert app[BODY_ROOM].held == 0


async def test_the_room_is_given_back_when_lines_are_too_many(client: TestClient, app: web.Application) -> None:
    """Before the answer is sent."""
    answer = await post_batch(client, b"1\n" * 10_001, NDJSON)
    assert (answer.status, app[BODY_ROOM].held) == (413, 0)


@pytest.mark.parametrize("path", PATHS)
async def test_the_room_is_given_back_when_the_client_goes_away(
    live: LiveServer, app: web.Application, path: str
) -> None:
    """Or else it would be full one day."""
    _, writer = await live.connect()
    writer.write(post(b" " * 5_000, path, length=10_000))
    await until(lambda: app[BODY_ROOM].held == 5_000)
    writer.transport.abort()
    await until(lambda: app[BODY_ROOM].held == 0)


def test_a_room_holds_what_it_can_and_not_a_byte_more() -> None:
    """What was refused takes no room, and each share gives back its own."""
    room = BodyRoom(10, free=0)
    with room.share() as first:
        first(4)
        with room.share() as second:
            second(3)
            second(3)
            with pytest.raises(Refusal) as refused:
                first(1)
            assert refused.value.code is Code.TOO_MANY_REQUESTS
            assert room.held == 10
        assert room.held == 4
        first(6)
    assert room.held == 0


def test_a_room_is_left_as_it_was_by_what_fails_in_it() -> None:
    """Whatever the error is."""
    room = BodyRoom(10, free=0)
    with suppress(ZeroDivisionError), room.share() as take:
        take(5)
        raise ZeroDivisionError
    assert room.held == 0


def test_the_room_is_for_seven_of_the_largest_batches_and_sixteen_of_the_largest_events() -> None:
    """As the default limits are."""
    settings = Settings()
    assert 7 * settings.event_max_batch_bytes == ROOM_BYTES * PART_OF_BATCHES
    assert 16 * settings.event_max_event_bytes == ROOM_BYTES * (1 - PART_OF_BATCHES)


@pytest.mark.parametrize("content_type", [b"application/json", b"application/x-ndjson"])
async def test_batches_leave_room_for_large_events(live: LiveServer, app: web.Application, content_type: bytes) -> None:
    """However many stand there half sent."""
    part = int(ROOM * PART_OF_BATCHES)
    request = post(b" " * part, BATCH, length=part + 2).replace(b"application/json", content_type)
    reader, writer = await live.connect()
    writer.write(request)
    await until(lambda: app[BODY_ROOM].held == part)
    writer.write(b" ")
    assert code(await one_answer(reader)) == (429, "too_many_requests")
    writer.close()
    reader, writer = await live.connect()
    writer.write(request)
    await until(lambda: app[BODY_ROOM].held == part)
    assert (await answer_to(live, post(sent_with_size(100_000), EVENTS, "Connection: close"))).status == 201
    writer.close()


def test_an_ordinary_event_finds_room_beside_any_number_of_large_ones() -> None:
    """The first bytes of each body are free."""
    room = BodyRoom(1000, free=100)
    with room.share() as large, room.share() as small, room.share() as second:
        large(1100)
        small(100)
        with pytest.raises(Refusal):
            second(101)
    assert room.held == 0
