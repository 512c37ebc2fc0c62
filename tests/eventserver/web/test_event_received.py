"""The header ``Event-Received``: operators tell when an event arrived, where that was not now."""

from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient
from pydantic import SecretStr

from backends.record import received_of
from eventserver.app import make_app
from eventserver.config import Settings
from eventserver.web.keys import QUARANTINE, STORE
from support.events import RECEIVED, new_uuid
from support.intakes import sent
from support.wire_events import code_of, post


async def take_at(client: TestClient, moment: str, **headers: str) -> tuple[int, str, bytes | None]:
    """Post an event that arrived at a moment; return status, code and the record that is stored."""
    uuid = new_uuid()
    answer = await post(client, sent(uuid), **{"Event-Received": moment}, **headers)
    code = "" if answer.status == 201 else await code_of(answer)
    return answer.status, code, await client.app[STORE].get(uuid)


async def test_an_operator_may_tell_when_an_event_arrived(client: TestClient) -> None:
    """``eventserver import`` does, for what the predecessor took years ago."""
    status, _, record = await take_at(client, RECEIVED)
    assert status == 201
    assert record is not None
    assert received_of(record) == RECEIVED


async def test_nobody_else_may_tell_when_an_event_arrived(tmp_path: Any, aiohttp_client: Any) -> None:
    """Nothing is stored: it would have another moment than its sender thinks."""
    settings = Settings(event_root_dir=tmp_path, event_admin_token=SecretStr("token"))
    client = await aiohttp_client(make_app(settings))
    assert await take_at(client, RECEIVED) == (401, "unauthorized", None)
    assert (await take_at(client, RECEIVED, Authorization="Bearer token"))[0] == 201


async def test_a_proxys_client_is_no_operator(client: TestClient) -> None:
    """Without an admin token, only this machine's own requests are an operator's."""
    assert await take_at(client, RECEIVED, **{"X-Forwarded-For": "192.0.2.1"}) == (403, "forbidden", None)


@pytest.mark.parametrize(
    "moment",
    [
        *("", "yesterday", "2026-11-24T11:22:33Z", "2026-11-24T11:22:33.123Z", "2026-11-24T11:22:33.123456+00:00"),
        *("2026-02-30T11:22:33.123456Z", "2026-11-24 11:22:33.123456Z", "2026-1-24T11:22:33.123456Z", RECEIVED + "Z"),
        "0000-11-24T11:22:33.123456Z",
    ],
)
async def test_what_is_no_moment_of_arrival_is_refused(client: TestClient, moment: str) -> None:
    """It has one form, since it becomes a part of the record as it is."""
    assert await take_at(client, moment) == (400, "invalid_parameter", None)


@pytest.mark.parametrize("moment", ["0404-06-11T09:30:57.677074Z", "1970-01-01T00:00:00.000000Z", RECEIVED])
async def test_what_is_refused_keeps_the_moment_that_was_told(
    client: TestClient, app: web.Application, moment: str
) -> None:
    """In the quarantine too, whatever year it is."""
    await post(client, b"{", **{"Event-Received": moment})
    [entry] = (await app[QUARANTINE].find()).entries
    assert (entry.received, entry.last_received) == (moment, moment)
