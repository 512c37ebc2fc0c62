"""What the store counts."""

from backends.statistics import Histogram, Statistic


class Counts:
    """Plain counters, read when metrics are scraped."""

    def __init__(self) -> None:
        self.group_events = Histogram((1, 3, 10, 30, 100, 300, 1000))
        self.rows_seconds = Histogram((0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10))
        self.claim_seconds = Histogram((0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10))
        self.unknown = 0
        self.conflicts = 0
        self.shards = 0
        self.passed = 0
        self.damaged = 0
        self.connects = 0

    def describe(self) -> list[Statistic]:
        """Return them ready to be shown."""
        return [
            Statistic("cassandra_group_events", "Events whose list rows were written together", self.group_events),
            Statistic("cassandra_rows_seconds", "How long writing the list rows of a group took", self.rows_seconds),
            Statistic("cassandra_claim_seconds", "How long a claim (lightweight transaction) took", self.claim_seconds),
            Statistic("cassandra_unknown_total", "Claims of unknown outcome, resolved by a serial read", self.unknown),
            Statistic("cassandra_conflicts_total", "Events whose uuid had another content", self.conflicts),
            Statistic("cassandra_shards_total", "Partitions of lists that were begun", self.shards),
            Statistic("cassandra_passed_total", "Arrivals without a claim, closed and passed by a tail", self.passed),
            Statistic("cassandra_damaged_total", "Records read whose checksum was wrong", self.damaged),
            Statistic("cassandra_connects_total", "How often the cluster was connected to", self.connects),
        ]
