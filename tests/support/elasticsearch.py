"""What the tests of the Elasticsearch store share."""

import asyncio
import json
import urllib.request
from typing import Any, Final, Protocol

from backends.base import Event, EventStore, Outcome, Status
from backends.elasticsearch import ElasticsearchStore
from backends.errors import StoreUnavailable
from backends.statistics import Histogram

FIRST: Final = "sl_test_event"
OTHER: Final = "sl_other"
EVENT_TYPES: Final[dict[tuple[str, int], dict[str, Any]]] = {
    (FIRST, 1): {"type": "object", "properties": {"n": {"type": "integer"}, "open": {"type": "object"}}},
    (OTHER, 1): {"type": "object", "properties": {"n": {"type": "integer"}}},
}


def send(url: str, method: str, path: str, body: bytes) -> Any:
    """Send bytes as they are, and return the decoded answer."""
    headers = {"Content-Type": "application/x-ndjson" if path.endswith("_bulk") else "application/json"}
    request = urllib.request.Request(url + path, data=body, headers=headers, method=method)
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as answer:
        return json.loads(answer.read())


def wipe(url: str, prefix: str) -> bool:
    """Delete all events and claims of a store, and leave its indices; tell whether that was all."""
    names = f"{prefix},{prefix}-claims"
    send(url, "POST", f"/{names}/_refresh?ignore_unavailable=true", b"")
    search = f"/{names}/_search?ignore_unavailable=true&size=1000&_source=false&filter_path=hits.hits"
    hits = send(url, "GET", search, b"{}").get("hits", {}).get("hits", [])
    lines = [json.dumps({"delete": {"_index": hit["_index"], "_id": hit["_id"]}}) for hit in hits]
    if lines:
        send(url, "POST", "/_bulk", ("\n".join(lines) + "\n").encode())
    return len(hits) < 1000


async def put_until_taken(store: EventStore, event: Event) -> None:
    """Put an event again and again, until it is there."""
    while True:
        try:
            (outcome,) = await store.put([event])
        except StoreUnavailable:
            await asyncio.sleep(0.1)
        else:
            assert outcome in (Outcome(Status.STORED), Outcome(Status.DUPLICATE, event.record))
            return


class MakeStore(Protocol):
    """Makes a store, not opened."""

    def __call__(self, *, patience: float = ..., read_only: bool = ..., **options: object) -> ElasticsearchStore:
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
