"""The application, on a directory of its own."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient

from eventserver.app import make_app
from eventserver.config import Settings
from eventserver.server import connection_factory
from support.live_server import LiveServer


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings."""
    return Settings(
        event_root_dir=tmp_path, server_port=0, event_body_timeout_seconds=0.3, event_store_timeout_seconds=0.5
    )


@pytest.fixture
def app(settings: Settings) -> web.Application:
    """App."""
    return make_app(settings)


@pytest.fixture
async def client(
    aiohttp_client: Callable[[web.Application], Awaitable[TestClient]], app: web.Application
) -> TestClient:
    """Client."""
    return await aiohttp_client(app)


@pytest.fixture
async def live(app: web.Application, settings: Settings) -> AsyncIterator[LiveServer]:
    """The application behind our own connections, on a real socket."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    server = await asyncio.get_running_loop().create_server(connection_factory(runner, settings), "127.0.0.1", 0)
    assert runner.server is not None
    yield LiveServer(server.sockets[0].getsockname()[1], runner.server)
    server.close()
    await runner.cleanup()
