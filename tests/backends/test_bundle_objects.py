"""Archives in object storage: what its URL says, and what happens when it is away. The rest is in the contract."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest

from backends.bundles import BundleStore, open_bundles
from backends.bundles.copies import Copies
from backends.bundles.object_options import ObjectOptions
from backends.errors import InvalidStoreURL, StoreUnavailable
from servers.s3 import S3, SECRET, USER

UUID = "5f0c1f0e-0c1c-5b5e-9d7a-3f4f6f1e2a10"


@pytest.fixture
async def objects(s3: S3, tmp_path: Path) -> AsyncIterator[BundleStore]:
    """A store that gives up after two seconds."""
    async with open_bundles(s3.url(uuid4().hex, timeout=2), root=tmp_path) as store:
        yield store


async def keep(store: BundleStore, content: bytes = b"archive" * 1000) -> str:
    """Keep an archive; return the text of its path."""
    path = store.new_path(UUID, "a.tgz")
    async with store.receive() as incoming:
        await incoming.write(content)
        await store.keep(incoming, path)
    return str(path)


@pytest.mark.parametrize("fault", ["kill", "pause"])
async def test_while_it_is_away_each_call_says_so_in_time(
    objects: BundleStore, s3: S3, tmp_path: Path, fault: str
) -> None:
    """Afterwards all is as before, and what was being kept is still unsettled."""
    await keep(objects)
    await objects.ping()
    path = objects.new_path(UUID, "a.tgz")
    # What is to be removed is another one: a storage that hung may still do what it was asked to.
    other = objects.new_path(str(uuid4()), "a.tgz")
    await asyncio.to_thread(getattr(s3, fault))
    for call in (keep(objects), objects.open(path), objects.remove(other), objects.ping(), anext(objects.archives())):
        begun = time.monotonic()
        with pytest.raises(StoreUnavailable):
            await call
        assert time.monotonic() - begun < 6
    assert await objects.unsettled() == [path]
    await asyncio.to_thread(s3.heal)
    await objects.ping()
    assert [stored.path async for stored in objects.archives()] == [path]
    file = await objects.open(path)
    assert file is not None
    with file:
        assert file.read() == b"archive" * 1000
    assert [file.suffix for file in (tmp_path / "files" / ".incoming").iterdir()] == [".pending"]


@pytest.mark.parametrize("wrong", ["bucket", "key"])
async def test_wrong_settings_are_no_missing_archives(
    s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    """None would mean that an archive is gone. And the errors show no key."""
    if wrong == "key":
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "very-secret")
    url = s3.url("x", bucket="elsewhere" if wrong == "bucket" else "bundles")
    async with open_bundles(url, root=tmp_path) as store:
        for call in (keep(store), store.open(store.new_path(UUID, "a.tgz")), store.ping()):
            with pytest.raises(StoreUnavailable) as caught:
                await call
            assert not any(secret in f"{caught.value}{caught.value.__cause__}" for secret in ("very-secret", SECRET))


async def test_no_two_servers_are_given_one_path(s3: S3, tmp_path: Path) -> None:
    """So each can take back what it kept, and nothing of the other's."""
    url = s3.url(uuid4().hex)
    async with (
        open_bundles(url, root=tmp_path / "a") as one,
        open_bundles(url, root=tmp_path / "b") as two,
    ):
        await keep(one)
        await keep(two)
        assert await one.unsettled() == [one.new_path(UUID, "a.tgz")]
        await one.remove(one.new_path(UUID, "a.tgz"))
        left = two.new_path(UUID, "a.tgz")
        assert [stored.path async for stored in one.archives()] == [left]
        file = await one.open(left)
        assert file is not None
        file.close()


async def test_large_ones_go_in_parts(s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As one object all the same."""
    monkeypatch.setattr("backends.bundles.object_client._ONE_REQUEST_BYTES", 1024)
    content = bytes(range(256)) * 50_000
    async with open_bundles(s3.url(uuid4().hex), root=tmp_path) as objects:
        await keep(objects, content)
        file = await objects.open(objects.new_path(UUID, "a.tgz"))
        assert file is not None
        with file:
            assert file.read() == content


def test_copies_are_bounded_and_leave_nothing(tmp_path: Path) -> None:
    """Closed ones make room."""
    copies = Copies(tmp_path, most=2)
    first, second = copies.make(), copies.make()
    with pytest.raises(StoreUnavailable):
        copies.make()
    first.close()
    first.close()
    third = copies.make()
    with pytest.raises(StoreUnavailable):
        copies.make()
    second.close()
    copies.make().close()
    third.close()
    assert list(tmp_path.iterdir()) == []


def test_url_is_read() -> None:
    """With all its options, and with none."""
    assert ObjectOptions.parse("s3://bucket") == ObjectOptions(bucket="bucket")
    url = "s3://bucket/a/b/?endpoint=https://host:9000/&region=eu-central-1&addressing=virtual&timeout=5"
    assert ObjectOptions.parse(url) == ObjectOptions(
        bucket="bucket",
        prefix="a/b",
        endpoint="https://host:9000",
        region="eu-central-1",
        addressing="virtual",
        timeout=5.0,
    )


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("s3:bucket", "bucket"),
        ("s3://", "bucket"),
        ("s3://bbb/../c", "can't begin keys"),
        ("s3://bbb//c", "can't begin keys"),
        ("s3://bbb?endpoint=host:9000", "https://host:9000"),
        ("s3://bbb?endpoint=http://h/path", "https://host:9000"),
        ("s3://bbb?endpoint=http://[", "https://host:9000"),
        ("s3://bbb?region=a/b", "eu-central-1"),
        ("s3://bbb?addressing=host", "path or virtual"),
        ("s3://bbb?timeout=0", "seconds"),
        ("s3://bbb?timeout=1&timeout=2", "twice"),
        ("s3://bbb?secret=1", "addressing, endpoint, region, timeout"),
        ("s3://bbb#c", "'#'"),
        (f"s3://{USER}:{SECRET}@bbb", "AWS_SECRET_ACCESS_KEY"),
        (f"s3://bbb?endpoint=http://{USER}:secret@h", "https://host:9000"),
        ("file:///elsewhere", "data directory"),
        ("gs://b", "s3://bucket/prefix"),
    ],
)
def test_url_that_is_wrong_is_refused(url: str, said: str, tmp_path: Path) -> None:
    """Saying what would be right, and no secret."""
    with pytest.raises(InvalidStoreURL, match=said.replace("?", r"\?")) as caught:
        open_bundles(url, root=tmp_path)
    assert "secret@" not in str(caught.value)
    assert SECRET not in str(caught.value)
