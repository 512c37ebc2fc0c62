"""The application as a whole: what it opens, in which order, and how it lets go."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient

from backends.errors import DirectoryInUse, InvalidStoreURL
from backends.lock import holder_of
from eventserver.app import make_app
from eventserver.config import Settings
from eventserver.schemas import SchemaError
from support.schema_directory import SchemaDirectory

MakeClient = Callable[[web.Application], Awaitable[TestClient]]


def settings_of(root: Path, **more: Any) -> Settings:
    """Return settings for a data directory."""
    return Settings(event_root_dir=root, server_host="127.0.0.1", server_port=8070, **more)


async def test_nothing_is_touched_before_the_start(tmp_path: Path) -> None:
    """Making the application opens nothing."""
    make_app(settings_of(tmp_path / "root"))
    assert not (tmp_path / "root").exists()


async def test_one_owner(tmp_path: Path, aiohttp_client: MakeClient) -> None:
    """A directory has one owner, who is named to the second one, and it is free again when the owner has closed."""
    client = await aiohttp_client(make_app(settings_of(tmp_path)))
    address = f"pid {os.getpid()} at http://127.0.0.1:8070"
    assert holder_of(tmp_path) == address
    second = web.AppRunner(make_app(settings_of(tmp_path)))
    with pytest.raises(DirectoryInUse, match=address):
        await second.setup()
    await second.cleanup()
    assert holder_of(tmp_path) == address
    await client.close()
    assert holder_of(tmp_path) is None


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"event_schema_dir": Path("/nowhere")}, SchemaError),
        ({"event_store": "papyrus://alexandria"}, InvalidStoreURL),
    ],
)
async def test_a_start_that_fails_lets_go(tmp_path: Path, wrong: dict[str, Any], error: type[Exception]) -> None:
    """When a part can't be opened, those before it are closed again."""
    runner = web.AppRunner(make_app(settings_of(tmp_path, **wrong)))
    with pytest.raises(error):
        await runner.setup()
    await runner.cleanup()
    assert holder_of(tmp_path) is None


async def test_the_address_is_one_that_can_be_called(tmp_path: Path, aiohttp_client: MakeClient) -> None:
    """A server that listens everywhere is found on the machine itself."""
    await aiohttp_client(make_app(settings_of(tmp_path).model_copy(update={"server_host": "0.0.0.0"})))
    holder = holder_of(tmp_path)
    assert holder is not None
    assert holder.endswith("at http://127.0.0.1:8070")


@pytest.fixture
def schemas(tmp_path: Path) -> SchemaDirectory:
    """Return a directory with one event type."""
    directory = SchemaDirectory(tmp_path / "schemas")
    directory.write("sl_first")
    return directory


async def types_of(client: TestClient) -> set[str]:
    """Return the ids of the event types in force."""
    return {one["eventTypeId"] for one in await (await client.get("/api/v1/event-types")).json()}


async def eventually(condition: Callable[[], Awaitable[bool]]) -> None:
    """Return when a condition holds; fail when it does not within ten seconds."""
    for _ in range(500):
        if await condition():
            return
        await asyncio.sleep(0.02)
    pytest.fail("it did not happen")


@pytest.mark.parametrize("hangup", [True, False])
async def test_schemas_take_force_while_it_runs(
    tmp_path: Path, schemas: SchemaDirectory, aiohttp_client: MakeClient, *, hangup: bool
) -> None:
    """A new event type takes force at a SIGHUP, or by itself; the document and the metrics say so."""
    poll = 3600 if hangup else 0.05
    settings = settings_of(tmp_path / "root", event_schema_dir=schemas.path, event_schema_poll_seconds=poll)
    client = await aiohttp_client(make_app(settings))
    schemas.write("sl_second")
    if hangup:
        os.kill(os.getpid(), signal.SIGHUP)

    async def both_in_force() -> bool:
        return await types_of(client) == {"sl_first", "sl_second"}

    await eventually(both_in_force)
    document = await (await client.get("/api/v1/openapi.json")).json()
    assert "sl_second.1" in document["components"]["schemas"]
    metrics = await (await client.get("/metrics")).text()
    assert 'eventserver_schema_reloads_total{outcome="adopted"} 1.0' in metrics


async def test_a_bad_file_leaves_the_old_schemas_in_force(
    tmp_path: Path, schemas: SchemaDirectory, aiohttp_client: MakeClient
) -> None:
    """Schemas that can't be used are refused and counted, and those in force stay."""
    settings = settings_of(tmp_path / "root", event_schema_dir=schemas.path, event_schema_poll_seconds=0.05)
    client = await aiohttp_client(make_app(settings))
    (schemas.path / "sl_first" / "1.json").write_text("{")

    async def refused() -> bool:
        return 'reloads_total{outcome="refused"} 1.0' in await (await client.get("/metrics")).text()

    await eventually(refused)
    assert await types_of(client) == {"sl_first"}
    assert (await client.get("/health/ready")).status == 200
