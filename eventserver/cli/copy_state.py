"""How far a copy has come, kept in a small file. Losing it is harmless: what is there is not stored twice."""

import hashlib
import json
from pathlib import Path
from typing import Final, Self

from backends.disk import Disk
from eventserver.cli.invocation import AskedWrongly, CommandFailed

MOST_CONFLICTS: Final = 1000
"""With more of them a copy always begins at the first event, so that each is found again."""


class CopyState:
    """See the module. All methods that touch the disk block.

    Attributes:
        token: goes on behind the last event of which all before are done (``EventStore.tail``).
        last: the uuid of that event.
        conflicts: uuids for which the other store has another event, up to ``MOST_CONFLICTS`` and one.

    """

    def __init__(self, path: Path, source: str, target: str) -> None:
        """Begin at the first event.

        Args:
            path: of the file.
            source: the URL as it may be shown.
            target: likewise.

        """
        self.path = path
        self.source = source
        self.target = target
        self.token: str | None = None
        self.last: str | None = None
        self.conflicts: list[str] = []

    @classmethod
    def read(cls, path: Path, source: str, target: str) -> Self:
        """Return what a file says; a missing or damaged one says nothing.

        Raises:
            AskedWrongly: it is of a copy between other stores.

        """
        state = cls(path, source, target)
        try:
            known = json.loads(path.read_bytes())
            stores = known["from"], known["to"]
            token, last, conflicts = known["token"], known["last"], known["conflicts"]
        except FileNotFoundError:
            return state
        except OSError as error:
            raise CommandFailed(f"{path} can't be read: {error.strerror}; name another with --state") from error
        except (ValueError, KeyError, TypeError):
            return state
        if stores != (source, target):
            raise AskedWrongly(f"{path} is of a copy from {stores[0]} to {stores[1]}; name another file with --state")
        state.token, state.last, state.conflicts = token, last, conflicts
        return state

    def note(self, token: str, last: str, conflicts: list[str]) -> None:
        """Say that everything up to an event is done; in memory, until ``save``."""
        self.token = token
        self.last = last
        self.conflicts += conflicts[: MOST_CONFLICTS + 1 - len(self.conflicts)]

    def forget(self) -> None:
        """Begin at the first event."""
        self.token = self.last = None
        self.conflicts = []

    def save(self) -> None:
        """Make it durable.

        Raises:
            CommandFailed: it can't be written.

        """
        can_go_on = len(self.conflicts) <= MOST_CONFLICTS
        document = {
            "from": self.source,
            "to": self.target,
            "token": self.token if can_go_on else None,
            "last": self.last if can_go_on else None,
            "conflicts": self.conflicts if can_go_on else [],
        }
        disk = Disk()
        try:
            disk.make_directory(self.path.parent)
            disk.replace(self.path, [json.dumps(document, indent=2).encode() + b"\n"])
        except OSError as error:
            raise CommandFailed(f"{self.path} can't be written: {error.strerror}; name another with --state") from error


def default_path(root: Path, source: str, target: str) -> Path:
    """Return where the state of a copy between two stores is kept."""
    digest = hashlib.sha256(f"{source}\n{target}".encode()).hexdigest()
    return root / "copies" / f"{digest[:16]}.json"
