"""What there is to compare with in front of Elasticsearch: its official Python client, as its guide uses it.

``create`` sends one event a request, with so many at the same time; ``bulk`` is ``async_bulk`` with 1,000 a request.
Both run on uvloop; the documents are made before the client gets them, and that time counts as little here as in the
load generator.
"""

import argparse
import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

import uvloop
from elasticsearch import AsyncElasticsearch
from elasticsearch.helpers import async_bulk
from jiter import from_json

from bench.events import events

BATCH: Final = 1_000


class Rate:
    """Events a second, without those of the warm-up."""

    def __init__(self, warm_up: float, seconds: float) -> None:
        now = time.perf_counter()
        self.begin = now + warm_up
        self.end = self.begin + seconds
        self._counted = 0
        self._first = self._last = 0.0

    @property
    def is_over(self) -> bool:
        """Whether nothing more is to be sent."""
        return time.perf_counter() >= self.end

    def count(self, number: int) -> None:
        """Count so many events that were acknowledged now; the first answer after the warm-up begins the time."""
        now = time.perf_counter()
        if now < self.begin:
            return
        if not self._first:
            self._first = now
        else:
            self._counted += number
        self._last = now

    def figures(self) -> dict[str, float]:
        """Return what was measured."""
        return {"events_per_second": self._counted / (self._last - self._first)}


def _documents(seed: int) -> Iterator[dict[str, Any]]:
    return (from_json(event) for event in events(seed))


async def create(client: AsyncElasticsearch, index: str, seed: int, connections: int, rate: Rate) -> None:
    """Create documents, so many at the same time."""
    documents = _documents(seed)

    async def send() -> None:
        while not rate.is_over:
            document = next(documents)
            await client.create(index=index, id=document["uuid"], document=document)
            rate.count(1)

    await asyncio.gather(*(send() for _ in range(connections)))


async def bulk(client: AsyncElasticsearch, index: str, seed: int, rate: Rate) -> None:
    """Let ``async_bulk`` have all documents, as one stream."""

    async def actions() -> AsyncIterator[dict[str, Any]]:
        for sent, document in enumerate(_documents(seed)):
            if sent % BATCH == 0:
                # It asks for the next one when the thousand before are answered.
                rate.count(BATCH)
                if rate.is_over:
                    return
            yield {"_op_type": "create", "_index": index, "_id": document["uuid"], "_source": document}

    await async_bulk(client, actions(), chunk_size=BATCH)


async def _main(options: argparse.Namespace) -> dict[str, float]:
    client = AsyncElasticsearch(options.url, connections_per_node=options.connections)
    try:
        rate = Rate(options.warm_up, options.seconds)
        if options.kind == "create":
            await create(client, options.index, options.seed, options.connections, rate)
        else:
            await bulk(client, options.index, options.seed, rate)
        return rate.figures()
    finally:
        await client.close()


def main() -> None:
    """Run one measurement and print its figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=["create", "bulk"])
    parser.add_argument("--url", required=True)
    parser.add_argument("--index", required=True)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--warm-up", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=1)
    print(json.dumps(uvloop.run(_main(parser.parse_args()))))


if __name__ == "__main__":
    main()
