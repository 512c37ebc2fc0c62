"""Which entries go when there is no more room: from the largest groups first, in each the oldest."""

import numpy as np
from numpy.typing import NDArray


def choose_victims(
    groups: NDArray[np.int64], sequences: NDArray[np.int64], weights: NDArray[np.int64], excess: int
) -> NDArray[np.int64]:
    """Choose what to evict, so that one sender's flood pushes out that flood and nothing else.

    The largest group shrinks until it is as large as the next one, then both shrink, and so on: all groups above a
    certain level are cut down to it. In each group the lowest sequences go first.

    Args:
        groups: for each entry a number that stands for its group.
        sequences: for each entry its place in the order of arrival.
        weights: what each entry takes.
        excess: how much must go.

    Returns:
        Positions in the arguments; together they weigh at least ``excess``, or they are all that there is.

    """
    if not len(groups) or excess <= 0:
        return np.zeros(0, np.int64)
    order = np.lexsort((sequences, groups))
    weights = weights[order].astype(np.int64)
    starts = np.concatenate(([0], np.flatnonzero(np.diff(groups[order])) + 1))
    sizes = np.add.reduceat(weights, starts)
    surplus = np.maximum(sizes - _level(sizes, excess), 0)
    before = np.cumsum(weights) - weights
    lengths = np.diff(np.append(starts, len(order)))
    before_in_group = before - np.repeat(before[starts], lengths)
    victims: NDArray[np.int64] = order[before_in_group < np.repeat(surplus, lengths)]
    return victims


def _level(sizes: NDArray[np.int64], excess: int) -> int:
    """Return the highest level for which what stands above it, in all groups together, is at least the excess."""
    largest_first = np.sort(sizes)[::-1]
    # If the first n groups are cut to one level, it is this (rounded down); it fits when the next group is below it.
    levels = (np.cumsum(largest_first) - excess) // np.arange(1, len(sizes) + 1)
    fits = np.flatnonzero(levels >= np.append(largest_first[1:], 0))
    return int(levels[fits[0]]) if len(fits) else 0
