"""What there is to compare with in front of Cassandra: its driver, with the statements of the store, from one process.

64 events are under way at the same time, each as a chain of the driver's callbacks: no asyncio, no HTTP, no validation.
``claims``: an event's three list rows at once, then its claim, as the store does it event by event. ``inserts``: the
same with a plain insert in place of the claim, which can't tell whose event it is. ``grouped``: the rows of all events
that wait are written together, as the store does it; then a claim for each.
"""

import argparse
import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import count
from typing import Any, Final

from cassandra.cluster import Cluster, ResponseFuture, Session
from cassandra.io.libevreactor import LibevConnection
from cassandra.query import BatchStatement, BatchType, PreparedStatement, tuple_factory
from jiter import from_json

from backends.cassandra import layout
from backends.cassandra.options import Options
from backends.cassandra.statements import Statements, prepare
from backends.record import finish_record
from bench.events import events
from bench.official_client import Rate

CLAIM: Final = """INSERT INTO {} (uuid, smrtlink_id, event_type_id, event_type_version, at, writer, arrived, record)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?)"""
_PARTITION_EVENTS: Final = 50_000
Rows = tuple[list[Any], list[Any], list[Any], list[Any]]
"""Of a system's list, of a type's list, of the arrivals; and the claim."""


def rows_of(seed: int) -> Iterator[Rows]:
    """Run through the rows of events without end; a partition of a list is never large."""
    writer = f"driver{seed}"
    for number, original in enumerate(events(seed)):
        event = from_json(original)
        uuid, system = event["uuid"], event["smrtlinkId"]
        kind, version = event["eventTypeId"], event["eventTypeVersion"]
        at = f"{event['createdAt'][:-1]}000000Z"
        arrived = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        record = finish_record(original, at, arrived)
        day, shard, size = at[:10], f"{writer}.{number // _PARTITION_EVENTS}", len(record)
        yield (
            [system, day, shard, at, uuid, kind, version, size],
            [kind, version, day, shard, at, uuid, system, size],
            [day, shard, arrived, uuid, size],
            [uuid, system, kind, version, at, writer, arrived, record.decode()],
        )


class Sender:
    """Keeps a number of events under way."""

    def __init__(self, session: Session, statements: Statements, claim: PreparedStatement, rate: Rate) -> None:
        self.session = session
        self.statements = statements
        self.rate = rate
        self.sent = 0
        self.failed: BaseException | None = None
        self._claim = claim
        self._under_way = 0
        self._lock = threading.Lock()
        self._over = threading.Event()

    def run(self, rows: Iterator[Rows], number: int) -> None:
        """Send, so many events at a time, until the time is over."""
        self._rows = rows
        self._under_way = number
        for _ in range(number):
            self._next()
        self._over.wait()
        if self.failed is not None:
            raise self.failed

    def send(self, query: Any, then: Callable[[], None]) -> None:
        """Send a statement, and call somebody when it is answered."""
        future: ResponseFuture = self.session.execute_async(query)
        future.add_callbacks(lambda _: then(), self._fail)

    def claim(self, row: list[Any]) -> None:
        """Claim an event that has its rows; then comes the next one."""
        self.send(self._claim.bind(row), self._claimed)

    def begin(self, rows: Rows) -> None:
        """Write an event's rows at once, then its claim."""
        by_system, by_type, arrival, claim = rows
        left = count(2, -1)
        written = lambda: self.claim(claim) if next(left) == 0 else None  # noqa: E731 - of this event
        self.send(self.statements.add_by_system.bind(by_system), written)
        self.send(self.statements.add_by_type.bind(by_type), written)
        self.send(self.statements.add_arrival.bind(arrival), written)

    def _claimed(self) -> None:
        self.rate.count(1)
        self.sent += 1
        self._next()

    def _next(self) -> None:
        with self._lock:
            rows = None if self.rate.is_over or self.failed else next(self._rows)
        if rows is not None:
            self.begin(rows)
        else:
            self._end()

    def _end(self) -> None:
        with self._lock:
            self._under_way -= 1
            if self._under_way == 0:
                self._over.set()

    def _fail(self, error: BaseException) -> None:
        self.failed = error
        self._over.set()


class GroupingSender(Sender):
    """Writes the rows of all events together that came while others were written."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._waiting: list[Rows] = []
        self._is_writing = False
        self._gate = threading.Lock()

    def begin(self, rows: Rows) -> None:
        """Write an event's rows with those of the others that wait."""
        with self._gate:
            self._waiting.append(rows)
        self._depart()

    def _depart(self) -> None:
        with self._gate:
            if self._is_writing or not self._waiting:
                return
            group, self._waiting, self._is_writing = self._waiting, [], True
        statements = self.statements
        queries = [statements.add_by_system.bind(rows[0]) for rows in group]
        queries += [_batch(statements.add_by_type, [rows[1] for rows in group])]
        queries += [_batch(statements.add_arrival, [rows[2] for rows in group])]
        left = count(len(queries) - 1, -1)

        def written() -> None:
            if next(left) == 0:
                self._is_writing = False
                for rows in group:
                    self.claim(rows[3])
                self._depart()

        for query in queries:
            self.send(query, written)


def _batch(statement: PreparedStatement, rows: list[list[Any]]) -> BatchStatement:
    batch = BatchStatement(BatchType.UNLOGGED)
    for row in rows:
        batch.add(statement, row)
    return batch


def measure(options: argparse.Namespace) -> dict[str, float]:
    """Send for a time; returns the rate and the processor time of this process for an event, in microseconds."""
    cluster = Cluster(["127.0.0.1"], port=options.port, protocol_version=4, connection_class=LibevConnection)
    try:
        session = cluster.connect()
        session.row_factory = tuple_factory
        of_store = Options(hosts=(("127.0.0.1", options.port),), keyspace=options.keyspace)
        layout.ensure(cluster, session, of_store, read_only=False)
        statements = prepare(session, of_store)
        claim = statements.claim
        if options.kind == "inserts":
            claim = session.prepare(CLAIM.format(layout.name_of(of_store, "claims")))
        rate = Rate(options.warm_up, options.seconds)
        kind = GroupingSender if options.kind == "grouped" else Sender
        sender = kind(session, statements, claim, rate)
        began = time.process_time()
        sender.run(rows_of(options.seed), options.connections)
        spent = time.process_time() - began
        sent = sender.sent
        return {**rate.figures(), "events_sent": sent, "processor_microseconds": spent / sent * 1e6}
    finally:
        cluster.shutdown()


def main() -> None:
    """Run one measurement and print its figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=["claims", "inserts", "grouped"])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--keyspace", required=True)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--warm-up", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=1)
    print(json.dumps(measure(parser.parse_args())))


if __name__ == "__main__":
    main()
