"""How a spool is, for people and for metrics."""

from datetime import UTC, datetime
from typing import NamedTuple

from backends.statistics import Statistic


class SpoolState(NamedTuple):
    """What there is to know of a spool."""

    is_up: bool
    """Whether the backend takes events."""
    away_seconds: float
    """For how long it has not."""
    problem: str | None
    """Why it does not."""
    events: int
    """How many wait."""
    bytes: int
    """Of their records."""
    max_bytes: int
    oldest: str | None
    """``@received`` of the one that has waited longest, ``YYYY-MM-DDTHH:MM:SS.ffffffZ``."""
    age_seconds: float
    """Since that one arrived; 0 when none waits."""
    drained: int
    """How many have gone to the backend since the start."""
    drain_rate: float
    """How many go in a second, of late."""


def age_of(received: str | None) -> float:
    """Return the seconds since a moment (``@received``); 0 for none."""
    if received is None:
        return 0.0
    return max(0.0, (datetime.now(UTC) - datetime.fromisoformat(received)).total_seconds())


def describe(state: SpoolState) -> list[Statistic]:
    """Return it as statistics."""
    return [
        Statistic("up", "Whether the backend takes events", int(state.is_up)),
        Statistic("spool_events", "Events that wait in the spool", state.events),
        Statistic("spool_bytes", "Size of the events that wait in the spool", state.bytes),
        Statistic("spool_max_bytes", "Largest size of the events that may wait", state.max_bytes),
        Statistic("spool_age_seconds", "Time since the arrival of the event that waits longest", state.age_seconds),
        Statistic("spool_drained_total", "Events that went from the spool to the backend", state.drained),
        Statistic("spool_drain_rate", "Events a second that go from the spool to the backend", state.drain_rate),
    ]
