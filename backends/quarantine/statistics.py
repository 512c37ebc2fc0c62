"""What a quarantine counts, from its start: plain numbers, read when metrics are scraped."""

from collections import Counter


class QuarantineStatistics:
    """Counters of one quarantine.

    Attributes:
        kept: entries added, by code.
        repeated: arrivals of bytes that were there already, by code.
        evicted: entries that gave way to the limits of size, number and age, by code.
        dropped: entries dropped on demand or after a replay, by code.
        damaged_lines: lines found at the start that are damaged, or of a newer release; they are left as they are.

    """

    def __init__(self) -> None:
        """Begin at zero."""
        self.kept: Counter[str] = Counter()
        self.repeated: Counter[str] = Counter()
        self.evicted: Counter[str] = Counter()
        self.dropped: Counter[str] = Counter()
        self.damaged_lines = 0
