"""What of an index is on the disk, when it is opened."""

import errno
import os
from pathlib import Path
from typing import Final

from backends.disk import Disk
from backends.errors import StorageFull
from backends.filesystem.manifest import FILE_NAME, Manifest, read_manifest
from backends.filesystem.run import Run, open_run
from backends.log import BEGINNING, translate_os_error

_ATTEMPTS: Final = 10


def open_files(disk: Disk, directory: Path, *, read_only: bool) -> tuple[Manifest, list[Run]]:
    """Read the manifest and map the runs that it names; where that can't be done begin anew.

    A directory that there is no room for is not there yet: it is made when there is.

    Args:
        disk: the system calls.
        directory: of the index.
        read_only: beside the process that owns it; nothing is written.

    Raises:
        OSError: the directory can't be made, read or changed.

    """
    if not read_only:
        _make(disk, directory)
    for _ in range(_ATTEMPTS):
        try:
            manifest = read_manifest(disk, directory)
            return manifest, [open_run(disk, directory, run) for run in manifest.runs]
        except FileNotFoundError:
            # Beside the owner: it may have put another manifest into place, and removed files, since it was read.
            if not read_only:
                break
        except ValueError:
            break
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            break
    return begin_anew(disk, directory, read_only=read_only), []


def begin_anew(disk: Disk, directory: Path, *, read_only: bool) -> Manifest:
    """Forget what is there, durably, and return the manifest of an empty index.

    Raises:
        OSError: the directory can't be changed.

    """
    if not read_only and disk.is_directory(directory):
        disk.remove(directory / FILE_NAME)
        disk.sync_directory(directory)
    return Manifest(os.urandom(16), BEGINNING, [], [])


def _make(disk: Disk, directory: Path) -> None:
    try:
        disk.make_directory(directory)
    except OSError as error:
        if not isinstance(translate_os_error(error), StorageFull):
            raise
