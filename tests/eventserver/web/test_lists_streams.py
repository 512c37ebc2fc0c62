"""Lists as streams of lines: to their end, or visibly broken off."""

import pytest
from aiohttp import ClientPayloadError, web
from aiohttp.test_utils import TestClient
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from backends.base import Page, Query
from backends.errors import StoreUnavailable
from eventserver.web.keys import STORE
from support.events import make_event, position_of
from support.live_server import LiveServer, get, parse_answer
from support.paging import listed
from support.strategies import queries
from support.wire_events import EVENTS
from support.wire_lists import LINES, MANY, originals, url_of

PROPERTY = hypothesis_settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture
async def many(client: TestClient, app: web.Application) -> TestClient:
    """A client of a server that has many events."""
    await app[STORE].put(MANY)
    return client


@PROPERTY
@given(query=queries(), limit=st.none() | st.integers(1, 1000))
async def test_any_stream_is_what_the_model_says(many: TestClient, query: Query, limit: int | None) -> None:
    """The same, as lines; without a limit to the end, with one up to it."""
    answer = await many.get(url_of(query, limit=limit), headers=LINES)
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/x-ndjson")
    expected = originals(listed(MANY, query)[:limit])
    assert await answer.read() == b"".join(line + b"\n" for line in expected)


async def test_a_stream_goes_on_behind_the_largest_page(client: TestClient, app: web.Application) -> None:
    """1,000 events are the most of a page; a stream has as many as there are."""
    events = [make_event() for _ in range(2_500)]
    await app[STORE].put(events)
    answer = await client.get(EVENTS, headers=LINES)
    assert (await answer.read()).splitlines() == originals(sorted(events, key=position_of))
    assert len(await (await client.get(f"{EVENTS}?limit=1000")).json()) == 1_000


async def test_a_stream_that_fails_behind_its_first_page_breaks_the_connection(
    many: TestClient, app: web.Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What came until then is right; that it is not all can't be overlooked."""
    find = app[STORE].find
    failures = iter([False, True])

    async def find_once(query: Query, *, limit: int, max_bytes: int) -> Page:
        if next(failures):
            raise StoreUnavailable("away")
        return await find(query, limit=50, max_bytes=max_bytes)

    monkeypatch.setattr(app[STORE], "find", find_once)
    answer = await many.get(EVENTS, headers=LINES)
    assert answer.status == 200
    lines = [await answer.content.readline() for _ in range(50)]
    assert [line.rstrip(b"\n") for line in lines] == originals(sorted(MANY, key=position_of)[:50])
    with pytest.raises(ClientPayloadError):
        await answer.content.readline()


async def test_head_of_a_stream_has_no_body_and_the_connection_goes_on(live: LiveServer, app: web.Application) -> None:
    """A line behind it would be taken for the next answer."""
    await app[STORE].put(MANY)
    head = get(EVENTS, "Accept: application/x-ndjson", method="HEAD")
    answers = await live.exchange(head + get("/health/live", "Connection: close"))
    first, second = answers.split(b"\r\n\r\n", 1)
    assert parse_answer(first).headers["content-type"] == "application/x-ndjson"
    assert parse_answer(second).body == b'{"status":"live"}'


async def test_a_stream_over_http_1_0_ends_with_the_connection(live: LiveServer, app: web.Application) -> None:
    """There are no chunks in HTTP/1.0."""
    await app[STORE].put(MANY)
    request = get(EVENTS, "Accept: application/x-ndjson", "Connection: keep-alive").replace(b"HTTP/1.1", b"HTTP/1.0")
    answer = parse_answer(await live.exchange(request))
    assert (answer.status, "transfer-encoding" in answer.headers) == (200, False)
    assert answer.body.splitlines() == originals(sorted(MANY, key=position_of))
