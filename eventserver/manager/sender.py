"""What hands an event to one receiver, and how that can fail."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Self

from backends.base import Event


class DeliveryFailed(Exception):
    """It was not taken now; it is tried again.

    Args:
        message: why, for people; holds no secret.
        retry_after: seconds that the receiver asked for.

    """

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class DeliveryRefused(Exception):
    """It was refused for what it is, and would be again.

    Args:
        message: why, for people; holds no secret.
        code: short and stable, such as ``http_422``.

    """

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


class Sender(ABC):
    """One receiver, for the time of an ``async with`` block. A send may be repeated: the receiver knows the uuid."""

    lanes: int = 1
    """How many sends may be under way at a time; the events of one system go one after the other."""
    most_events: int = 1
    """How many events one send may hold."""

    async def __aenter__(self) -> Self:
        """Make ready; nothing is sent, and nothing of the outside is needed."""
        return self

    async def __aexit__(self, *_: object) -> None:  # noqa: B027 - not all have something to close
        """Close the connections."""

    async def collect(self) -> None:  # noqa: B027 - most do not wait
        """Wait, where events are to be collected before the next send; called when there is one."""

    @abstractmethod
    async def send(self, events: Sequence[Event]) -> None:
        """Hand events over; returns when the receiver has taken them all, within a time limit.

        Raises:
            DeliveryFailed: not taken, or nobody knows.
            DeliveryRefused: refused for good.

        """
