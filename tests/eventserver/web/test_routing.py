"""What has no route, and what every route shares."""

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient

from support.live_server import EVENT, LiveServer, get, parse_answer, post

CLOSE = "Connection: close"


async def test_unknown_path(client: TestClient) -> None:
    """A path that does not exist is a problem like any other."""
    answer = await client.get("/api/v1/nothing")
    assert (answer.status, answer.content_type) == (404, "application/problem+json")
    assert (await answer.json())["code"] == "not_found"


@pytest.mark.parametrize("path", ["/api/v1/events/", "/api/v1//events", "/api/v1", "/", "/api/v1/events/a/b"])
async def test_no_redirects(client: TestClient, path: str) -> None:
    """A path that is nearly right is not found, and never redirected: installed clients follow no redirect."""
    assert (await client.get(path, allow_redirects=False)).status == 404


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/api/v1/events", "GET, HEAD, POST"),
        ("DELETE", "/status", "GET, HEAD"),
        ("GET", "/api/v1/validate", "POST"),
        ("TRACE", "/metrics", "GET, HEAD"),
        ("GET", "/api/v1/events/batch", "POST"),
        ("PROPFIND", "/api/v1/events/batch", "POST"),
        ("OPTIONS", "/api/v1/event-types/sl_test_event/1", "GET, HEAD"),
    ],
)
async def test_wrong_method(client: TestClient, method: str, path: str, allowed: str) -> None:
    """A method that a path does not have is refused, and the header says which there are."""
    answer = await client.request(method, path)
    assert (answer.status, answer.headers["Allow"]) == (405, allowed)


async def test_head(client: TestClient) -> None:
    """What can be read with GET has its headers for HEAD, refusals too."""
    answer = await client.head("/status")
    assert (answer.status, await answer.read()) == (200, b"")
    refused = await client.head("/api/v1/events/no-uuid")
    assert (refused.status, refused.content_type, await refused.read()) == (400, "application/problem+json", b"")


async def test_every_refusal_is_counted(client: TestClient, app: web.Application) -> None:
    """Refusals show in the metrics by status and code."""
    await client.get("/nothing")
    await client.put("/status")
    text = await (await client.get("/metrics")).text()
    assert 'eventserver_refused_requests_total{code="not_found",status="404"} 1.0' in text
    assert 'eventserver_refused_requests_total{code="method_not_allowed",status="405"} 1.0' in text


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (get("/status", CLOSE), 200),
        (get("/status?a=b", CLOSE), 200),
        (get("/status", CLOSE, method="HEAD"), 200),
        (get("/%73tatus", CLOSE), 200),
        (get("/status/", CLOSE), 404),
        (get("/status", CLOSE, method="PUT"), 405),
        (get("/api/v1/events/00000000-0000-4000-8000-000000000000", CLOSE), 404),
        (post(EVENT, "/api/v1/events", CLOSE), 201),
        (post(EVENT, "/api/v1/%65vents", CLOSE), 201),
        (post(EVENT, "/api/v1/events", "Expect: 100-continue", CLOSE), 100),
        (post(EVENT, "/api/v1/events", "Expect: a-miracle", CLOSE), 417),
        (get("http://elsewhere/status", CLOSE), 200),
    ],
)
async def test_a_route_is_found_in_whatever_way_it_is_asked_for(live: LiveServer, request_: bytes, status: int) -> None:
    """The short way for paths without variables leads where the framework's way leads."""
    assert parse_answer(await live.exchange(request_)).status == status
