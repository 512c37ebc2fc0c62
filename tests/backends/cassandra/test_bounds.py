"""No partition grows beyond what Cassandra bears, whatever clocks the senders have: 100,000 rows and 100 MB.

The arithmetic, for the default of 90,000 rows a partition:

- A list's row is its key and where its event belongs. The longest one (an event type of 100 characters) has less than
  250 characters in its columns; with what Cassandra adds for each row and cell it stays under 500 bytes, so a partition
  stays under 45 MB.
- 300,000 events of one createdAt are four partitions of their system's list, four of their type's.
- 1,000 events/s of one system are 86.4 million rows a day: 960 partitions, a new one each 90 s. A month has 29,760 of
  them at most, each one row of its month's register: one partition of 29,760 rows, under 10 MB.
- A claim is one row by itself: an event has 1 MiB at most.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import islice

import pytest
from cassandra.cluster import Session

from backends.base import Event, Outcome, Query, Status
from backends.cassandra.counts import Counts
from backends.cassandra.options import SHARD_ROWS
from backends.cassandra.shards import Shards, system_list
from support.cassandra import rows
from support.events import AT, SYSTEM, make_event
from support.paging import walk
from support.soak import share_of
from tests.backends.cassandra.conftest import MakeStore

MOST_ROWS = 100_000
MOST_BYTES = 100 * 1000 * 1000
ROW_BYTES = 500
"""Of a list's row at most: 250 characters, and what the server adds for each of its cells."""
ROW_CHARACTERS = 250
LISTS = {
    "events_by_system": ("smrtlink_id", "day", "shard"),
    "events_by_type": ("event_type_id", "event_type_version", "day", "shard"),
    "arrivals": ("day", "shard"),
    "shards": ("list", "month"),
    "months": ("list",),
}


def test_300_000_events_of_one_moment_are_parted() -> None:
    """And so are those of any other: a partition takes its number of rows, then the next one begins."""
    shards = Shards(SHARD_ROWS, Counts())
    sizes = Counter(shards.place(system_list(SYSTEM), AT).name for _ in range(300_000))
    assert sorted(sizes.values()) == [30_000, SHARD_ROWS, SHARD_ROWS, SHARD_ROWS]
    assert SHARD_ROWS < MOST_ROWS
    assert SHARD_ROWS * ROW_BYTES < MOST_BYTES


def test_a_day_of_a_thousand_events_a_second_is_parted() -> None:
    """The register of the month that it lies in stays within the same bounds."""
    a_day = 1_000 * 86_400 // SHARD_ROWS
    assert a_day == 960
    assert 31 * a_day < MOST_ROWS
    assert 31 * a_day * ROW_BYTES < MOST_BYTES


async def fill(make: MakeStore, session: Session, keyspace: str, events: int, shard_rows: int) -> dict[str, int]:
    """Store events of one createdAt; return how many rows the largest partition of each table has."""
    type_id = "t" * 100
    async with make(shard_rows=shard_rows, timeout=60) as store:
        several: Sequence[Event]
        numbers = iter(range(events))
        while several := [make_event(event_type_id=type_id, message={"n": number}) for number in islice(numbers, 1000)]:
            assert await store.put(several) == [Outcome(Status.STORED)] * len(several)
        for query in (Query(smrtlink_id=SYSTEM), Query(event_type_id=type_id, descending=True), Query()):
            pages = await walk(store, query, limit=1000)
            records = [record for page in pages for record in page.records]
            assert len(records) == len(set(records)) == events
            assert max(len(page.records) for page in pages) == 1000
    largest = {}
    for table, key in LISTS.items():
        found = await asyncio.to_thread(rows, session, keyspace, table)
        sizes = Counter(tuple(getattr(row, column) for column in key) for row in found)
        largest[table] = max(sizes.values())
        assert max(len("".join(map(str, row))) for row in found) < ROW_CHARACTERS
    return largest


async def test_the_tables_are_parted_so(make: MakeStore, session: Session, keyspace: str) -> None:
    """On a real Cassandra, a hundredth of it: each list is whole, in both orders, over all of its partitions."""
    largest = await fill(make, session, keyspace, 3_000, shard_rows=900)
    assert largest == {"events_by_system": 900, "events_by_type": 900, "arrivals": 900, "shards": 4, "months": 1}


@pytest.mark.soak
@pytest.mark.timeout(3600)
async def test_300_000_events_of_one_moment(
    make: MakeStore, session: Session, keyspace: str, soak_result: Callable[[str], None]
) -> None:
    """In full, with the partitions that a server has."""
    events = share_of(300_000)
    largest = await fill(make, session, keyspace, events, SHARD_ROWS)
    assert max(largest.values()) <= SHARD_ROWS
    soak_result(f"Cassandra: {events:,} events of one createdAt; rows of the largest partition: {largest}")
