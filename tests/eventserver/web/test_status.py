"""``GET /status`` and the probes."""

import asyncio
from uuid import UUID

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient

from backends.errors import StorageFull, StoreUnavailable
from eventserver.web.keys import STORE


async def test_status(client: TestClient) -> None:
    """The status has the six keys that installed clients decode, none null, and the uptime in milliseconds."""
    first = await (await client.get("/status")).json()
    second = await (await client.get("/status")).json()
    assert {key: type(value) for key, value in first.items()} == {
        "id": str,
        "message": str,
        "uptime": int,
        "uuid": str,
        "version": str,
        "user": str,
    }
    assert first["uptime"] <= second["uptime"] < 60_000
    assert UUID(first["uuid"]) == UUID(second["uuid"])


async def test_status_of_installed_clients(client: TestClient) -> None:
    """The content type is exactly what they accept."""
    answer = await client.get("/status", headers={"User-Agent": "akka-http/10.0.11"}, skip_auto_headers=["Accept"])
    assert answer.headers["Content-Type"] == "application/json"


async def test_live(client: TestClient) -> None:
    """Whoever answers is alive."""
    answer = await client.get("/health/live")
    assert (answer.status, await answer.json()) == (200, {"status": "live"})


async def test_ready(client: TestClient) -> None:
    """A server that would take an event names its parts, all well."""
    answer = await client.get("/health/ready")
    value = await answer.json()
    assert (answer.status, value["status"]) == (200, "ready")
    assert set(value["parts"]) == {"store", "quarantine", "disk", "schemas", "bundles"}
    assert all(part["ready"] for part in value["parts"].values())


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (StorageFull("/dev/sda1"), "storage_full"),
        (StoreUnavailable("10.0.0.1 refused"), "storage_unavailable"),
        (ZeroDivisionError("/secret"), "internal_error"),
    ],
)
async def test_not_ready(
    client: TestClient, app: web.Application, monkeypatch: pytest.MonkeyPatch, error: Exception, code: str
) -> None:
    """A part that is not well is named, with a code and nothing of what is behind it."""

    async def fail() -> None:
        raise error

    monkeypatch.setattr(app[STORE], "ping", fail)
    answer = await client.get("/health/ready")
    value = await answer.json()
    assert (answer.status, value["status"]) == (503, "not_ready")
    assert value["parts"]["store"] == {"ready": False, "code": code}
    assert value["parts"]["schemas"]["ready"]


async def test_ready_has_a_time_limit(
    client: TestClient, app: web.Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that does not answer is not well."""

    async def hang() -> None:
        await asyncio.sleep(60)

    monkeypatch.setattr(app[STORE], "ping", hang)
    value = await (await client.get("/health/ready")).json()
    assert value["parts"]["store"] == {"ready": False, "code": "storage_unavailable"}
