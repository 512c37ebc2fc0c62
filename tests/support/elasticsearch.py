"""What the tests of the Elasticsearch store share."""

from typing import Any, Final, Protocol

from backends.elasticsearch import ElasticsearchStore
from backends.statistics import Histogram

FIRST: Final = "sl_test_event"
OTHER: Final = "sl_other"
EVENT_TYPES: Final[dict[tuple[str, int], dict[str, Any]]] = {
    (FIRST, 1): {"type": "object", "properties": {"n": {"type": "integer"}, "open": {"type": "object"}}},
    (OTHER, 1): {"type": "object", "properties": {"n": {"type": "integer"}}},
}


class MakeStore(Protocol):
    """Makes a store, not opened."""

    def __call__(self, *, patience: float = ..., **options: object) -> ElasticsearchStore:
        """Make it; ``options`` are fields of ``backends.elasticsearch.Options``."""
        ...


def counted(store: ElasticsearchStore) -> dict[str, float]:
    """Return what a store counts, by name; of a histogram, how often."""
    return {
        statistic.name.removeprefix("elasticsearch_"): sum(statistic.value.counts)
        if isinstance(statistic.value, Histogram)
        else statistic.value
        for statistic in store.statistics()
    }
