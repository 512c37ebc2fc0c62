"""The service with a store elsewhere: what it answers, tells and keeps while that is away."""

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient

import backends
from eventserver.app import make_app
from eventserver.config import Settings
from eventserver.web.keys import QUARANTINE, SPOOL, STORE
from support.intakes import sent
from support.spool import until, until_empty
from support.wayward_store import AWAY, WaywardStore

MakeClient = Callable[[web.Application], Awaitable[TestClient]]


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> WaywardStore:
    """The store of ``wayward:``."""
    store = WaywardStore()
    monkeypatch.setattr("support.wayward_store.from_url", lambda *_, **__: store, raising=False)
    monkeypatch.setitem(backends._STORES, "wayward", ("support.wayward_store", "from_url"))
    return store


@pytest.fixture
def app(tmp_path: Path, store: WaywardStore) -> web.Application:
    """The application in front of it."""
    return make_app(Settings(event_root_dir=tmp_path, server_port=0, event_store="wayward:"))


async def post(client: TestClient, body: bytes) -> tuple[int, str, bytes]:
    """Post an event; return status, what became of it, and the body."""
    answer = await client.post("/api/v1/events", data=body, headers={"Content-Type": "application/json"})
    return answer.status, answer.headers.get("Event-Status", ""), await answer.read()


async def ready(client: TestClient) -> dict[str, Any]:
    """Return the parts of the readiness."""
    parts: dict[str, Any] = (await (await client.get("/health/ready")).json())["parts"]
    return parts


async def test_a_sender_notices_nothing(app: web.Application, store: WaywardStore, aiohttp_client: MakeClient) -> None:
    """While the store is away a POST is 201 with the event, only a header says how it was taken."""
    client = await aiohttp_client(app)
    stored, spooled = sent(), sent()
    assert await post(client, stored) == (201, "stored", stored)
    store.error = AWAY
    assert await post(client, spooled) == (201, "spooled", spooled)
    assert await post(client, spooled) == (200, "duplicate", spooled)
    uuid = json.loads(spooled)["uuid"]
    assert await (await client.get(f"/api/v1/events/{uuid}")).read() == spooled
    for path in (f"/api/v1/events/{json.loads(stored)['uuid']}", "/api/v1/events"):
        answer = await client.get(path)
        assert (answer.status, (await answer.json())["code"]) == (503, "storage_unavailable")
        assert "Retry-After" in answer.headers
    store.mend()
    assert (await client.get("/health/ready")).status == 200
    spool = app[SPOOL]
    assert spool is not None
    await until_empty(spool)
    assert len(await (await client.get("/api/v1/events")).json()) == 2


async def test_a_batch_while_the_store_is_away(
    app: web.Application, store: WaywardStore, aiohttp_client: MakeClient
) -> None:
    """Each event has its verdict."""
    client = await aiohttp_client(app)
    store.error = AWAY
    bodies = [sent() for _ in range(3)]
    answer = await client.post("/api/v1/events/batch", json=[json.loads(body) for body in [*bodies, bodies[0]]])
    assert [verdict["status"] for verdict in await answer.json()] == ["spooled"] * 3 + ["duplicate"]


async def test_what_is_told_of_the_spool(app: web.Application, store: WaywardStore, aiohttp_client: MakeClient) -> None:
    """Depth, age and drain rate are metrics and part of the readiness; a server with a spool that has room is ready."""
    client = await aiohttp_client(app)
    assert (await ready(client))["spool"]["storeIsUp"]
    store.error = AWAY
    for _ in range(4):
        await post(client, sent())
    answer = await client.get("/health/ready")
    assert answer.status == 200
    part = (await answer.json())["parts"]["spool"]
    assert set(part) == {
        "ready",
        "storeIsUp",
        "storeAwaySeconds",
        "events",
        "bytes",
        "maxBytes",
        "ageSeconds",
        "drained",
        "drainedPerSecond",
    }
    assert (part["events"], part["storeIsUp"]) == (4, False)
    assert 0 <= part["ageSeconds"] < 60
    text = await (await client.get("/metrics")).text()
    for line in ("store_up 0.0", "store_outages_total 1.0", "store_spool_events 4.0", "store_spool_spooled_total 4.0"):
        assert f"eventserver_{line}" in text
    for name in ("store_spool_age_seconds", "store_spool_drain_rate", "store_spool_bytes"):
        assert f"eventserver_{name} " in text
    store.mend()
    await client.get("/health/ready")
    spool = app[SPOOL]
    assert spool is not None
    await until_empty(spool)
    assert (await ready(client))["spool"]["drained"] == 4


async def test_a_conflict_after_the_acknowledgement_is_kept(
    app: web.Application, store: WaywardStore, aiohttp_client: MakeClient
) -> None:
    """It is in quarantine, as it was sent and with its moment of arrival, under a code that is never evicted."""
    client = await aiohttp_client(app)
    ours = sent()
    theirs = ours.replace(b'"message":', b'"other":1,"message":')
    await post(client, theirs)
    (record,) = store.all_records()
    event = store._arrivals[0]
    assert event.record == record
    store._events.clear(), store._order.clear(), store._arrivals.clear()
    store.error = AWAY
    assert (await post(client, ours))[:2] == (201, "spooled")
    store._put(event)
    store.mend()
    await client.get("/health/ready")
    spool = app[SPOOL]
    assert spool is not None
    await until_empty(spool)
    (entry,) = (await app[QUARANTINE].find()).entries
    assert (entry.code, entry.event_type_id) == ("conflict_after_ack", event.event_type_id)
    kept = await app[QUARANTINE].get(entry.id)
    assert kept is not None
    assert kept.body == ours
    text = await (await client.get("/metrics")).text()
    assert "eventserver_store_spool_conflicts_total 1.0" in text


async def test_a_store_on_this_machine_needs_no_spool(tmp_path: Path, aiohttp_client: MakeClient) -> None:
    """Nor has the readiness a part for it, or the root a directory."""
    app = make_app(Settings(event_root_dir=tmp_path, server_port=0))
    client = await aiohttp_client(app)
    assert app[SPOOL] is None
    assert "spool" not in await ready(client)
    assert not (tmp_path / "spool").exists()


async def test_what_waits_goes_to_a_store_on_this_machine(
    tmp_path: Path, app: web.Application, store: WaywardStore, aiohttp_client: MakeClient
) -> None:
    """After a switch to ``file:`` the spool is drained there, and at the next start there is none."""
    store.error = AWAY
    client = await aiohttp_client(app)
    bodies = [sent() for _ in range(5)]
    for body in bodies:
        await post(client, body)
    await client.close()
    for has_spool in (True, False):
        app = make_app(Settings(event_root_dir=tmp_path, server_port=0))
        client = await aiohttp_client(app)
        spool = app[SPOOL]
        assert (spool is not None) == has_spool
        if spool is not None:
            await until_empty(spool)
        await until(lambda: True)
        assert len(await (await client.get("/api/v1/events")).json()) == 5
        assert await app[STORE].get(json.loads(bodies[0])["uuid"]) is not None
        await client.close()
    assert store.all_records() == []
