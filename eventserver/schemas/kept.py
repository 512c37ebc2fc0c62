"""The texts of all schema versions that were ever in force.

::

    <root>/schemas/<eventTypeId>/<version>.<revision>.json

Each file holds ``{"eventTypeId", "version", "revision", "fingerprint", "schema"}``, is written once, whole and synced,
before that revision takes force, and never changed or removed. So the directory of schemas may be changed by anybody,
and the promise that a published version never narrows still holds.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from backends.disk import Disk
from eventserver.schemas.loading import SchemaVersion, fingerprint, parse
from eventserver.schemas.report import Finding, Severity
from eventserver.schemas.validation import compile_schema

_FILE = re.compile(r"([1-9][0-9]*)\.([1-9][0-9]*)\.json")


class Kept(NamedTuple):
    """What was kept."""

    versions: dict[tuple[str, int], SchemaVersion]
    """The newest sound revision of each version."""
    revisions: dict[tuple[str, int], int]
    """The highest revision number of each version, damaged files included."""
    findings: list[Finding]
    """Files that can't be used."""


class KeptSchemas:
    """The kept texts in one directory. All methods block."""

    def __init__(self, directory: Path, *, disk: Disk | None = None) -> None:
        """Name the directory; nothing is touched."""
        self._directory = directory
        self._disk = disk or Disk()

    def read(self) -> Kept:
        """Return the newest revision of each version; a file that can't be used is reported and passed over."""
        kept = Kept({}, {}, [])
        try:
            paths = list(self._paths())
        except OSError as error:
            kept.findings.append(_warning(str(self._directory), f"the kept schemas can't be read: {error.strerror}"))
            return kept
        for path in paths:
            if match := _FILE.fullmatch(path.name):
                self._read_file(kept, path, int(match[1]), int(match[2]))
        return kept

    def keep(self, version: SchemaVersion) -> None:
        """Write one revision; when this returns it is durable.

        Raises:
            OSError: it could not be written.

        """
        folder = self._directory / version.event_type_id
        document = {
            "eventTypeId": version.event_type_id,
            "version": version.version,
            "revision": version.revision,
            "fingerprint": version.fingerprint,
            "schema": version.schema,
        }
        self._disk.make_directory(folder)
        text = json.dumps(document, ensure_ascii=False, indent=2) + "\n"
        self._disk.replace(folder / f"{version.version}.{version.revision}.json", [text.encode()])

    def _paths(self) -> Iterator[Path]:
        """Return all files, two levels down."""
        for folder in self._disk.list_directory(self._directory):
            if self._disk.is_directory(self._directory / folder):
                for name in self._disk.list_directory(self._directory / folder):
                    yield self._directory / folder / name

    def _content(self, path: Path) -> bytes:
        """Return a file's content."""
        descriptor = self._disk.open(path)
        try:
            return self._disk.read(descriptor, self._disk.size(path), 0)
        finally:
            self._disk.close(descriptor)

    def _read_file(self, kept: Kept, path: Path, version: int, revision: int) -> None:
        """Add one file to what was kept."""
        key = (path.parent.name, version)
        kept.revisions[key] = max(revision, kept.revisions.get(key, 0))
        try:
            found = _version_of(parse(self._content(path)), key, revision)
        except (OSError, ValueError, KeyError, TypeError) as error:
            kept.findings.append(_warning(str(path), f"this kept schema can't be used: {error}"))
            return
        if key not in kept.versions or kept.versions[key].revision < revision:
            kept.versions[key] = found


def _version_of(document: Any, key: tuple[str, int], revision: int) -> SchemaVersion:
    """Return the version that a file holds; raise ValueError when it is not the one of its name, or damaged."""
    schema = document["schema"]
    if (document["eventTypeId"], document["version"], document["revision"]) != (*key, revision):
        message = "it does not hold what its name says"
        raise ValueError(message)
    if document["fingerprint"] != fingerprint(schema):
        message = "its text does not match its fingerprint"
        raise ValueError(message)
    examples = {"valid": schema["examples"], "invalid": []}
    return SchemaVersion(*key, schema, examples, document["fingerprint"], compile_schema(schema), revision)


def _warning(subject: str, message: str) -> Finding:
    """Return a warning."""
    return Finding(Severity.WARNING, subject, message)
