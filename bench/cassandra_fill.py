"""Fill a keyspace with events of one system, as the store writes them but for the claims.

Those are plain inserts, which take a quarter of the time: all uuids are new, and nobody else writes.
"""

import argparse
import asyncio
import json
import time
from collections.abc import Iterator
from itertools import islice

import uvloop
from cassandra.query import PreparedStatement

from backends.base import Event
from backends.boarding import Admission
from backends.cassandra import layout
from backends.cassandra.claims import Attempt, Claim, Claims
from backends.cassandra.clock import ArrivalClock
from backends.cassandra.connection import Connection
from backends.cassandra.counts import Counts
from backends.cassandra.options import Options
from backends.cassandra.shards import Shards
from backends.cassandra.writing import Writing
from backends.record import finish_record, read_event
from bench.events import events
from bench.official_driver import CLAIM

SEED = 77
GROUP = 500
UNDER_WAY = 2
SECONDS = 60.0
RECEIVED = "2026-11-27T12:00:00.000000Z"


class PlainClaims(Claims):
    """Claims without a condition."""

    statement: PreparedStatement

    async def make(self, attempt: Attempt, deadline: float) -> Claim | None:
        """Insert the claim."""
        event = attempt.event
        keys = [event.uuid, event.smrtlink_id, event.event_type_id, event.event_type_version, event.at]
        values = [*keys, attempt.writer, attempt.arrived, event.record.decode()]
        error = await self._connection.write(self.statement, [values], deadline=deadline)
        if error is not None:
            raise error
        return None


def groups(count: int) -> Iterator[list[Event]]:
    """Run through so many events of one system, a group at a time."""
    source = (
        read_event(finish_record(original, _instant(original), RECEIVED))
        for original in islice(events(SEED, systems=1), count)
    )
    while group := list(islice(source, GROUP)):
        yield group


def _instant(original: bytes) -> str:
    """Return what ``createdAt`` says, which is in UTC with three digits."""
    created = original.partition(b'"createdAt":"')[2]
    return f"{created[:23].decode()}000000Z"


async def fill(port: int, keyspace: str, count: int) -> dict[str, float]:
    """Write them; returns the rate."""
    options = Options(hosts=(("127.0.0.1", port),), keyspace=keyspace, timeout=SECONDS)
    counts = Counts()
    connection = Connection(options, counts, read_only=False)
    claims = PlainClaims(connection, counts)
    await connection.open(time.monotonic() + SECONDS)
    link = await connection._linked(time.monotonic() + SECONDS)  # noqa: SLF001 - a statement that the store has not
    claims.statement = link.session.prepare(CLAIM.format(layout.name_of(options, "claims")))
    writing = Writing(connection, claims, Shards(options.shard_rows, counts), counts, ArrivalClock())
    admission = Admission(writing.settle, max_events=GROUP, max_bytes=2**22, timeout=SECONDS, backend="Cassandra")
    source, began = groups(count), time.monotonic()

    async def send() -> None:
        for group in source:
            await admission.put(group)

    await asyncio.gather(*(send() for _ in range(UNDER_WAY)))
    rate = count / (time.monotonic() - began)
    await admission.finish()
    await connection.close()
    return {"events_per_second": rate}


def main() -> None:
    """Fill, and print the rate as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--keyspace", required=True)
    parser.add_argument("--events", type=int, required=True)
    options = parser.parse_args()
    print(json.dumps(uvloop.run(fill(options.port, options.keyspace, options.events))))


if __name__ == "__main__":
    main()
