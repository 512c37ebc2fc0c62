"""Event types over HTTP, and the verdict for an event that is not to be stored."""

import json
from io import BytesIO
from typing import Any

import jsonschema
import pytest
from aiohttp.test_utils import TestClient

from support.live_server import EVENT

JSON = {"Content-Type": "application/json"}
UUID = "83927d00-f46c-11e6-9f9b-3c15c2cc8f88"


async def validate(client: TestClient, body: bytes) -> Any:
    """Return the verdict for a body."""
    answer = await client.post("/api/v1/validate", data=BytesIO(body), headers=JSON)
    assert answer.status == 200
    return await answer.json()


async def test_types(client: TestClient) -> None:
    """All versions of all types are listed, sorted, with where their schemas are."""
    types = await (await client.get("/api/v1/event-types")).json()
    keys = [(one["eventTypeId"], one["eventTypeVersion"]) for one in types]
    assert keys == sorted(keys)
    assert {("smrtlink_job_change_state", 1), ("smrtlink_job_change_state", 2), ("sl_job_metrics", 1)} <= set(keys)
    for one in types:
        schema = await (await client.get(one["schema"])).json()
        assert (schema["title"], schema["description"]) == (one["title"], one["description"])


async def test_versions(client: TestClient) -> None:
    """The versions of one type are listed."""
    types = await (await client.get("/api/v1/event-types/smrtlink_job_change_state")).json()
    assert [one["eventTypeVersion"] for one in types] == [1, 2]


async def test_schema(client: TestClient) -> None:
    """A schema is JSON Schema of the draft that it names, of its own media type."""
    answer = await client.get("/api/v1/event-types/smrtlink_job_change_state/2")
    assert answer.content_type == "application/schema+json"
    schema = json.loads(await answer.read())
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    jsonschema.Draft202012Validator.check_schema(schema)


async def test_schema_is_unchanged(client: TestClient) -> None:
    """Who has the schema already is told so."""
    path = "/api/v1/event-types/sl_test_event/1"
    tag = (await client.get(path)).headers["ETag"]
    again = await client.get(path, headers={"If-None-Match": tag})
    assert (again.status, again.headers["ETag"], await again.read()) == (304, tag, b"")
    assert (await client.get(path, headers={"If-None-Match": '"other"'})).status == 200


@pytest.mark.parametrize(
    "path", ["nobody", "sl_test_event/99", "sl_test_event/01", "sl_test_event/x", "..%2F..%2Fetc/1"]
)
async def test_unknown(client: TestClient, path: str) -> None:
    """What is not loaded is not found; an id is never a path."""
    answer = await client.get(f"/api/v1/event-types/{path}")
    assert (answer.status, (await answer.json())["code"]) == (404, "not_found")


async def test_valid(client: TestClient) -> None:
    """A valid event is called valid, and not stored."""
    verdict = await validate(client, EVENT)
    assert verdict == {"valid": True, "uuid": UUID, "eventTypeId": "sl_test_event", "eventTypeVersion": 1}
    assert (await client.get(f"/api/v1/events/{UUID}")).status == 404


@pytest.mark.parametrize(
    ("old", "new", "code", "pointer"),
    [
        (b'"message":{}', b'"message":[]', "invalid_event", "/message"),
        (b"sl_test_event", b"sl_no_event", "unknown_event_type", None),
        (b"sl_test_event", b"smrtlink_job_change_state", "schema_violation", "/message"),
        (b"2017", b"17", "invalid_event", "/createdAt"),
    ],
)
async def test_invalid(client: TestClient, old: bytes, new: bytes, code: str, pointer: str | None) -> None:
    """An event that is not valid gets its code and its violations, and is not kept."""
    verdict = await validate(client, EVENT.replace(old, new))
    assert (verdict["valid"], verdict["code"]) == (False, code)
    if pointer is not None:
        assert pointer in {error["pointer"] for error in verdict["errors"]}
    assert "eventserver_quarantine_entries 0.0" in await (await client.get("/metrics")).text()


async def test_large_events_are_judged(client: TestClient) -> None:
    """A large event gets its verdict like a small one."""
    verdict = await validate(client, EVENT.replace(b"{}", b'{"text":"%b"}' % (b"x" * 900_000)))
    assert verdict["valid"]


@pytest.mark.parametrize(
    ("body", "content_type", "status", "code"),
    [
        (b"", "application/json", 400, "malformed_json"),
        (b"{", "application/json", 400, "malformed_json"),
        (EVENT, "image/png", 415, "unsupported_media_type"),
        (b" " * 1_048_577, "application/json", 413, "payload_too_large"),
    ],
)
async def test_no_verdict(client: TestClient, body: bytes, content_type: str, status: int, code: str) -> None:
    """What is no JSON, or too much of it, is refused."""
    answer = await client.post("/api/v1/validate", data=BytesIO(body), headers={"Content-Type": content_type})
    assert (answer.status, (await answer.json())["code"]) == (status, code)
