"""Changes of the directory's content take force by themselves, however they are made."""

import asyncio
import errno
import json
import os
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from backends.errors import StoreUnavailable
from eventserver.schemas import Report, SchemaRegistry
from eventserver.schemas import registry as registry_module
from support.fake_disk import FakeDisk
from support.schema_directory import SchemaDirectory, described

KEY = ("sl_thing", 1)
TEXT = {"name": described(type="string")}
TEXT_OR_NULL = {"name": described(type=["string", "null"])}
INTERVAL = 0.01

Next = Callable[[], Awaitable[Report]]


def registry_of(directory: SchemaDirectory, **options: Any) -> SchemaRegistry:
    """Return a registry that has been loaded."""
    registry = SchemaRegistry(directory.path, **options)
    registry.load()
    return registry


@asynccontextmanager
async def watching(registry: SchemaRegistry, prepare: Any = None) -> AsyncIterator[Next]:
    """Watch within the block; gives what waits for the next report."""
    reports: asyncio.Queue[Report] = asyncio.Queue()
    task = asyncio.create_task(registry.watch(INTERVAL, prepare=prepare, report=reports.put_nowait))

    async def following() -> Report:
        return await asyncio.wait_for(reports.get(), 30)

    yield following
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def several_looks() -> None:
    """Wait until the directory has been looked at a few times."""
    await asyncio.sleep(20 * INTERVAL)


async def test_a_changed_file_takes_force(directory: SchemaDirectory) -> None:
    """And an unchanged directory is not reported."""
    directory.write(properties=TEXT)
    registry = registry_of(directory)
    async with watching(registry) as following:
        await several_looks()
        directory.write(properties=TEXT_OR_NULL)
        assert (await following()).adopted
    assert registry.validators[KEY]({"name": None})


async def test_a_change_that_keeps_size_and_time_is_seen(directory: SchemaDirectory) -> None:
    """Content is compared: some mounts show no new time."""
    path = directory.write(title="A thing")
    times = path.stat()
    registry = registry_of(directory)
    async with watching(registry) as following:
        path.write_text(path.read_text().replace("A thing", "B thing"))
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
        assert (await following()).adopted
    assert registry.schemas[KEY]["title"] == "B thing"


async def test_a_config_map_swap_takes_force(tmp_path: Path) -> None:
    """Kubernetes makes a new folder beside the old one, swaps one link, and removes the old folder."""
    mount = tmp_path / "mount"
    SchemaDirectory(mount / "..2026_01").write(properties=TEXT)
    (mount / "..data").symlink_to("..2026_01")
    (mount / "sl_thing").symlink_to("..data/sl_thing")
    registry = SchemaRegistry(mount)
    registry.load()
    async with watching(registry) as following:
        SchemaDirectory(mount / "..2026_02").write(properties=TEXT_OR_NULL)
        (mount / "..data_tmp").symlink_to("..2026_02")
        (mount / "..data_tmp").replace(mount / "..data")
        (mount / "..2026_01").rename(tmp_path / "removed")
        assert (await following()).adopted
    assert registry.validators[KEY]({"name": None})


async def test_a_swap_of_the_directory_itself_takes_force(tmp_path: Path) -> None:
    """A release is a folder, and ``current`` a link to one."""
    SchemaDirectory(tmp_path / "one").write(properties=TEXT)
    SchemaDirectory(tmp_path / "two").write(properties=TEXT_OR_NULL)
    (tmp_path / "current").symlink_to("one")
    registry = SchemaRegistry(tmp_path / "current")
    registry.load()
    async with watching(registry) as following:
        (tmp_path / "next").symlink_to("two")
        (tmp_path / "next").replace(tmp_path / "current")
        assert (await following()).adopted
    assert registry.validators[KEY]({"name": None})


async def test_a_bad_file_is_reported_once_and_a_mended_one_takes_force(directory: SchemaDirectory) -> None:
    """The log is not filled with the same line each time it is looked at."""
    directory.write(properties=TEXT)
    registry = registry_of(directory)
    async with watching(registry) as following:
        directory.write().write_text("{")
        report = await following()
        assert not report.adopted
        assert "not strict JSON" in str(report.errors[0])
        assert registry.validators[KEY]({"name": "x"})
        await several_looks()
        directory.write(properties=TEXT_OR_NULL)
        assert (await following()).adopted


async def test_a_directory_that_goes_and_comes_back_is_said(directory: SchemaDirectory) -> None:
    """Meanwhile the set in force stays."""
    directory.write(properties=TEXT)
    registry = registry_of(directory)
    away = directory.path.with_name("away")
    async with watching(registry) as following:
        directory.path.rename(away)
        assert not (await following()).adopted
        assert KEY in registry.validators
        away.rename(directory.path)
        assert (await following()).adopted


async def test_the_store_is_made_ready_before_a_new_set_takes_force(directory: SchemaDirectory) -> None:
    """Else an event of a new type could reach a store that has no place for it."""
    directory.write(properties=TEXT)
    registry = registry_of(directory)
    prepared: list[Any] = []

    async def prepare(schemas: Mapping[tuple[str, int], Mapping[str, Any]]) -> None:
        prepared.append((set(schemas), set(registry.validators)))

    directory.write("sl_new")
    assert (await registry.refresh(prepare)).adopted
    assert prepared == [({KEY, ("sl_new", 1)}, {KEY})]
    assert set(registry.validators) == {KEY, ("sl_new", 1)}


async def test_a_store_that_is_down_keeps_the_old_set_and_is_tried_again(directory: SchemaDirectory) -> None:
    """The new set takes force as soon as the store is back."""
    directory.write(properties=TEXT)
    registry = registry_of(directory)
    up = asyncio.Event()

    async def prepare(_schemas: Mapping[tuple[str, int], Mapping[str, Any]]) -> None:
        if not up.is_set():
            message = "nobody answers"
            raise StoreUnavailable(message)

    async with watching(registry, prepare) as following:
        directory.write("sl_new")
        report = await following()
        assert not report.adopted
        assert "nobody answers" in str(report.errors[0])
        assert set(registry.validators) == {KEY}
        up.set()
        while not (await following()).adopted:
            pass
    assert set(registry.validators) == {KEY, ("sl_new", 1)}


async def test_a_store_that_does_not_answer_is_given_up(
    directory: SchemaDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reload does not wait for ever, and neither do those behind it."""
    directory.write(properties=TEXT)
    registry = registry_of(directory)
    monkeypatch.setattr(registry_module, "PREPARE_SECONDS", 0.01)

    async def prepare(_schemas: Mapping[tuple[str, int], Mapping[str, Any]]) -> None:
        await asyncio.Event().wait()

    report = await registry.refresh(prepare)
    assert not report.adopted
    assert "it took too long" in str(report.errors[0])


async def test_schemas_are_judged_off_the_event_loop(
    directory: SchemaDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hundred schemas take a second; traffic goes on meanwhile."""
    directory.write(properties=TEXT)
    registry = registry_of(directory)
    threads: set[int] = set()
    for name in ("read", "adopt", "_changed", "_keep"):
        method = getattr(registry, name)

        def recording(*arguments: Any, method: Any = method) -> Any:
            threads.add(threading.get_ident())
            return method(*arguments)

        monkeypatch.setattr(registry, name, recording)
    async with watching(registry) as following:
        directory.write("sl_new")
        await following()
    assert threads
    assert threading.get_ident() not in threads


async def test_refreshes_at_the_same_time_happen_one_after_the_other(directory: SchemaDirectory) -> None:
    """Else an older content, read before a signal came, could take force after a newer one."""
    directory.write(properties=TEXT)
    registry = registry_of(directory)
    at_work: list[int] = []

    async def prepare(schemas: Mapping[tuple[str, int], Mapping[str, Any]]) -> None:
        assert not at_work
        at_work.append(len(schemas))
        await asyncio.sleep(INTERVAL)
        at_work.clear()

    directory.write(properties=TEXT_OR_NULL)
    reports = await asyncio.gather(*(registry.refresh(prepare) for _ in range(5)))
    assert all(report.adopted for report in reports)
    assert registry.versions[KEY].revision == 2


async def test_texts_that_could_not_be_kept_are_kept_when_there_is_room(directory: SchemaDirectory) -> None:
    """Said once, when it has succeeded."""
    directory.write(properties=TEXT)
    disk = FakeDisk()
    disk.fail(times=None, error=errno.ENOSPC)
    registry = registry_of(directory, kept=Path("/data/schemas"), disk=disk)
    async with watching(registry) as following:
        await several_looks()
        disk.mend()
        assert "all are kept now" in str((await following()).findings[0])
    (content,) = disk.contents().values()
    assert json.loads(content)["schema"] == registry.schemas[KEY]
