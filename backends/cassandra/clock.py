"""The moments of arrival."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECONDS: Final = 1_000_000


class ArrivalClock:
    """A clock that never gives one moment twice, nor an earlier one after a later one."""

    def __init__(self, now: Callable[[], int] = time.time_ns) -> None:
        """Ask ``now`` for nanoseconds since 1970."""
        self._now = now
        self._last = 0

    def next(self) -> str:
        """Return the moment, in the form of ``Event.at``, to microseconds."""
        self._last = max(self._last + 1, self._now() // 1000)
        return moment(self._last)


def moment(microseconds: int) -> str:
    """Return a moment since 1970 in the form of ``Event.at``."""
    seconds, fraction = divmod(microseconds, _MICROSECONDS)
    return f"{(_EPOCH + timedelta(seconds=seconds)).strftime('%Y-%m-%dT%H:%M:%S')}.{fraction:06}000Z"


def shifted(at: str, seconds: float) -> str:
    """Return a moment so many seconds later, or earlier."""
    whole = datetime.fromisoformat(f"{at[:26]}+00:00") + timedelta(seconds=seconds)
    return f"{whole.strftime('%Y-%m-%dT%H:%M:%S.%f')}000Z"
