"""A disk in memory that tells what is durable from what is only in the page cache, fails on request and loses power.

What POSIX leaves open is drawn at random (from a seed), as unkindly as file systems are known to be:

- data that was written and not synced may be there after a power cut, page by page, in part, as zeros or not at all;
- names that were made, renamed or removed may be or not be, in any combination, until their directory is synced;
- a failed write leaves any part of the data, a failed create, rename or remove may have happened all the same;
- a failed sync marks the pages clean, whether they reached the device or not. They still read well until they are
  forgotten, and a later sync that succeeds does not write them ("fsyncgate").
"""

import copy
import errno
import os
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from threading import RLock

from backends.disk import Disk
from support.fake_files import Directory, File

CHANGES = frozenset({"make_one_directory", "sync_directory", "create", "write", "sync", "rename", "remove"})
READS = frozenset({"is_directory", "list_directory", "open", "size", "read", "map"})


@dataclass
class _Fault:
    operations: Collection[str]
    error: int
    after: int
    times: int | None


class FakeDisk(Disk):
    """The disk. ``calls`` lists each change that was asked for, as (operation, name of the file or directory)."""

    def __init__(self, seed: int = 0, *, root: Path = Path("/data")) -> None:
        self.calls: list[tuple[str, str]] = []
        self.room = 1 << 40
        """What ``free_bytes`` answers."""
        self._random = Random(seed)
        self._lock = RLock()
        self._root = Directory()
        self._descriptors: dict[int, tuple[File, str, bool]] = {}
        self._next_descriptor = 1000
        self._fault: _Fault | None = None
        self._powered = True
        self._cut_after: int | None = None
        for directory in reversed([root, *root.parents][:-1]):
            parent = self._directory(directory.parent)
            parent.change({directory.name: Directory()})
            parent.sync()

    # what a test does to it

    def fail(
        self, operations: Collection[str] = CHANGES, *, after: int = 0, times: int | None = 1, error: int = errno.EIO
    ) -> None:
        """Let some of the next operations fail.

        Args:
            operations: names of methods.
            after: how many of them succeed first.
            times: how many of them fail then; None for all until ``mend``.
            error: errno of the failure.

        """
        with self._lock:
            self._fault = _Fault(operations, error, after, times)

    def mend(self) -> None:
        """Let everything succeed again."""
        with self._lock:
            self._fault = None

    def cut_power(self, after: int = 0) -> None:
        """Let that many more changes happen, the next one in part, and nothing at all after it."""
        with self._lock:
            self._cut_after = after

    @property
    def powered(self) -> bool:
        """Whether the power is still on."""
        return self._powered

    def after_power_cut(self, random: Random) -> "FakeDisk":
        """Return the disk as it may be found when the power is back."""
        with self._lock:
            return self._successor(copy.deepcopy(self._root).after_power_cut(random), random)

    def after_kill(self, random: Random) -> "FakeDisk":
        """Return the disk as a new process finds it after kill -9 of the one before: the page cache is still there."""
        with self._lock:
            return self._successor(copy.deepcopy(self._root), random)

    def forget_all_clean_pages(self) -> None:
        """Let the page cache run out of memory: each clean page is read from the device when it is next asked for."""
        with self._lock:
            for _, node in self._files(Path("/"), self._root):
                node.forget_clean_pages()

    def contents(self) -> dict[str, bytes]:
        """Return all files, by path."""
        with self._lock:
            return {str(path): bytes(node.cache) for path, node in self._files(Path("/"), self._root)}

    def overwrite(self, path: Path, offset: int, data: bytes) -> None:
        """Let bits rot: change the middle of a file, in the cache and on the device."""
        with self._lock:
            node = self._file(path)
            for place in (node.cache, node.device):
                place[offset : offset + len(data)] = data

    def _successor(self, root: Directory, random: Random) -> "FakeDisk":
        successor = FakeDisk(random.getrandbits(32))
        successor._root = root
        return successor

    # Disk

    def is_directory(self, path: Path) -> bool:
        """Tell whether a directory is there."""
        with self._lock:
            self._reading("is_directory")
            return self._is_directory(path)

    def make_one_directory(self, path: Path) -> None:
        """Create a directory in one that exists."""
        with self._lock:
            parent = self._directory(path.parent)
            self._change("make_one_directory", path.name, lambda: parent.change({path.name: Directory()}))

    def list_directory(self, path: Path) -> list[str]:
        """Return the names in a directory, sorted; of a missing one, none."""
        with self._lock:
            self._reading("list_directory")
            return sorted(self._directory(path).names) if self._is_directory(path) else []

    def sync_directory(self, path: Path) -> None:
        """Make the names in a directory durable."""
        with self._lock:
            self._change("sync_directory", path.name, self._directory(path).sync)

    def create(self, path: Path) -> int:
        """Create a file that must not exist."""
        with self._lock:
            parent = self._directory(path.parent)
            if path.name in parent.names:
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
            node = File()
            self._change("create", path.name, lambda: parent.change({path.name: node}))
            return self._descriptor(node, path.name, writable=True)

    def open(self, path: Path) -> int:
        """Return a descriptor that reads."""
        with self._lock:
            self._reading("open")
            return self._descriptor(self._file(path), path.name, writable=False)

    def close(self, descriptor: int) -> None:
        """Close a descriptor; a second time is an error."""
        with self._lock:
            del self._descriptors[descriptor]

    def size(self, path: Path) -> int:
        """Return a file's length."""
        with self._lock:
            self._reading("size")
            return len(self._file(path).cache)

    def free_bytes(self, path: Path) -> int:  # noqa: ARG002 - there is only one file system
        """Return the room that was set."""
        return self.room

    def write(self, descriptor: int, data: bytes) -> None:
        """Append the data; a failure leaves any part of it."""
        with self._lock:
            node, name, writable = self._descriptors[descriptor]
            assert writable
            part = self._random.randint(0, len(data))
            self._change("write", name, lambda: node.append(data), lambda: node.append(data[:part]))

    def sync(self, descriptor: int) -> None:
        """Make data and length durable; a failure drops what was dirty."""
        with self._lock:
            node, name, _ = self._descriptors[descriptor]
            self._change("sync", name, node.sync, lambda: node.fail_to_sync(self._random))

    def read(self, descriptor: int, length: int, offset: int) -> bytes:
        """Read up to ``length`` bytes."""
        with self._lock:
            self._reading("read")
            return bytes(self._descriptors[descriptor][0].cache[offset : offset + length])

    def map(self, path: Path, length: int) -> bytearray:
        """Return the first bytes of a file."""
        with self._lock:
            self._reading("map")
            return bytearray(self._file(path).cache[:length])

    def read_cached(self, descriptor: int, length: int, offset: int) -> bytes | None:
        """Read if all of it is there."""
        with self._lock:
            data = bytes(self._descriptors[descriptor][0].cache[offset : offset + length])
            return data if len(data) == length else None

    def forget_clean_pages(self, descriptor: int) -> None:
        """Show what the device holds."""
        with self._lock:
            self._descriptors[descriptor][0].forget_clean_pages()

    def rename(self, source: Path, target: Path) -> None:
        """Put a file in another's place."""
        with self._lock:
            assert source.parent == target.parent, "between directories a rename is two names in two syncs"
            parent, node = self._directory(source.parent), self._file(source)
            self._change("rename", target.name, lambda: parent.change({source.name: None, target.name: node}))

    def remove(self, path: Path) -> None:
        """Remove a file; a missing one is fine."""
        with self._lock:
            parent = self._directory(path.parent)
            if path.name in parent.names:
                self._change("remove", path.name, lambda: parent.change({path.name: None}))

    # inside

    def _change(
        self, operation: str, name: str, whole: Callable[[], None], part: Callable[[], None] | None = None
    ) -> None:
        """Do a change, or fail and do a part of it; what has no part is done or not done when it fails."""
        self.calls.append((operation, name))
        was_powered = self._powered
        error = self._power_error() or self._fault_of(operation)
        if error is None:
            whole()
            return
        if was_powered and part is not None:
            part()
        elif was_powered and error.errno != errno.ENOSPC and self._random.random() < 0.5:
            whole()
        raise error

    def _reading(self, operation: str) -> None:
        error = OSError(errno.EIO, "no power") if not self._powered else self._fault_of(operation)
        if error is not None:
            raise error

    def _power_error(self) -> OSError | None:
        if self._powered and self._cut_after is not None:
            self._cut_after -= 1
            self._powered = self._cut_after >= 0
        return None if self._powered else OSError(errno.EIO, "no power")

    def _fault_of(self, operation: str) -> OSError | None:
        fault = self._fault
        if fault is None or operation not in fault.operations or fault.times == 0:
            return None
        if fault.after > 0:
            fault.after -= 1
            return None
        if fault.times is not None:
            fault.times -= 1
        return OSError(fault.error, os.strerror(fault.error))

    def _node(self, path: Path) -> "File | Directory":
        node: File | Directory = self._root
        for part in path.parts[1:]:
            if isinstance(node, File):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))
            if part not in node.names:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
            node = node.names[part]
        return node

    def _file(self, path: Path) -> File:
        node = self._node(path)
        assert isinstance(node, File), path
        return node

    def _directory(self, path: Path) -> Directory:
        node = self._node(path)
        assert isinstance(node, Directory), path
        return node

    def _is_directory(self, path: Path) -> bool:
        try:
            return isinstance(self._node(path), Directory)
        except OSError:
            return False

    def _descriptor(self, node: File, name: str, *, writable: bool) -> int:
        self._next_descriptor += 1
        self._descriptors[self._next_descriptor] = (node, name, writable)
        return self._next_descriptor

    def _files(self, path: Path, directory: Directory) -> Iterator[tuple[Path, File]]:
        for name, node in directory.names.items():
            if isinstance(node, File):
                yield path / name, node
            else:
                yield from self._files(path / name, node)
