"""The filesystem store: its files, its index, and void groups."""

import asyncio
import re
import shutil
from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest

from backends.base import Event, Outcome, Query, Status
from backends.errors import StoreClosed, StoreUnavailable
from backends.filesystem import FilesystemStore
from support.events import make_event, new_uuid
from support.faulty_disk import FaultyDisk
from support.filesystem import assert_holds, figure, files, opened, remove_index, segments, some
from support.killed import copy_as_killed
from support.paging import find_all

# files


async def test_the_files_are_these_and_no_others(root: Path) -> None:
    """The log is the records, one a line, in segments of a day; beside it only the index."""
    events = some(12)
    async with opened(root) as store:
        await store.put(events[:5])
        assert {name for name in files(root) if not name.startswith("index/")} == {"events/DAY/00000001.ndjson"}
        await store.put(events[5:])
    found = files(root)
    log = {name: content for name, content in found.items() if name.startswith("events/")}
    assert log == {
        "events/DAY/00000001.ndjson": b"".join(event.record + b"\n" for event in events[:5]),
        "events/DAY/00000002.ndjson": b"".join(event.record + b"\n" for event in events[5:]),
    }
    others = found.keys() - log.keys()
    assert "index/manifest.json" in others
    assert all(re.fullmatch(r"index/(manifest\.json|\d{8}\.run)", name) for name in others)


async def test_opening_and_closing_makes_no_segments(root: Path) -> None:
    """A server that is started and stopped leaves no empty files behind."""
    events = some(3)
    async with opened(root) as store:
        await store.put(events)
    before = files(root)
    for _ in range(3):
        async with opened(root) as store:
            await assert_holds(store, events)
    assert files(root) == before


async def test_a_second_store_reads_beside_the_first(root: Path) -> None:
    """A read-only store shows what was there when it was opened, says that it can't write, and changes nothing."""
    events = some(20)
    async with opened(root) as store:
        await store.put(events)
        before = segments(root)
        async with FilesystemStore(root, read_only=True) as reader:
            await assert_holds(reader, events)
            for event in (make_event(), events[0]):
                with pytest.raises(StoreUnavailable, match="open for reading only"):
                    await reader.put([event])
            with pytest.raises(StoreUnavailable, match="open for reading only"):
                await reader.ping()
        for refused in (reader.put([make_event()]), reader.ping()):
            with pytest.raises(StoreClosed):
                await refused
        assert segments(root) == before
        assert (await store.put([make_event()]))[0].status is Status.STORED


# void groups


@pytest.mark.parametrize("kind", ["write", "sync", "create", "sync_directory", "make_one_directory"])
async def test_a_void_group_is_never_shown(root: Path, kind: str) -> None:
    """The n-th operation fails, other content is put under the same uuid: after a restart that one is there."""
    for number, times in product(range(5), (1, 2, 3)):
        disk = FaultyDisk()
        directory = root / f"{number}-{times}"
        async with opened(directory, disk) as store:
            disk.fail({kind}, after=number, times=times)
            acknowledged = [await put_until_stored(store, new_uuid()) for _ in range(8)]
            disk.mend()
            await assert_holds(store, acknowledged)
        async with opened(directory) as store:
            await assert_holds(store, acknowledged)
        shutil.rmtree(directory / "index")
        async with opened(directory) as store:
            await assert_holds(store, acknowledged)


async def put_until_stored(store: FilesystemStore, uuid: str) -> Event:
    """Put other content each time until it is stored."""
    for number in range(10):
        event = make_event(uuid, message={"n": number, "p": "x" * 200})
        try:
            assert await store.put([event]) == [Outcome(Status.STORED)]
        except StoreUnavailable:
            continue
        return event
    raise AssertionError


# the index is derived


def empty_manifest(root: Path) -> None:
    """Leave an empty file."""
    (root / "index" / "manifest.json").write_bytes(b"")


def foreign_manifest(root: Path) -> None:
    """Put something else there."""
    (root / "index" / "manifest.json").write_bytes(b'{"layout":99}')


def remove_runs(root: Path) -> None:
    """Remove what the manifest names."""
    for path in (root / "index").glob("*.run"):
        path.unlink()


def shorten_runs(root: Path) -> None:
    """Cut off the last byte."""
    for path in (root / "index").glob("*.run"):
        path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.parametrize("damage", [remove_index, empty_manifest, foreign_manifest, remove_runs, shorten_runs])
async def test_an_index_that_is_lost_is_made_again(root: Path, damage: Callable[[Path], None]) -> None:
    """Deleting or breaking it is harmless: it is read from the log again, telling how far it is."""
    events = some(40)
    async with opened(root) as store:
        await store.put(events)
    damage(root)
    told: list[tuple[int, int]] = []
    size = sum(path.stat().st_size for path in segments(root))
    async with FilesystemStore(root, memory_rows=8, progress=lambda done, total: told.append((done, total))) as store:
        await assert_holds(store, events)
        assert [outcome.status for outcome in await store.put(events)] == [Status.DUPLICATE] * 40
    assert told[-1] == (size, size)
    told.clear()
    async with FilesystemStore(root, progress=lambda done, total: told.append((done, total))) as store:
        await assert_holds(store, events)
    assert told == [], "what was made again is there at the next start"


async def test_an_index_that_is_ahead_of_the_log_is_made_again(root: Path) -> None:
    """When the log was put back from an older copy, the index knows places that are not there."""
    events = some(30)
    async with opened(root) as store:
        await store.put(events[:10])
    shutil.copytree(root / "events", root / "copy")
    async with opened(root) as store:
        await store.put(events[10:])
    shutil.rmtree(root / "events")
    (root / "copy").rename(root / "events")
    async with opened(root) as store:
        await assert_holds(store, events[:10])
        assert [outcome.status for outcome in await store.put(events)] == [Status.DUPLICATE] * 10 + [Status.STORED] * 20


async def test_only_the_tail_is_read_again_after_a_crash(root: Path, tmp_path: Path) -> None:
    """A copy of the running store's files is what a kill leaves: all is there, and only the newest is read again."""
    events = some(50)
    async with opened(root) as store:
        for event in events:
            await store.put([event])
        async with asyncio.timeout(20):
            while figure(store, "index_memory_rows") > 16:  # noqa: ASYNC110 - a thread writes it; there is no event
                await asyncio.sleep(0.01)
        await asyncio.to_thread(copy_as_killed, root, tmp_path / "killed")
    told: list[int] = []
    async with FilesystemStore(tmp_path / "killed", progress=lambda _, total: told.append(total)) as store:
        await assert_holds(store, events)
    assert 0 < told[-1] <= sum(len(event.record) + 1 for event in events[-16:])


async def test_everything_is_the_same_after_a_restart(root: Path) -> None:
    """Lists, tokens, records: after a restart, and after the index was made again, nothing differs."""

    async def everything(store: FilesystemStore) -> list[object]:
        return [
            [await store.get(event.uuid) for event in events],
            await find_all(store),
            await find_all(store, Query(descending=True)),
            await find_all(store, Query(event_type_id="sl_test_event", event_type_version=1)),
            [arrival async for arrival in store.tail()],
        ]

    events = some(50)
    async with opened(root) as store:
        await store.put(events[:30])
        await store.put(events[20:])
        before = await everything(store)
    async with opened(root) as store:
        assert await everything(store) == before
    remove_index(root)
    async with opened(root) as store:
        assert await everything(store) == before
