"""An intake on a store that can be broken, with the schemas of this release; and events as they are sent to it."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from backends.base import EventStore
from backends.errors import StoreError
from backends.quarantine import Entry, Quarantine, Refused
from backends.record import original_of
from eventserver.config import packaged_schemas
from eventserver.counters import Counters
from eventserver.intake import Intake
from eventserver.schemas import SchemaRegistry
from support.events import as_sent
from support.stores import MemoryUnderTest, StoreUnderTest

PEER = "192.0.2.7"


class Workplace(NamedTuple):
    """An intake, and what it works with."""

    intake: Intake
    place: StoreUnderTest
    store: EventStore
    quarantine: Quarantine
    registry: SchemaRegistry
    counters: Counters

    async def kept(self) -> list[Entry]:
        """Return what is in quarantine, in order of arrival."""
        return (await self.quarantine.find(limit=10_000, oldest_first=True)).entries

    async def kept_bodies(self) -> list[bytes]:
        """Return the bodies in quarantine, in order of arrival."""
        found = [await self.quarantine.get(entry.id) for entry in await self.kept()]
        return [kept.body for kept in found if kept is not None]


@asynccontextmanager
async def open_workplace(directory: Path, *, seconds: float = 10.0) -> AsyncIterator[Workplace]:
    """Open an intake on an empty store and an empty quarantine."""
    place = MemoryUnderTest(directory)
    counters, registry = Counters(), _registry()
    async with place.make() as store, Quarantine(directory / "quarantine") as quarantine:
        intake = Intake(store=store, registry=registry, quarantine=quarantine, counters=counters, timeout=seconds)
        yield Workplace(intake, place, store, quarantine, registry, counters)


def _registry() -> SchemaRegistry:
    """Return a registry of its own that is loaded; reading and checking is done once."""
    loaded = _loaded()
    registry = SchemaRegistry(packaged_schemas())
    registry.__dict__.update(loaded.__dict__)
    return registry


@cache
def _loaded() -> SchemaRegistry:
    registry = SchemaRegistry(packaged_schemas())
    registry.load()
    return registry


def sent(uuid: str | None = None, message: str = "{}", **keys: Any) -> bytes:
    """Return an event as it is sent, its message given as text; `keys` as for ``support.events.as_sent``."""
    return original_of(as_sent(message, uuid, **keys).record)


def sent_with_size(size: int, uuid: str | None = None) -> bytes:
    """Return an event of so many bytes."""
    padding = size - len(sent(uuid, '{"text":""}'))
    return sent(uuid, f'{{"text":"{"x" * padding}"}}')


def break_quarantine(quarantine: Quarantine, error: StoreError) -> None:
    """Let nothing be kept any more."""

    async def keep_nothing(refused: Sequence[Refused]) -> list[str]:
        raise error

    quarantine.keep_many = keep_nothing  # type: ignore[method-assign]
