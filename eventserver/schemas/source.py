"""Reading a directory of schemas: every file of one moment, and nothing from outside of it."""

import hashlib
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from eventserver.schemas.report import Finding, SchemaError, Severity

MAXIMUM_FILE_BYTES = 1 << 20
_ATTEMPTS = 10
_PAUSE_SECONDS = 0.02


class Snapshot(NamedTuple):
    """The files of a directory at one moment."""

    files: Mapping[str, bytes]
    """Content by path relative to the directory, with slashes."""
    findings: tuple[Finding, ...]
    """What could not be read, and why."""

    @property
    def digest(self) -> str:
        """A text that changes when a name, a content or a finding does."""
        digest = hashlib.sha256()
        for name, content in [*self.files.items(), *((each.subject, each.message.encode()) for each in self.findings)]:
            digest.update(f"{len(name.encode())} {len(content)} {name}".encode())
            digest.update(content)
        return digest.hexdigest()


def read_directory(directory: Path) -> Snapshot:
    """Read every ``.json`` file below a directory; blocking.

    Names that begin with a dot are passed over (editors, version control, and the ``..data`` of a Kubernetes ConfigMap,
    whose content is seen through the links beside it). A link is followed only to a place within the directory.
    The files are read until two passes agree, so that a set that is being swapped is not taken for one moment's.

    Args:
        directory: may itself be a link; it is resolved anew at each call.

    Raises:
        SchemaError: the directory can't be read, or keeps changing.

    """
    before: Snapshot | None = None
    for attempt in range(_ATTEMPTS):
        snapshot = _read_once(directory)
        if snapshot == before:
            return snapshot
        if attempt:
            time.sleep(_PAUSE_SECONDS)
        before = snapshot
    raise SchemaError([_fault(str(directory), "keeps changing while it is read; it will be read again")])


def _read_once(directory: Path) -> Snapshot:
    """Read all files."""
    try:
        reader = _Reader(Path(os.path.realpath(directory, strict=True)))
        reader.read_folder(reader.root, depth=0)
    except OSError as error:
        raise SchemaError([_fault(str(directory), f"can't be read as a directory: {error.strerror}")]) from error
    return Snapshot(reader.files, tuple(reader.findings))


class _Reader:
    """One pass through the directory."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.files: dict[str, bytes] = {}
        self.findings: list[Finding] = []

    def read_folder(self, folder: Path, *, depth: int) -> None:
        """Add the files of a folder and of the folders in it."""
        for path in sorted(folder.iterdir()):
            if path.name.startswith("."):
                continue
            name = path.relative_to(self.root).as_posix()
            try:
                self._read_entry(path, name, depth=depth)
            except OSError as error:
                self._refuse(name, f"can't be read: {error.strerror}")

    def _read_entry(self, path: Path, name: str, *, depth: int) -> None:
        """Add a file, or the files of a folder."""
        if not Path(os.path.realpath(path, strict=True)).is_relative_to(self.root):
            self._refuse(name, "is a link that leads outside the schemas directory; copy what it names into it")
        elif path.is_dir() and depth:
            self._refuse(name, "lies too deep; schemas lie at <eventTypeId>/<version>.json")
        elif path.is_dir():
            self.read_folder(path, depth=depth + 1)
        elif path.suffix == ".json":
            self._read_file(path, name)

    def _read_file(self, path: Path, name: str) -> None:
        """Add a regular file of moderate size."""
        if not path.is_file():
            self._refuse(name, "is not a regular file")
            return
        with path.open("rb") as file:
            content = file.read(MAXIMUM_FILE_BYTES + 1)
        if len(content) > MAXIMUM_FILE_BYTES:
            self._refuse(name, f"is larger than {MAXIMUM_FILE_BYTES} bytes")
        else:
            self.files[name] = content

    def _refuse(self, name: str, message: str) -> None:
        """Note what can't be read."""
        self.findings.append(_fault(name, message))


def _fault(subject: str, message: str) -> Finding:
    """Return an error about a file."""
    return Finding(Severity.ERROR, subject, message)
