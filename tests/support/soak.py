"""How long the soak takes: ``SOAK_SHARE`` says which share of its full length (1) is asked for."""

import os
from typing import Final

SHARE: Final = float(os.environ.get("SOAK_SHARE", "1"))
PROFILE: Final = "soak"
"""The hypothesis profile under which properties and models are tried more often."""
_FACTOR: Final = 50


def share_of(full: int) -> int:
    """Return the share of a full number that is asked for, at least 1."""
    return max(1, round(full * SHARE))


def more_often(times: int) -> int:
    """Return how often the soak tries what the tests try so many times: 50 times as often, or its share of that."""
    return max(times, round(times * _FACTOR * SHARE))
