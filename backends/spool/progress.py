"""How far the spool is drained, in one small file that is replaced as a whole.

It only saves work. Draining is harmless however often it happens, since the backend knows each event by its uuid; so
a file that is missing, damaged or old means that some events are handed over again, and never that one is left out.
"""

import json
from pathlib import Path
from typing import Final, NamedTuple
from zlib import crc32

from backends.disk import Disk
from backends.log import LogPosition

FILE_NAME: Final = "progress.json"


class Progress(NamedTuple):
    """What is known of the log without reading it."""

    drained: LogPosition
    """Everything before this position has reached the backend."""
    counted: LogPosition
    events: int
    """How many lines stand between the two."""
    index_number: int
    """Which of the two directories for the index is in use."""


def write_progress(disk: Disk, directory: Path, progress: Progress) -> None:
    """Put it in the place of the one before, atomically and durably; blocks.

    Raises:
        OSError: the old or the new one will be read.

    """
    text = json.dumps(progress._asdict(), separators=(",", ":"))
    disk.replace(directory / FILE_NAME, [json.dumps({"crc32": crc32(text.encode()), "content": text}).encode()])


def read_progress(disk: Disk, directory: Path) -> Progress | None:
    """Read it; blocks.

    Returns:
        None when there is none, or it is damaged.

    Raises:
        OSError: it is there, and can't be read.

    """
    path = directory / FILE_NAME
    try:
        size = disk.size(path)
        descriptor = disk.open(path)
    except FileNotFoundError:
        return None
    try:
        data = disk.read(descriptor, size, 0)
    finally:
        disk.close(descriptor)
    try:
        whole = json.loads(data)
        if crc32(whole["content"].encode()) != whole["crc32"]:
            return None
        content = json.loads(whole["content"])
        drained, counted = LogPosition(*content["drained"]), LogPosition(*content["counted"])
        return Progress(drained, counted, content["events"], content["index_number"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
