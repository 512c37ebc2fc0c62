"""What the tests of the Cassandra store share."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import urlsplit

from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile, Session
from cassandra.concurrent import execute_concurrent
from cassandra.policies import WhiteListRoundRobinPolicy

from backends.cassandra import CassandraStore
from backends.cassandra.layout import TABLES
from backends.statistics import Histogram

_KEYS: Final = {
    "claims": ("uuid",),
    "events_by_system": ("smrtlink_id", "day", "shard"),
    "events_by_type": ("event_type_id", "event_type_version", "day", "shard"),
    "arrivals": ("day", "shard"),
    "event_types": ("part",),
    "months": ("list",),
    "shards": ("list", "month"),
}


@contextmanager
def connected(url: str) -> Iterator[Session]:
    """Connect past the store."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    profile = ExecutionProfile(load_balancing_policy=WhiteListRoundRobinPolicy([parts.hostname]), request_timeout=60)
    cluster = Cluster(
        [parts.hostname],
        port=parts.port or 9042,
        protocol_version=4,
        execution_profiles={EXEC_PROFILE_DEFAULT: profile},
        connect_timeout=30,
        control_connection_timeout=30,
    )
    try:
        yield cluster.connect()
    finally:
        cluster.shutdown()


def wipe(session: Session, keyspace: str) -> None:
    """Delete all events and registers, and leave the tables."""
    for table, key in _KEYS.items():
        columns = ", ".join(key)
        found = list(session.execute(f"SELECT DISTINCT {columns} FROM {keyspace}.{table}"))
        where = " AND ".join(f"{column} = ?" for column in key)
        delete = session.prepare(f"DELETE FROM {keyspace}.{table} WHERE {where}")
        for success, outcome in execute_concurrent(session, [(delete, row) for row in found], concurrency=50):
            assert success, outcome


def rows(session: Session, keyspace: str, table: str) -> list[Any]:
    """Return all rows of a table."""
    assert table in TABLES
    return list(session.execute(f"SELECT * FROM {keyspace}.{table}"))


def counted(store: CassandraStore) -> dict[str, float]:
    """Return what a store counts, by name; of a histogram, how often."""
    return {
        statistic.name.removeprefix("cassandra_"): sum(statistic.value.counts)
        if isinstance(statistic.value, Histogram)
        else statistic.value
        for statistic in store.statistics()
    }


logging.getLogger("cassandra").setLevel(logging.ERROR)
