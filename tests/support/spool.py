"""What the specification of the spool is written with."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from backends.base import Event, EventStore, Outcome, Status
from backends.spool import Backoff, Sizes, Spool
from support.events import make_event

SMALL = Sizes(segment_bytes=2000, memory_rows=8, renew_rows=40)
STORED = Outcome(Status.STORED)
SPOOLED = Outcome(Status.SPOOLED)
PATIENCE_SECONDS = 20


class Quarantine:
    """Keeps conflicts, unless it is full."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.error: Exception | None = None

    async def keep(self, event: Event) -> None:
        """Keep one."""
        if self.error is not None:
            raise self.error
        self.events.append(event)


def make_spool(store: EventStore, directory: Path, **options: Any) -> Spool:
    """Return a spool with small sizes and short times, not opened."""
    options.setdefault("on_conflict", Quarantine().keep)
    options.setdefault("sizes", SMALL)
    options.setdefault("backoff", Backoff(first=0.005, last=0.05))
    options.setdefault("timeout", 5.0)
    return Spool(store, directory, **options)


@asynccontextmanager
async def opened(store: EventStore, directory: Path, **options: Any) -> AsyncIterator[Spool]:
    """Open a spool."""
    async with make_spool(store, directory, **options) as spool:
        yield spool


def some(count: int) -> list[Event]:
    """Return events whose instants run against their order."""
    return [make_event(at=f"2017-02-16T16:36:{59 - number:02}.082000000Z", message=number) for number in range(count)]


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that comes by itself."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not condition():  # noqa: ASYNC110 - it knows nothing of who waits
            await asyncio.sleep(0.002)


async def until_empty(spool: Spool) -> None:
    """Wait until all is drained, and the backend is up."""
    await until(lambda: spool.state().events == 0 and spool.state().is_up)


def figure(store: EventStore, name: str) -> float:
    """Return what the store counts under a name."""
    (value,) = [statistic.value for statistic in store.statistics() if statistic.name == name]
    assert isinstance(value, int | float)
    return value


def files(directory: Path, pattern: str) -> list[Path]:
    """Return all files below a directory whose names match."""
    return sorted(directory.rglob(pattern))
