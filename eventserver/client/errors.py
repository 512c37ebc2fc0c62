"""Everything that the client raises, and what of it may be tried again.

::

    EventServerError                 anything below; never raised itself
    ├── TemporaryFailure             the same call may succeed later; the client has tried several times already
    │   ├── ServerUnreachable        no whole answer: DNS, connection, TLS, time; what was sent may have arrived
    │   ├── ServerUnavailable        408, 429, 500, 502, 503, 504; ``retry_after`` where the server said when
    │   ├── ServerFull               507: no room for another event, until an operator makes some
    │   ├── SpoolFull                the local spool has no room, or its disk has none
    │   └── SpoolUnavailable         the local spool can't be used: its disk, or another process has it
    └── PermanentFailure             the same call would fail the same way
        ├── EventRefused             400, 413, 422: the event is not valid; ``code`` and ``violations`` say why
        ├── EventConflict            409: another event has this uuid, and stays
        ├── NotFound                 404: there is no such event
        ├── NotAuthorized            401, 403: token or secret are missing or wrong
        ├── RequestRefused           any other 4xx
        └── UnexpectedAnswer         an answer that no event server gives: a redirect, another service, a broken body

Whatever ``send`` raised, sending the same event again is safe: the server knows it by its uuid and keeps it once.
"""

from collections.abc import Sequence
from typing import NamedTuple


class Violation(NamedTuple):
    """One thing that is wrong with an event, and where."""

    pointer: str
    """JSON Pointer (RFC 6901) into the event; the empty string is the whole event."""
    message: str
    """What is wrong there and what would be right."""


class EventServerError(Exception):
    """Base of all errors of the client.

    Attributes:
        status: the HTTP status, where there was an answer.
        code: the server's stable code (``docs/reference/errors.md``), where there was one.
        violations: what is wrong with a refused event.

    """

    def __init__(
        self, message: str, *, status: int | None = None, code: str | None = None, violations: Sequence[Violation] = ()
    ) -> None:
        """Say what happened, in one sentence."""
        super().__init__(message)
        self.status = status
        self.code = code
        self.violations = tuple(violations)


class TemporaryFailure(EventServerError):
    """The same call may succeed later.

    Attributes:
        retry_after: seconds to wait before that, where the server said so.

    """

    retry_after: float | None = None


class ServerUnreachable(TemporaryFailure):
    """There was no whole answer. What was sent may have arrived all the same."""


class ServerUnavailable(TemporaryFailure):
    """The server can't serve now, or has a defect."""


class ServerFull(TemporaryFailure):
    """The server has no room for another event."""


class SpoolFull(TemporaryFailure):
    """The local spool has no room: events come faster than they can be delivered, or the server is away for long."""


class SpoolUnavailable(TemporaryFailure):
    """The local spool can't be used; the message says why."""


class PermanentFailure(EventServerError):
    """The same call would fail the same way."""


class EventRefused(PermanentFailure):
    """The event is not valid."""


class EventConflict(PermanentFailure):
    """Another event has this uuid; that one stays."""


class NotFound(PermanentFailure):
    """There is no such event."""


class NotAuthorized(PermanentFailure):
    """The server does not let this client do that."""


class RequestRefused(PermanentFailure):
    """The server refuses the request as such."""


class UnexpectedAnswer(PermanentFailure):
    """It was answered, but not by an event server."""
