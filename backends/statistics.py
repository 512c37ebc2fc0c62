"""Plain counters for what happens often: no locks, no labels, read when somebody asks."""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple


class Histogram:
    """How often values fell into each of some ranges.

    One thread observes. Others may read at any moment; ``counts`` and ``sum`` may then differ by the observation
    under way.

    Attributes:
        bounds: the upper ends of the ranges, ascending, inclusive (as Prometheus's ``le``).
        counts: observations by range, not cumulative, one more than bounds: the last is of what was above them all.
        sum: sum of all values.

    """

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        """Begin with nothing observed.

        Args:
            bounds: upper ends of the ranges, strictly ascending, at least one.

        Raises:
            ValueError: they do not ascend, or there are none.

        """
        if not bounds or any(lower >= upper for lower, upper in pairwise(bounds)):
            msg = f"the bounds of a histogram must ascend: {bounds}"
            raise ValueError(msg)
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value


class Statistic(NamedTuple):
    """One thing that is counted, ready to be shown."""

    name: str
    """Lower case with underscores, its unit at the end: ``index_runs``, ``sync_seconds``; ``..._total`` only grows."""
    description: str
    """A sentence without a full stop."""
    value: float | Histogram
