"""How far each listener is in a source, in one small file that is replaced as a whole."""

import json
from collections.abc import Mapping
from pathlib import Path

from backends.disk import Disk
from backends.log import translate_os_error


def read_positions(directory: Path, source: str) -> dict[str, str | None]:
    """Read the token of each listener, by name; blocks. A file that is missing or damaged has none.

    Raises:
        StorageFull, StoreUnavailable: it is there, and can't be read.

    """
    try:
        found = json.loads(_path(directory, source).read_bytes())
        return {str(name): None if token is None else str(token) for name, token in found.items()}
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise translate_os_error(error) from error
    except (ValueError, AttributeError):
        return {}


def write_positions(disk: Disk, directory: Path, source: str, positions: Mapping[str, str | None]) -> None:
    """Put it in the place of the one before, atomically and durably; blocks.

    Raises:
        OSError: the old or the new one will be read.

    """
    disk.replace(_path(directory, source), [json.dumps(dict(positions), indent=1, sort_keys=True).encode()])


def _path(directory: Path, source: str) -> Path:
    return directory / f"positions-{source}.json"
