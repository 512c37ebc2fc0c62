"""The files that a kill would leave."""

import shutil
from pathlib import Path


def copy_as_killed(directory: Path, copy: Path) -> None:
    """Copy the directory of something that is running, as it was at one moment; blocks until it was left alone."""
    for _ in range(1000):
        before = _state(directory)
        try:
            shutil.copytree(directory, copy)
        except (shutil.Error, FileNotFoundError):
            pass
        else:
            if _state(directory) == before:
                return
        shutil.rmtree(copy, ignore_errors=True)
    raise AssertionError(f"{directory} never stood still for long enough")


def _state(directory: Path) -> dict[Path, tuple[int, int]]:
    """Return the size and the time of the last change of each file."""
    state = {}
    for path in directory.rglob("*"):
        try:
            status = path.stat()
        except FileNotFoundError:
            continue
        state[path] = (status.st_size, status.st_mtime_ns)
    return state
