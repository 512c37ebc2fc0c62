"""What the specification of the filesystem store is written with."""

import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from backends.base import Event
from backends.filesystem import FilesystemStore
from support.events import make_event, position_of, records_of
from support.faulty_disk import FaultyDisk
from support.paging import find_all, tail_all


@asynccontextmanager
async def opened(root: Path, disk: FaultyDisk | None = None) -> AsyncIterator[FilesystemStore]:
    """Open a store with small segments and memory tables."""
    async with FilesystemStore(root, disk=disk, segment_bytes=2000, memory_rows=8) as store:
        yield store


def files(root: Path) -> dict[str, bytes]:
    """Return all files below a directory, days written as DAY."""
    return {
        re.sub(r"\d{4}-\d\d-\d\d", "DAY", str(path.relative_to(root))): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file()
    }


def segments(root: Path) -> list[Path]:
    """Return the segments of the log, in order."""
    return sorted(root.glob("events/*/*.ndjson"), key=lambda path: path.name)


def some(count: int) -> list[Event]:
    """Return events whose instants run against their order."""
    return [make_event(at=f"2017-02-16T16:36:{59 - number:02}.082000000Z", message=number) for number in range(count)]


def overwrite(path: Path, offset: int, data: bytes) -> None:
    """Change a file where it stands."""
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)


async def assert_holds(store: FilesystemStore, events: list[Event]) -> None:
    """Every way of reading gives exactly these events."""
    assert [await store.get(event.uuid) for event in events] == records_of(events)
    assert await find_all(store) == records_of(sorted(events, key=position_of))
    assert sorted(records_of(await tail_all(store))) == sorted(records_of(events))


def figure(store: FilesystemStore, name: str) -> float:
    """Return what the store counts under a name."""
    (value,) = [statistic.value for statistic in store.statistics() if statistic.name == name]
    assert isinstance(value, int | float)
    return value


def remove_index(root: Path) -> None:
    """Remove it."""
    shutil.rmtree(root / "index")
