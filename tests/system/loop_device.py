"""Small file systems in a file, mounted for a while: a disk that can fill, be read-only, or lose its power."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def _run(*command: str | Path) -> None:
    done = subprocess.run([str(word) for word in command], capture_output=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stderr.decode()}"


def require_root() -> None:
    """Fail clearly where file systems can't be mounted: what these tests show must not be left out unseen."""
    if os.geteuid() != 0 and os.environ.get("TEST_WITHOUT_MOUNTS"):
        pytest.skip("TEST_WITHOUT_MOUNTS is set")
    assert os.geteuid() == 0, "mounting a file system needs root; TEST_WITHOUT_MOUNTS=1 leaves these tests out"


def make_image(image: Path, megabytes: int) -> None:
    """Make an empty ext4 file system in a file."""
    with image.open("wb") as file:
        file.truncate(megabytes * 1024 * 1024)
    _run("mkfs.ext4", "-q", "-F", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0", image)


@contextmanager
def mounted(source: Path, point: Path, *options: str) -> Iterator[Path]:
    """Mount an image, or bind a directory, for the time of a block, whatever happens in it.

    Args:
        source: a file that holds a file system, or a directory.
        point: where; made when missing.
        options: of mount(8), such as ``ro``.

    Yields:
        The mount point.

    """
    require_root()
    point.mkdir(exist_ok=True)
    if source.is_dir():
        _run("mount", "--bind", source, point)
        if options:
            _run("mount", "-o", ",".join(["remount", "bind", *options]), point)
    else:
        _run("mount", "-o", ",".join(["loop", *options]), source, point)
    try:
        yield point
    finally:
        if subprocess.run(["umount", str(point)], capture_output=True, check=False).returncode:
            _run("umount", "--lazy", point)  # a process that outlived its test still holds it
