"""The system calls that durability rests on, and the disk that stands in for them where a power cut is tried."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from backends.disk import Disk
from support.fake_disk import FakeDisk
from support.faulty_disk import FaultyDisk

DiskAndRoot = tuple[Disk, Path]


@pytest.fixture(params=["real", "fake"])
def disk_and_root(request: pytest.FixtureRequest, tmp_path: Path) -> DiskAndRoot:
    """A disk, and a directory on it: what follows is true of the real one and of the one that stands in for it."""
    return (Disk(), tmp_path) if request.param == "real" else (FakeDisk(), Path("/data"))


def write_file(disk: Disk, path: Path, *parts: bytes) -> None:
    """Make a file."""
    descriptor = disk.create(path)
    for part in parts:
        disk.write(descriptor, part)
    disk.sync(descriptor)
    disk.close(descriptor)


def read_file(disk: Disk, path: Path) -> bytes:
    """Return all of a file."""
    descriptor = disk.open(path)
    try:
        return disk.read(descriptor, disk.size(path) + 10, 0)
    finally:
        disk.close(descriptor)


def test_writes_append(disk_and_root: DiskAndRoot) -> None:
    """Whatever is written stands behind what was written before; reads take any part of it."""
    disk, root = disk_and_root
    write_file(disk, root / "a", b"one", b"", b"two")
    assert read_file(disk, root / "a") == b"onetwo"
    assert disk.size(root / "a") == 6
    descriptor = disk.open(root / "a")
    assert disk.read(descriptor, 3, 2) == b"etw"
    assert disk.read(descriptor, 9, 4) == b"wo"
    assert disk.read(descriptor, 9, 6) == b""
    assert disk.read_cached(descriptor, 3, 2) in (b"etw", None)
    assert disk.read_cached(descriptor, 9, 4) is None
    disk.forget_clean_pages(descriptor)
    assert disk.read(descriptor, 6, 0) == b"onetwo"
    disk.close(descriptor)


def test_a_file_is_created_once(disk_and_root: DiskAndRoot) -> None:
    """Creating what is there, and opening or measuring what is not, are the system's errors."""
    disk, root = disk_and_root
    write_file(disk, root / "a")
    with pytest.raises(FileExistsError):
        disk.create(root / "a")
    with pytest.raises(FileNotFoundError):
        disk.open(root / "b")
    with pytest.raises(FileNotFoundError):
        disk.size(root / "b")
    with pytest.raises(FileNotFoundError):
        disk.create(root / "missing" / "a")


def test_directories_are_listed_in_order(disk_and_root: DiskAndRoot) -> None:
    """A missing directory holds nothing."""
    disk, root = disk_and_root
    for name in ("b", "a", "c"):
        write_file(disk, root / name)
    assert disk.list_directory(root) == ["a", "b", "c"]
    assert disk.list_directory(root / "missing") == []


def test_a_file_is_replaced_whole(disk_and_root: DiskAndRoot) -> None:
    """Replacing leaves the new content and no other file, whether there was one before or a left-over beside it."""
    disk, root = disk_and_root
    write_file(disk, root / "a.tmp", b"left over")
    for content in (b"first", b"second"):
        disk.replace(root / "a", [content[:2], content[2:]])
        assert read_file(disk, root / "a") == content
        assert disk.list_directory(root) == ["a"]


def test_removing_what_is_missing_is_fine(disk_and_root: DiskAndRoot) -> None:
    """It is gone afterwards, that is all."""
    disk, root = disk_and_root
    write_file(disk, root / "a")
    disk.remove(root / "a")
    disk.remove(root / "a")
    assert disk.list_directory(root) == []


def test_a_removed_file_can_be_read_by_who_has_it_open(disk_and_root: DiskAndRoot) -> None:
    """A descriptor, or a map, outlives the name."""
    disk, root = disk_and_root
    write_file(disk, root / "a", b"content")
    descriptor, mapped = disk.open(root / "a"), disk.map(root / "a", 7)
    disk.remove(root / "a")
    assert disk.read(descriptor, 7, 0) == bytes(mapped[:7]) == b"content"
    disk.close(descriptor)


def test_a_file_system_has_room(disk_and_root: DiskAndRoot) -> None:
    """The room is a number of bytes."""
    disk, root = disk_and_root
    assert disk.free_bytes(root) > 0


def test_each_new_directory_is_made_durable_in_its_parent(tmp_path: Path) -> None:
    """From the deepest that exists downward; that one too, since whoever made it may have died before he could."""
    disk = FaultyDisk()
    disk.make_directory(tmp_path / "a" / "b")
    parent = tmp_path.name
    assert disk.calls == [
        ("sync_directory", tmp_path.parent.name),
        ("make_one_directory", "a"),
        ("sync_directory", parent),
        ("make_one_directory", "b"),
        ("sync_directory", "a"),
    ]
    disk.calls.clear()
    disk.make_directory(tmp_path / "a" / "b")
    assert disk.calls == [("sync_directory", "a")]


def test_a_file_in_the_place_of_a_directory_is_an_error(tmp_path: Path) -> None:
    """It is not replaced."""
    (tmp_path / "a").write_bytes(b"")
    with pytest.raises(OSError, match=r"exists|Not a directory"):
        Disk().make_directory(tmp_path / "a" / "b")


# the disk that stands in: a model that forgave too much would prove nothing

CUTS = range(60)


def after_power_cuts(work: Callable[[FakeDisk], None], path: Path) -> set[bytes | None]:
    """Return what many power cuts leave of a file; None where there is none."""
    found: set[bytes | None] = set()
    for seed in CUTS:
        disk = FakeDisk(seed)
        work(disk)
        contents = disk.after_power_cut(Random(seed)).contents()
        found.add(contents.get(str(path)))
    return found


def test_what_was_not_synced_may_be_lost_torn_or_zero() -> None:
    """A power cut leaves of unsynced data all, nothing, a part, or zeros; of synced data all."""
    path = Path("/data/a")
    synced, unsynced = b"s" * 100, b"u" * 300

    def work(disk: FakeDisk) -> None:
        descriptor = disk.create(path)
        disk.sync_directory(path.parent)
        disk.write(descriptor, synced)
        disk.sync(descriptor)
        disk.write(descriptor, unsynced)

    found = after_power_cuts(work, path)
    assert all(content is not None and content.startswith(synced) for content in found)
    tails = {content[100:] for content in found if content is not None}
    assert {b"", unsynced} <= tails
    assert any(tail and tail != unsynced and b"\0" not in tail for tail in tails)
    assert any(b"\0" in tail and b"u" in tail for tail in tails)


def test_a_name_that_was_not_synced_may_be_lost() -> None:
    """A synced file's name needs its directory to be synced, and that directory's name the one above."""
    path = Path("/data/directory/a")

    def make(disk: FakeDisk) -> None:
        disk.make_one_directory(path.parent)
        write_file(disk, path, b"content")

    def make_and_sync(disk: FakeDisk) -> None:
        make(disk)
        disk.sync_directory(path.parent)

    def make_and_sync_all(disk: FakeDisk) -> None:
        make_and_sync(disk)
        disk.sync_directory(path.parent.parent)

    assert after_power_cuts(make, path) == {None, b"content"}
    assert after_power_cuts(make_and_sync, path) == {None, b"content"}
    assert after_power_cuts(make_and_sync_all, path) == {b"content"}


def test_a_rename_is_whole_or_not_at_all() -> None:
    """Of the old and the new content one is there, whole, when the new one was synced before it was renamed."""
    path = Path("/data/a")

    def work(disk: FakeDisk) -> None:
        disk.replace(path, [b"old"])
        write_file(disk, Path("/data/b"), b"new")
        disk.rename(Path("/data/b"), path)

    assert after_power_cuts(work, path) == {b"old", b"new"}


def test_what_was_removed_may_come_back() -> None:
    """Until the directory is synced."""
    path = Path("/data/a")

    def work(disk: FakeDisk) -> None:
        disk.replace(path, [b"content"])
        disk.remove(path)

    assert after_power_cuts(work, path) == {None, b"content"}


def test_a_kill_takes_nothing_that_was_written() -> None:
    """The page cache outlives the process."""
    disk = FakeDisk()
    descriptor = disk.create(Path("/data/a"))
    disk.write(descriptor, b"content")
    assert disk.after_kill(Random(1)).contents() == {"/data/a": b"content"}


def test_a_failed_sync_loses_pages_that_still_read_well() -> None:
    """They are clean now: a sync that succeeds does not write them, and once they are forgotten they are zeros."""
    shown: set[bytes] = set()
    for seed in CUTS:
        disk = FakeDisk(seed)
        descriptor = disk.create(Path("/data/a"))
        disk.sync_directory(Path("/data"))
        disk.write(descriptor, b"x" * 128)
        disk.fail({"sync"})
        with pytest.raises(OSError, match="Input/output error"):
            disk.sync(descriptor)
        disk.sync(descriptor)
        assert disk.read(descriptor, 128, 0) == b"x" * 128
        disk.forget_clean_pages(descriptor)
        shown.add(disk.read(descriptor, 128, 0))
        assert disk.after_power_cut(Random(seed)).contents()["/data/a"] == disk.read(descriptor, 128, 0)
    assert shown == {a + b for a in (b"x" * 64, bytes(64)) for b in (b"x" * 64, bytes(64))}


def test_a_failed_write_leaves_a_part() -> None:
    """Any part of the data, from nothing to all."""
    lengths = set()
    for seed in CUTS:
        disk = FakeDisk(seed)
        descriptor = disk.create(Path("/data/a"))
        disk.fail({"write"}, error=errno.ENOSPC)
        with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
            disk.write(descriptor, b"abc")
        lengths.add(disk.size(Path("/data/a")))
    assert lengths == {0, 1, 2, 3}


def test_faults_come_when_they_were_asked_for() -> None:
    """After some calls, so many times, of these operations only; and nothing happens without power."""
    disk = FakeDisk()
    disk.fail({"sync_directory"}, after=1, times=2)
    outcomes = []
    for _ in range(5):
        try:
            disk.sync_directory(Path("/data"))
        except OSError as error:
            outcomes.append(error.errno)
        else:
            outcomes.append(0)
    assert outcomes == [0, errno.EIO, errno.EIO, 0, 0]
    disk.cut_power(after=1)
    disk.sync_directory(Path("/data"))
    for _ in range(3):
        with pytest.raises(OSError, match="no power"):
            disk.sync_directory(Path("/data"))
    with pytest.raises(OSError, match="no power"):
        disk.list_directory(Path("/data"))
