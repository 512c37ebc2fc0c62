"""Marks of archives whose events may not be stored yet: empty files on this machine, wherever the archives are.

``<directory>/2026-11-24-<uuid>-<name>.pending``, and ``2026-11-24-<writer>_<uuid>-<name>.pending`` where servers share
the store: each finishes what it began itself, for it alone knows that nobody is at work on it.
"""

import re
from contextlib import suppress
from pathlib import Path
from typing import Final

from backends.bundles.base import BundlePath, read_path
from backends.disk import Disk

_PENDING: Final = ".pending"
_MARK: Final = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})-(?:([0-9a-f]{8})_)?(.+)\.pending")


class Marks:
    """The marks in a directory. All methods block.

    Args:
        directory: is made when the first mark is.
        disk: the system calls.

    """

    def __init__(self, directory: Path, disk: Disk) -> None:
        self._directory = directory
        self._disk = disk

    def make(self, path: BundlePath) -> None:
        """Make the mark of an archive; it is durable when its directory is synced. It may be there already."""
        with suppress(FileExistsError):
            self._disk.close(self._disk.create(self._file(path)))

    def remove(self, path: BundlePath) -> None:
        """Remove a mark. That need not be durable: one that comes back is looked at again. A missing one is fine."""
        self._disk.remove(self._file(path))

    def read(self) -> list[BundlePath]:
        """Return the paths of archives with a mark; what else is in the directory counts for nothing."""
        marks = map(_MARK.fullmatch, self._disk.list_directory(self._directory))
        texts = ("/".join(("files", *filter(None, mark.groups()))) for mark in marks if mark)
        return [path for path in map(read_path, texts) if path is not None]

    def _file(self, path: BundlePath) -> Path:
        writer = f"{path.writer}_" if path.writer else ""
        return self._directory / f"{path.day.replace('/', '-')}-{writer}{path.uuid}-{path.name}{_PENDING}"
