"""The manifest: which files make the index, and up to where in the log it is complete.

One file, replaced as a whole after the files that it names were synced. So whatever it names is there, whatever it does
not name may be removed, and an index without a readable manifest is none.
"""

import json
import zlib
from pathlib import Path
from typing import Final, NamedTuple

from backends.disk import Disk
from backends.filesystem.rows import FORMATS
from backends.filesystem.run import RunDescription
from backends.log import LogPosition

FILE_NAME: Final = "manifest.json"
LAYOUT: Final = 1
EventType = tuple[str, int]


class Manifest(NamedTuple):
    """What the index consists of."""

    secret: bytes
    """Of the digests; made anew with each new index."""
    complete_up_to: LogPosition
    event_types: list[EventType]
    """Event type id and version; a type's number is its place here."""
    runs: list[RunDescription]


def write_manifest(disk: Disk, directory: Path, manifest: Manifest) -> None:
    """Put a manifest in the place of the one before, atomically and durably.

    Raises:
        OSError: whether the old or the new one will be read is unknown; both must stay true.

    """
    content = {
        "layout": LAYOUT,
        "secret": manifest.secret.hex(),
        "complete_up_to": manifest.complete_up_to,
        "event_types": manifest.event_types,
        "runs": [run._asdict() for run in manifest.runs],
    }
    text = json.dumps(content, separators=(",", ":"))
    whole = json.dumps({"crc32": zlib.crc32(text.encode()), "content": text})
    disk.replace(directory / FILE_NAME, [whole.encode()])


def read_manifest(disk: Disk, directory: Path) -> Manifest:
    """Read the manifest.

    Raises:
        OSError: there is none, or it can't be read.
        ValueError: it is damaged, or of another layout.

    """
    path = directory / FILE_NAME
    size = disk.size(path)
    descriptor = disk.open(path)
    try:
        data = disk.read(descriptor, size, 0)
    finally:
        disk.close(descriptor)
    try:
        whole = json.loads(data)
        text = whole["content"]
        if zlib.crc32(text.encode()) != whole["crc32"]:
            msg = "the manifest's checksum is wrong"
            raise ValueError(msg)
        content = json.loads(text)
        if content["layout"] != LAYOUT:
            msg = f"the index has layout {content['layout']}, this release reads {LAYOUT}"
            raise ValueError(msg)
        return Manifest(
            bytes.fromhex(content["secret"]),
            LogPosition(*content["complete_up_to"]),
            [(event_type_id, version) for event_type_id, version in content["event_types"]],
            [_read_description(run) for run in content["runs"]],
        )
    except (TypeError, KeyError, AttributeError) as error:
        msg = f"the manifest is not one: {error!r}"
        raise ValueError(msg) from error


def _read_description(run: dict[str, object]) -> RunDescription:
    description = RunDescription(**run)  # type: ignore[arg-type]
    if set(description.rows) != {table.name for table in FORMATS}:
        msg = f"{description.name} has other tables"
        raise ValueError(msg)
    return description
