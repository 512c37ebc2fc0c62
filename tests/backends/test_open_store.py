"""One URL names the store."""

from pathlib import Path

import pytest

from backends import open_store
from backends.errors import InvalidStoreURL
from support.events import make_event


def names(directory: Path) -> list[str]:
    """Return what a directory holds."""
    return [path.name for path in directory.iterdir()]


async def test_memory_keeps_events_in_memory(tmp_path: Path) -> None:
    """``memory:`` writes nothing."""
    event = make_event()
    async with open_store("memory:", root=tmp_path) as store:
        await store.put([event])
        assert await store.get(event.uuid) == event.record
    assert names(tmp_path) == []


async def test_file_keeps_events_under_the_root(tmp_path: Path) -> None:
    """``file:`` is the default root, ``file:///a/directory`` another one, percent-encoding and all."""
    event = make_event()
    async with open_store("file:", root=tmp_path / "a b") as store:
        await store.put([event])
    async with open_store(f"file://{tmp_path}/a%20b", root=tmp_path / "other") as store:
        assert await store.get(event.uuid) == event.record
    async with open_store("file:", root=tmp_path / "a b", read_only=True) as store:
        assert await store.get(event.uuid) == event.record


@pytest.mark.parametrize(
    "url",
    [
        "",
        "files:",
        "/tmp",
        "events",
        "memory:x",
        "memory://x",
        "memory:?a=1",
        "file://host/a",
        "file:?a=1",
        "file:/a#b",
        "http://x",
    ],
)
def test_a_url_that_names_no_store_is_refused(url: str, tmp_path: Path) -> None:
    """What can't be understood is an error that quotes the URL."""
    with pytest.raises(InvalidStoreURL) as error:
        open_store(url, root=tmp_path)
    assert repr(url) in str(error.value)
