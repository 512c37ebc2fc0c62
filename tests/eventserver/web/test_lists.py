"""Lists over HTTP: which events, in which order, page by page."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from backends.base import Query
from backends.errors import StorageFull, StoreUnavailable
from eventserver.app import make_app
from eventserver.web.keys import STORE
from support.events import SYSTEM, as_sent, new_uuid, position_of
from support.intakes import sent
from support.paging import listed
from support.strategies import queries
from support.wire_events import EVENTS, break_store, code_of, post
from support.wire_lists import LINES, MANY, array_of, next_of, originals, pages_of, url_of

PROPERTY = hypothesis_settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture
async def many(client: TestClient, app: web.Application) -> TestClient:
    """A client of a server that has many events."""
    await app[STORE].put(MANY)
    return client


@PROPERTY
@given(query=queries(), limit=st.integers(1, 40))
async def test_any_list_is_what_the_model_says_page_by_page(many: TestClient, query: Query, limit: int) -> None:
    """Every combination of filters, in both orders, from any cursor, as sent; each page as large as it may be."""
    expected = listed(MANY, query)
    pages = [array_of(expected[start : start + limit]) for start in range(0, len(expected), limit)] or [b"[]"]
    assert await pages_of(many, url_of(query, limit=limit)) == pages


async def test_a_page_has_100_events_by_default_oldest_first(many: TestClient) -> None:
    """By the instant of ``createdAt``, ties by uuid."""
    answer = await many.get(EVENTS)
    assert await answer.read() == array_of(sorted(MANY, key=position_of)[:100])
    assert next_of(answer) is not None


async def test_order_is_by_the_instant_and_not_by_its_text(client: TestClient) -> None:
    """Offsets, and digits that are not written."""
    in_order = [
        "2017-02-16T23:59:59.9+00:30",
        "2017-02-16T23:30:00Z",
        "2017-02-16T15:30:00.000000001-0800",
        "2017-02-16t23:30:00.1z",
    ]
    bodies = [sent().replace(b"2017-02-16T16:36:21.082000000Z", moment.encode()) for moment in in_order]
    for body in reversed(bodies):
        assert (await post(client, body)).status == 201
    assert await (await client.get(EVENTS)).read() == b"[" + b",".join(bodies) + b"]"


async def test_an_event_is_in_every_list_as_soon_as_it_is_acknowledged(client: TestClient) -> None:
    """Lists read what was written."""
    for number in range(1, 20):
        await post(client, sent())
        for path in (EVENTS, f"{EVENTS}/smrt-link/{SYSTEM}", f"{EVENTS}?eventTypeId=sl_test_event"):
            assert len(await (await client.get(path)).json()) == number


@pytest.mark.parametrize("headers", [{}, LINES])
async def test_an_unknown_system_has_no_events(many: TestClient, headers: dict[str, str]) -> None:
    """That is an answer, not an error."""
    answer = await many.get(f"{EVENTS}/smrt-link/{new_uuid()}", headers=headers)
    assert (answer.status, await answer.read()) == (200, b"" if headers else b"[]")


async def test_events_that_arrive_meanwhile_appear_at_most_once_and_only_behind_the_cursor(client: TestClient) -> None:
    """And each one that was there appears exactly once."""

    def at(second: int) -> bytes:
        return sent(at=f"2017-02-16T16:36:{second:02}.000000000Z")

    first = [at(second) for second in range(10, 20)]
    for body in first:
        await post(client, body)
    answer = await client.get(f"{EVENTS}?limit=5")
    seen = await answer.json()
    before, behind = at(12), at(17)
    for body in (before, behind):
        await post(client, body)
    for page in await pages_of(client, next_of(answer) or ""):
        seen += json.loads(page)
    assert sorted(event["uuid"] for event in seen) == sorted(json.loads(body)["uuid"] for body in [*first, behind])


async def test_a_cursor_outlives_a_restart(
    many: TestClient, app: web.Application, aiohttp_client: Callable[..., Awaitable[TestClient]], settings: Any
) -> None:
    """It is a position; the server remembers nothing of it."""
    answer = await many.get(f"{EVENTS}?limit=70")
    await many.close()
    client = await aiohttp_client(make_app(settings))
    assert await pages_of(client, next_of(answer) or "") == [array_of(sorted(MANY, key=position_of)[70:])]


async def test_a_page_ends_at_4_mib_and_has_one_event_at_least(client: TestClient, app: web.Application) -> None:
    """Nine events of half a MiB: seven, since each has its record's tail too, then the rest."""
    events = [as_sent('{"text":"' + "x" * (512 * 1024) + '"}') for _ in range(9)]
    await app[STORE].put(events)
    pages = await pages_of(client, f"{EVENTS}?limit=1000")
    expected = originals(sorted(events, key=position_of))
    assert [len(json.loads(page)) for page in pages] == [7, 2]
    assert b",".join(page[1:-1] for page in pages) == b",".join(expected)
    assert all(len(page) <= 4 * 1024 * 1024 for page in pages)
    stream = await client.get(EVENTS, headers=LINES)
    assert (await stream.read()).splitlines() == expected


@pytest.mark.parametrize("headers", [{}, LINES])
@pytest.mark.parametrize(
    ("error", "status", "code"),
    [(StoreUnavailable("away"), 503, "storage_unavailable"), (StorageFull("full"), 507, "storage_full")],
)
async def test_a_list_that_fails_at_its_first_page_is_a_problem(
    many: TestClient,
    app: web.Application,
    monkeypatch: pytest.MonkeyPatch,
    headers: dict[str, str],
    error: Any,
    status: int,
    code: str,
) -> None:
    """Also a stream: nothing of it is on its way yet."""
    break_store(app, monkeypatch, error)
    answer = await many.get(EVENTS, headers=headers)
    assert (answer.status, await code_of(answer)) == (status, code)
