"""What the store counts."""

from backends.statistics import Histogram, Statistic


class Counts:
    """Plain counters, read when metrics are scraped."""

    def __init__(self) -> None:
        self.bulk_events = Histogram((1, 3, 10, 30, 100, 300, 1000, 3000))
        self.bulk_seconds = Histogram((0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10))
        self.retries = 0
        self.as_is = 0
        self.conflicts = 0
        self.taken_over = 0
        self.damaged = 0
        self.refreshes = 0

    def describe(self) -> list[Statistic]:
        """Return them ready to be shown."""
        return [
            Statistic("elasticsearch_bulk_events", "Events that shared a bulk request", self.bulk_events),
            Statistic("elasticsearch_bulk_seconds", "How long a bulk request took", self.bulk_seconds),
            Statistic("elasticsearch_retries_total", "Requests and events that were sent again", self.retries),
            Statistic("elasticsearch_as_is_total", "Events that were kept as text, not indexed", self.as_is),
            Statistic("elasticsearch_conflicts_total", "Events whose uuid had another content", self.conflicts),
            Statistic("elasticsearch_claims_taken_over_total", "Claims without an event, taken over", self.taken_over),
            Statistic("elasticsearch_damaged_total", "Documents read whose checksum was wrong", self.damaged),
            Statistic("elasticsearch_refreshes_total", "Refreshes that lists asked for", self.refreshes),
        ]
