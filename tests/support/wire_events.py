"""Sending events to a server through aiohttp's test client, and breaking what is behind it."""

import asyncio
from collections.abc import Callable, Sequence
from io import BytesIO
from typing import Any

import pytest
from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient

from backends.base import Event, Outcome, Page, Query
from backends.errors import StoreError
from eventserver.web.keys import STORE

EVENTS = "/api/v1/events"
BATCH = "/api/v1/events/batch"
JSON = {"Content-Type": "application/json"}
NDJSON = {"Content-Type": "application/x-ndjson"}


async def post(client: TestClient, body: bytes, **headers: str) -> ClientResponse:
    """Post an event as JSON, and read the answer."""
    answer = await client.post(EVENTS, data=body, headers=JSON | headers)
    await answer.read()
    return answer


async def stored(client: TestClient, uuid: str) -> bytes | None:
    """Return an event as a GET gives it; None when it is not there."""
    answer = await client.get(f"{EVENTS}/{uuid}")
    return await answer.read() if answer.status == 200 else None


async def code_of(answer: ClientResponse) -> str:
    """Return the stable code of a refusal."""
    assert answer.content_type == "application/problem+json"
    code: str = (await answer.json())["code"]
    return code


def break_store(app: web.Application, patch: pytest.MonkeyPatch, error: StoreError) -> None:
    """Let every method of the store that serves a request fail."""

    async def put(events: Sequence[Event]) -> list[Outcome]:
        raise error

    async def get(uuid: str) -> bytes | None:
        raise error

    async def find(query: Query, **options: Any) -> Page:
        raise error

    for method in (put, get, find):
        patch.setattr(app[STORE], method.__name__, method)


def array_of(events: Sequence[bytes]) -> bytes:
    """Return a batch as a JSON array."""
    return b"[" + b",".join(events) + b"]"


def lines_of(events: Sequence[bytes]) -> bytes:
    """Return a batch as lines."""
    return b"".join(event + b"\n" for event in events)


async def post_batch(client: TestClient, body: bytes, headers: dict[str, str]) -> ClientResponse:
    """Post a batch, and read the answer."""
    answer = await client.post(BATCH, data=BytesIO(body), headers=headers)
    await answer.read()
    return answer


async def until(holds: Callable[[], bool]) -> None:
    """Return when something holds that another task brings about."""
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 - what is under test has no event to wait for
            await asyncio.sleep(0.001)
