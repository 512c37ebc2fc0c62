"""Errors of the driver, in the terms of the contract."""

from typing import Final

from cassandra import (
    AuthenticationFailed,
    DriverException,
    InvalidRequest,
    OperationTimedOut,
    RequestExecutionException,
    Timeout,
    Unauthorized,
    Unavailable,
)
from cassandra.cluster import NoHostAvailable
from cassandra.connection import ConnectionException
from cassandra.protocol import ErrorMessage

from backends.errors import StorageFull, StoreError, StoreUnavailable

ERRORS: Final = (
    DriverException,
    RequestExecutionException,
    NoHostAvailable,
    ConnectionException,
    ErrorMessage,
    OSError,
)
_FULL: Final = ("disk usage exceeds", "data_disk_usage")
_MISSING: Final = ("unconfigured table", "does not exist", "Keyspace")


class Unreachable(StoreUnavailable):
    """No node takes statements: a new connection is the way to find out when one does."""


class LayoutMissing(StoreUnavailable):
    """A table that was there is gone."""


def problem(error: BaseException) -> StoreError:
    """Return the error that the contract knows for one of the driver's."""
    if isinstance(error, StoreError):
        return error
    if isinstance(error, NoHostAvailable):
        return _no_host(error)
    text = _text(error)
    kind: type[StoreError] = StoreUnavailable
    said = f"Cassandra failed: {text}"
    if any(sign in text for sign in _FULL):
        kind, said = StorageFull, f"Cassandra takes no more: {text}"
    elif isinstance(error, InvalidRequest) and any(sign in text for sign in _MISSING):
        kind, said = LayoutMissing, f"Cassandra has lost a table of the event store: {text}"
    elif isinstance(error, OperationTimedOut | Timeout):
        said = "Cassandra has not answered in time"
    elif isinstance(error, Unavailable):
        said = f"too few nodes of Cassandra are there: {text}"
    elif isinstance(error, Unauthorized | AuthenticationFailed):
        said = f"Cassandra does not allow it: {text}"
    return kind(said)


def _no_host(error: NoHostAvailable) -> StoreError:
    """Look into what each node said: one that answered with an error is there."""
    causes = list(getattr(error, "errors", {}).values())
    for cause in causes:
        if isinstance(cause, ErrorMessage):
            return problem(cause)
        if isinstance(cause, AuthenticationFailed):
            return Unreachable(f"Cassandra refuses the credentials: {_text(cause)}")
    return Unreachable(f"no node of Cassandra can be reached: {_text(causes[0]) if causes else 'none is known'}")


def _text(error: BaseException) -> str:
    """Return what it says on one line, short."""
    said = getattr(error, "message", None) or str(error) or type(error).__name__
    return " ".join(str(said).split())[:300]
