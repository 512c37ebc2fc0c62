"""One event over HTTP while store or quarantine fail: the sender is told, and nothing is acknowledged."""

import json
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient

from backends.errors import StorageFull, StoreError, StoreUnavailable
from eventserver.web.keys import QUARANTINE, STORE
from support.events import new_uuid
from support.intakes import break_quarantine, sent
from support.wire_events import EVENTS, break_store, code_of, post

UUID = "83927d00-f46c-11e6-9f9b-3c15c2cc8f88"


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (StoreUnavailable("10.0.0.1 hung up"), 503, "storage_unavailable"),
        (StorageFull("/dev/sda1 is full"), 507, "storage_full"),
    ],
)
async def test_a_store_that_fails_is_told_and_the_event_may_be_sent_again(
    client: TestClient, app: web.Application, error: StoreError, status: int, code: str
) -> None:
    """With the time to wait where waiting helps; nothing is kept, since nothing was wrong with it."""
    body = sent()
    with pytest.MonkeyPatch.context() as patch:
        break_store(app, patch, error)
        answer = await post(client, body)
        assert (answer.status, await code_of(answer)) == (status, code)
        assert ("Retry-After" in answer.headers) == (status == 503)
    assert (await app[QUARANTINE].find()).entries == []
    assert (await post(client, body)).status == 201


async def test_an_event_is_not_called_missing_while_the_store_can_not_tell(
    client: TestClient, app: web.Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    """503, never 404."""
    break_store(app, monkeypatch, StoreUnavailable("away"))
    answer = await client.get(f"{EVENTS}/{new_uuid()}")
    assert (answer.status, await code_of(answer)) == (503, "storage_unavailable")
    assert answer.headers["Retry-After"] == "10"


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [(StorageFull("full"), 507, "storage_full"), (StoreUnavailable("away"), 503, "storage_unavailable")],
)
@pytest.mark.parametrize("body", [b"{", sent(event_type_id="eula_signed"), sent(UUID, '{"a":1}')])
async def test_what_can_not_be_kept_is_answered_with_that_instead_of_its_refusal(
    client: TestClient, app: web.Application, body: bytes, error: StoreError, status: int, code: str
) -> None:
    """So that a sender that can try again knows that it should."""
    await post(client, sent(UUID))
    break_quarantine(app[QUARANTINE], error)
    answer = await post(client, body)
    assert (answer.status, await code_of(answer)) == (status, code)


async def test_a_defect_shows_a_reference_and_nothing_else(
    client: TestClient, app: web.Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever a store lets slip, no trace, path or driver's message reaches the client."""

    async def slip(_: Any) -> Any:
        raise RuntimeError("/var/lib/secret")

    monkeypatch.setattr(app[STORE], "put", slip)
    answer = await post(client, sent())
    assert (answer.status, await code_of(answer)) == (500, "internal_error")
    assert "secret" not in await answer.text()
    assert "#" in json.loads(await answer.text())["instance"]
