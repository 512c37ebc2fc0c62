"""What every store of bundles' archives promises."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

import pytest

from backends.bundles import BundlePath, BundleStore, make_path, open_bundles, read_path, reduce_name
from backends.errors import StoreClosed
from servers.s3 import S3

Make = Callable[[Path], BundleStore]

UUID = "5f0c1f0e-0c1c-5b5e-9d7a-3f4f6f1e2a10"
NOW = datetime(2026, 11, 24, 23, 59, tzinfo=UTC)
PATH = make_path(UUID, "example.tgz", NOW)
CONTENT = b"archive" * 100_000


@pytest.fixture
def file() -> Make:
    """Make stores in the file system."""
    return lambda root: open_bundles("file:", root=root)


@pytest.fixture
def objects(s3: S3) -> Make:
    """Make stores in object storage, all on the same archives."""
    url = s3.url(f"test/{uuid4().hex}")
    return lambda root: open_bundles(url, root=root)


@pytest.fixture(params=["file", "objects"])
def make(request: pytest.FixtureRequest) -> Make:
    """Make stores of each kind."""
    made: Make = request.getfixturevalue(request.param)
    return made


@pytest.fixture
async def bundles(make: Make, tmp_path: Path) -> AsyncIterator[BundleStore]:
    """Each store, open and empty."""
    async with make(tmp_path) as store:
        yield store


async def keep(store: BundleStore, path: BundlePath = PATH, content: bytes = CONTENT) -> str:
    """Keep an archive, and return its digest."""
    async with store.receive() as incoming:
        for start in range(0, len(content), 50_000):
            await incoming.write(content[start : start + 50_000])
        digest = await incoming.digest()
        await store.keep(incoming, path)
    return digest


async def content_of(store: BundleStore, path: BundlePath = PATH) -> bytes | None:
    """Return an archive."""
    file = await store.open(path)
    if file is None:
        return None
    with file:
        return file.read()


async def test_what_is_kept_is_read_back(bundles: BundleStore) -> None:
    """With its digest taken on the way."""
    assert await keep(bundles) == sha256(CONTENT).hexdigest()
    assert await content_of(bundles) == CONTENT
    [stored] = [stored async for stored in bundles.archives()]
    assert (stored.path, stored.size) == (PATH, len(CONTENT))
    assert abs((stored.kept_at - datetime.now(UTC)).total_seconds()) < 60


async def test_what_is_not_kept_is_gone(bundles: BundleStore) -> None:
    """Also when receiving it fails."""
    with pytest.raises(ValueError, match="broke off"):  # noqa: PT012 - it is the block that fails
        async with bundles.receive() as incoming:
            await incoming.write(CONTENT)
            raise ValueError("broke off")
    assert [stored async for stored in bundles.archives()] == []
    assert await bundles.unsettled() == []


async def test_it_is_unsettled_until_it_is_settled(bundles: BundleStore) -> None:
    """Settling twice is fine."""
    await keep(bundles)
    assert await bundles.unsettled() == [PATH]
    await bundles.settle(PATH)
    await bundles.settle(PATH)
    assert await bundles.unsettled() == []
    assert await content_of(bundles) == CONTENT


async def test_what_is_removed_is_gone(bundles: BundleStore) -> None:
    """It is settled then; whoever has it open reads on; removing it twice is fine."""
    await keep(bundles)
    file = await bundles.open(PATH)
    assert file is not None
    await bundles.remove(PATH)
    await bundles.remove(PATH)
    with file:
        assert file.read() == CONTENT
    assert await content_of(bundles) is None
    assert await bundles.unsettled() == []


async def test_a_path_may_be_kept_again(bundles: BundleStore) -> None:
    """It is unsettled again then."""
    await keep(bundles)
    await bundles.settle(PATH)
    await keep(bundles)
    assert await bundles.unsettled() == [PATH]
    assert await content_of(bundles) == CONTENT


async def test_lists_run_through_days_in_order(bundles: BundleStore) -> None:
    """As their paths do."""
    paths = [make_path(UUID, "a.tgz", NOW.replace(day=day)) for day in (3, 1, 2)]
    for path in paths:
        await keep(bundles, path, b"x")
    assert [stored.path async for stored in bundles.archives()] == sorted(paths)


async def test_many_arrive_at_a_time(bundles: BundleStore) -> None:
    """Each is whole."""
    paths = [make_path(UUID[:-2] + f"{number:02}", "a.tgz", NOW) for number in range(20)]
    await asyncio.gather(*(keep(bundles, path, path.uuid.encode() * 9000) for path in paths))
    for path in paths:
        assert await content_of(bundles, path) == path.uuid.encode() * 9000


async def test_unsettled_ones_are_found_after_a_restart(make: Make, tmp_path: Path) -> None:
    """What did not arrive whole is removed, what was kept stays."""
    async with make(tmp_path) as store:
        path = store.new_path(UUID, "example.tgz")
        await keep(store, path)
        half = tmp_path / "files" / ".incoming" / f"{'0' * 32}.part"
        half.write_bytes(b"half")
    async with make(tmp_path) as store:
        assert not half.exists()
        assert await store.unsettled() == [path]
        assert await content_of(store, path) == CONTENT
        await store.settle(path)
    async with make(tmp_path) as store:
        assert await store.unsettled() == []
        assert await content_of(store, path) == CONTENT


async def test_a_new_path_says_the_day_and_the_name(bundles: BundleStore) -> None:
    """And is read back from its text."""
    path = bundles.new_path(UUID, "a b.tgz")
    assert (path.day, path.uuid, path.name) == (f"{datetime.now(UTC):%Y/%m/%d}", UUID, "a_b.tgz")
    assert read_path(str(path)) == path


async def test_it_tells_that_it_can_keep(bundles: BundleStore) -> None:
    """What telling leaves behind is no archive."""
    await bundles.ping()
    await bundles.ping()
    assert [stored async for stored in bundles.archives()] == []


async def test_closed_it_takes_nothing(make: Make, tmp_path: Path) -> None:
    """Neither before it is opened nor afterwards; and closing twice is fine."""
    store = make(tmp_path)
    for _ in range(2):
        for call in (store.open(PATH), store.remove(PATH), store.settle(PATH), store.unsettled(), store.ping()):
            with pytest.raises(StoreClosed):
                await call
        async with store:
            pass
        await store.__aexit__(None, None, None)


@pytest.mark.parametrize(
    ("name", "reduced"),
    [
        ("example.tgz", "example.tgz"),
        ("../../etc/passwd", "passwd"),
        ("C:\\users\\me\\b.tgz", "b.tgz"),
        ("a b\r\n\0ü漢.tgz", "a_b_.tgz"),
        ("", "bundle"),
        ("..", "_"),
        (".hidden", "_hidden"),
        ("x" * 300 + ".tgz", "x" * 96 + ".tgz"),
    ],
)
def test_names_are_reduced(name: str, reduced: str) -> None:
    """To what is safe in a path, on every system."""
    assert reduce_name(name) == reduced


@pytest.mark.parametrize(
    "text",
    [
        "",
        "../../etc/passwd",
        f"/files/2026/11/24/{UUID}-a",
        f"files/2026/11/24/{UUID}-a/../../x",
        f"files/2026/11/24/{UUID}-",
    ],
)
def test_a_path_of_others_is_none(text: str) -> None:
    """Whatever an event says that anybody may have posted."""
    assert read_path(text) is None
    assert read_path(str(PATH)) == PATH
