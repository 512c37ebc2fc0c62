"""Making a bundle: a directory's files with a manifest that lists them, as a server takes it."""

import io
import json
import os
import stat
import tarfile
from collections.abc import Iterator, Mapping
from hashlib import file_digest
from pathlib import Path
from typing import Any, BinaryIO

from eventserver.bundle.manifest import MANIFEST


def pack_bundle(directory: Path, fields: Mapping[str, Any], target: BinaryIO) -> list[str]:
    """Write a ``.tgz`` of the files below a directory, with a manifest ahead of them; blocking.

    Links and whatever is neither a file nor a directory are left out: no server takes them. A manifest that lies in
    the directory is replaced. A file that grows or shrinks meanwhile, as a log does, is packed as long as it was.

    Args:
        directory: whose files are packed, by their paths relative to it, in order.
        fields: of the manifest; ``files``, with the path, size and SHA-256 of each file, is added.
        target: is written to.

    Returns:
        The paths that were left out.

    Raises:
        OSError: a file can't be read.

    """
    left_out: list[str] = []
    packed: list[tuple[tarfile.TarInfo, bytes]] = []
    for path in _paths_below(directory):
        name = path.relative_to(directory).as_posix()
        if not stat.S_ISREG(path.lstat().st_mode):
            left_out.append(name)
        elif name != MANIFEST:
            packed.append(_read(path, name))
    files = [
        {"path": info.name, "size": info.size, "sha256": file_digest(io.BytesIO(content), "sha256").hexdigest()}
        for info, content in packed
    ]
    manifest = json.dumps({**fields, "files": files}, indent=2, ensure_ascii=False).encode()
    first = tarfile.TarInfo(MANIFEST)
    first.size, first.mtime = len(manifest), max((info.mtime for info, _ in packed), default=0)
    with tarfile.open(fileobj=target, mode="w:gz", format=tarfile.GNU_FORMAT) as archive:
        for info, content in [(first, manifest), *packed]:
            archive.addfile(info, io.BytesIO(content))
    return left_out


def _paths_below(directory: Path) -> Iterator[Path]:
    """Yield all that is no directory, in order; links are not followed."""
    for folder, folders, names in os.walk(directory, onerror=_raise):
        folders.sort()
        for name in sorted([*names, *(each for each in folders if Path(folder, each).is_symlink())]):
            yield Path(folder, name)


def _raise(error: OSError) -> None:
    raise error


def _read(path: Path, name: str) -> tuple[tarfile.TarInfo, bytes]:
    content = path.read_bytes()
    info = tarfile.TarInfo(name)
    info.size, info.mtime = len(content), int(path.lstat().st_mtime)
    return info, content
