"""What the server answers, as values."""

import json
from dataclasses import dataclass
from typing import Any, NamedTuple

from eventserver.client.errors import Violation


@dataclass(frozen=True, slots=True)
class ReceivedEvent:
    """An event as the server has it: token for token what was sent."""

    text: bytes
    """JSON in UTF-8."""

    @property
    def value(self) -> dict[str, Any]:
        """The event as Python values. Numbers beyond a float's precision are whole only in ``text``."""
        value: dict[str, Any] = json.loads(self.text)
        return value


class Receipt(NamedTuple):
    """What became of an event that was sent."""

    status: str
    """``stored``, ``duplicate`` (it was there already; also after a retry) or ``spooled`` (safe at the server, on its
    way into its store); ``waiting``: safe in this client's own spool."""
    uuid: str
    """Lower case."""
    event: ReceivedEvent
    """What the server has under this uuid; from a client with a spool, what was sent."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one event of many."""

    index: int
    """The place of the event among those that were sent, from 0."""
    status: str
    """``stored``, ``duplicate``, ``spooled``; ``invalid``, ``conflict``: never, as sent; ``unavailable``: not now;
    ``waiting``: safe in this client's own spool."""
    uuid: str | None
    """None where none could be read."""
    code: str | None = None
    detail: str | None = None
    violations: tuple[Violation, ...] = ()

    @property
    def is_taken(self) -> bool:
        """Whether the event is safe."""
        return self.status in {"stored", "duplicate", "spooled", "waiting"}

    @property
    def is_retryable(self) -> bool:
        """Whether sending the same event again may succeed."""
        return self.status == "unavailable"


class Judgement(NamedTuple):
    """Whether the server would take an event."""

    is_valid: bool
    code: str | None = None
    detail: str | None = None
    violations: tuple[Violation, ...] = ()


class BundleMember(NamedTuple):
    """A file or a directory in the archive of a bundle."""

    path: str
    size: int
    """Bytes, unpacked."""
    modified_at: str
    """``2026-11-24T04:02:47Z``."""
    is_directory: bool


class EventType(NamedTuple):
    """A version of an event type that the server knows."""

    event_type_id: str
    event_type_version: int
    title: str
    description: str


class ServerStatus(NamedTuple):
    """What ``GET /status`` tells, in SMRT Link's format."""

    id: str
    message: str
    uptime: int
    """Milliseconds."""
    uuid: str
    """Of this start of the server."""
    version: str
    user: str


def read_violations(errors: Any) -> tuple[Violation, ...]:
    """Read the ``errors`` of a refusal or a verdict."""
    return tuple(Violation(str(error["pointer"]), str(error["message"])) for error in errors or ())


def read_verdict(document: Any) -> Verdict:
    """Read one verdict of a batch."""
    return Verdict(
        document["index"],
        document["status"],
        document["uuid"],
        document.get("code"),
        document.get("detail"),
        read_violations(document.get("errors")),
    )
