"""How long to wait before trying again."""

import random
from typing import Final

FIRST_SECONDS: Final = 0.1
LAST_SECONDS: Final = 10.0


class Backoff:
    """Delays that grow with each failure, each drawn from all of its range ("full jitter").

    So of many servers that lost one backend at the same moment no two come back at the same moment.

    Args:
        first: upper end of the first delay, in seconds; each further one has twice the one before.
        last: the upper end that is not passed.

    """

    def __init__(self, first: float = FIRST_SECONDS, last: float = LAST_SECONDS) -> None:
        self._first = first
        self._last = last
        self._end = first

    def next(self) -> float:
        """Return how long to wait after one more failure."""
        end, self._end = self._end, min(self._end * 2, self._last)
        return random.uniform(0, end)  # noqa: S311 - nobody guards a secret with it

    def reset(self) -> None:
        """Begin anew: it has worked."""
        self._end = self._first
