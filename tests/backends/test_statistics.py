"""Counters for what happens often."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.statistics import Histogram


def test_a_value_is_counted_in_its_range() -> None:
    """A bound belongs to the range below it, as in Prometheus."""
    histogram = Histogram([1, 2, 5])
    for value in (0.5, 1, 1.5, 2, 5, 5.1, 1000):
        histogram.observe(value)
    assert histogram.bounds == (1, 2, 5)
    assert histogram.counts == [2, 2, 1, 2]
    assert histogram.sum == pytest.approx(1015.1)


def test_nothing_is_counted_at_first() -> None:
    """One range more than bounds."""
    histogram = Histogram([1, 2])
    assert (histogram.counts, histogram.sum) == ([0, 0, 0], 0)


@given(st.lists(st.integers(-10, 10), max_size=20), st.sets(st.integers(-8, 8), min_size=1))
def test_each_value_is_counted_once(values: list[int], bounds: set[int]) -> None:
    """And cumulated, the counts are the numbers of values up to each bound."""
    histogram = Histogram(sorted(bounds))
    for value in values:
        histogram.observe(value)
    assert sum(histogram.counts) == len(values)
    assert histogram.sum == sum(values)
    for place, bound in enumerate(histogram.bounds):
        assert sum(histogram.counts[: place + 1]) == sum(value <= bound for value in values)


@pytest.mark.parametrize("bounds", [[], [2, 1], [1, 1]])
def test_bounds_must_ascend(bounds: list[float]) -> None:
    """Else a value would have no range, or two."""
    with pytest.raises(ValueError, match="must ascend"):
        Histogram(bounds)
