"""A real server, and one that fails as it is told."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from eventserver.app import make_app
from eventserver.client import EventServerClient, Retries
from eventserver.config import Settings
from support.faulty_server import FaultyServer

Serve = Callable[[web.Application], Awaitable[TestServer]]
QUICK = Retries(attempts=4, seconds=5, first_wait=0.01, longest_wait=0.05)


@pytest.fixture
async def url(aiohttp_server: Serve, tmp_path: Path) -> str:
    """Return where a real server listens, on an empty directory."""
    server = await aiohttp_server(make_app(Settings(event_root_dir=tmp_path / "root", server_port=0)))
    return str(server.make_url("/"))


@pytest.fixture
async def client(url: str) -> AsyncIterator[EventServerClient]:
    """Return a client of that server."""
    async with EventServerClient(url, retries=QUICK) as opened:
        yield opened


@pytest.fixture
async def faulty(aiohttp_server: Serve) -> FaultyServer:
    """Return a server that answers what a test says."""
    faulty = FaultyServer()
    server = await aiohttp_server(faulty.app)
    faulty.url = str(server.make_url("/"))
    return faulty


@pytest.fixture
async def faulty_client(faulty: FaultyServer) -> AsyncIterator[EventServerClient]:
    """Return a client of the server that fails."""
    async with asyncio.timeout(30), EventServerClient(faulty.url, timeout=0.5, retries=QUICK) as opened:
        yield opened
