"""The copier: how much is on its way at a time, how long it waits, which types it prepares the other store for."""

import asyncio
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from backends.base import Event, Outcome
from backends.errors import StoreUnavailable
from backends.memory import MemoryStore
from eventserver.cli import copier as copier_module
from eventserver.cli.copier import BULK_BYTES, BULK_EVENTS, IN_FLIGHT, Copier
from eventserver.cli.copy_state import CopyState
from eventserver.schemas import SchemaRegistry
from servers.elasticsearch import Elasticsearch
from tests.support.command_line import Run, Store
from tests.support.events import make_event
from tests.support.schema_directory import SchemaDirectory, described
from tests.support.wayward_store import AWAY, WaywardStore


class CountingStore(WaywardStore):
    """Counts how many calls of ``put`` are under way."""

    def __init__(self) -> None:
        super().__init__()
        self.under_way = self.most = 0

    async def put(self, events: Sequence[Event]) -> list[Outcome]:
        """Store, after a while."""
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        await asyncio.sleep(0.01)
        self.under_way -= 1
        return await super().put(events)


def copier_of(source: MemoryStore, target: WaywardStore, folder: Path, patience: float = 60) -> Copier:
    """Make a copier that says nothing."""
    state = CopyState(folder / "state", "a", "b")
    return Copier(
        lambda: source,
        target,
        state,
        stop=asyncio.Event(),
        say=lambda _: None,
        advance=lambda _=1: None,
        patience=patience,
    )


async def filled(events: Sequence[Event]) -> MemoryStore:
    """Return a store with events, closed."""
    store = MemoryStore()
    async with store:
        await store.put(events)
    return store


async def test_memory_is_bounded(tmp_path: Path) -> None:
    """By the events of a bulk, its bytes, and the bulks on their way."""
    small = [make_event() for _ in range(10 * BULK_EVENTS)]
    large = [make_event(message={"padding": "x" * 500_000}) for _ in range(40)]
    target = CountingStore()
    async with target:
        await copier_of(await filled(small + large), target, tmp_path).copy()
    assert target.most == IN_FLIGHT
    assert max(len(bulk) for bulk in target.puts) == BULK_EVENTS
    assert max(sum(len(event.record) for event in bulk) for bulk in target.puts) < BULK_BYTES + 600_000
    assert target.all_records() == [event.record for event in small + large]


async def test_a_store_that_stays_away_ends_it_when_patience_is_over(tmp_path: Path) -> None:
    """What was copied ahead of that is kept, also on disk; the error says why."""
    target = CountingStore()
    async with target:
        copier = copier_of(await filled([make_event()]), target, tmp_path, patience=0.3)
        target.error = AWAY
        with pytest.raises(StoreUnavailable, match="away, says the test"):
            await asyncio.wait_for(copier.copy(), 10)
        assert json.loads((tmp_path / "state").read_bytes())["token"] is None
        target.mend()
        await copier.copy()
    assert copier_module.PATIENCE_SECONDS == 60
    assert len(target.all_records()) == 1


def test_the_other_store_is_prepared_for_the_types_in_force_and_those_kept(
    run: Run, root: Path, tmp_path: Path, store: Store, elasticsearch: Elasticsearch, prefix: str
) -> None:
    """A word of a message is found, also of a version whose file is gone and that a server kept."""
    schemas = SchemaDirectory(tmp_path / "schemas")
    properties = {"name": described(type="string")}
    schemas.write("sl_here", properties=properties)
    schemas.write("sl_kept", properties=properties)
    SchemaRegistry(schemas.path, kept=root / "schemas").load()
    shutil.rmtree(schemas.path / "sl_kept")
    (tmp_path / "c.toml").write_text(f'event_schema_dir = "{schemas.path}"\n')
    store([make_event(event_type_id=name, message={"name": "some words"}) for name in ("sl_here", "sl_kept")])
    url = f"{elasticsearch.url.replace('http', 'elasticsearch', 1)}/{prefix}"
    assert run("copy", "--from", "file:", "--to", url, "--root", root, "--config", tmp_path / "c.toml").exit_code == 0
    elasticsearch.request("POST", f"/{prefix}/_refresh")
    for name in ("sl_here", "sl_kept"):
        found = elasticsearch.request("GET", f"/{prefix}-{name}-1/_search?q=message.name:words")
        assert found["hits"]["total"]["value"] == 1, name
