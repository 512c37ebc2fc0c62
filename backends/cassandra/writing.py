"""Writing: list rows first, the claim last.

One group of events after the other writes its rows; meanwhile the next one gathers. So arrivals are written in the
order of their moments, and who has read one has read all before it of the same writer that can ever be acknowledged.
Claims are made one for each event, many at the same time, also of several groups.
"""

import asyncio
import time
from collections.abc import Sequence
from typing import Final

from backends.base import Outcome, Status
from backends.boarding import Group, Passenger, judge, settle_all
from backends.cassandra.claims import Attempt, Claims
from backends.cassandra.clock import ArrivalClock
from backends.cassandra.connection import Connection
from backends.cassandra.counts import Counts
from backends.cassandra.rows import Write, ending_writes, register_writes, row_writes
from backends.cassandra.shards import ARRIVALS, Placed, Shards, system_list, type_list
from backends.cassandra.statements import Statements
from backends.errors import StoreError, StoreUnavailable

_STORED: Final = Outcome(Status.STORED)


class Writing:
    """Settles groups of events.

    Args:
        connection: sends.
        claims: makes claims.
        shards: says where rows go.
        counts: of what happens.
        clock: of arrivals.

    """

    def __init__(
        self, connection: Connection, claims: Claims, shards: Shards, counts: Counts, clock: ArrivalClock
    ) -> None:
        self._connection = connection
        self._claims = claims
        self._shards = shards
        self._counts = counts
        self._clock = clock
        self._turn = asyncio.Lock()

    async def settle(self, group: Group) -> None:
        """Settle each event of a group, whose uuids differ, by its deadline.

        Raises:
            StoreError: what is not settled failed for this.

        """
        try:
            async with asyncio.timeout(group.deadline - time.monotonic()):
                await self._turn.acquire()
        except TimeoutError:
            raise StoreUnavailable("Cassandra has not answered in time") from None
        try:
            statements = await self._connection.statements(group.deadline)
            passengers = group.close()
            self._counts.group_events.observe(len(passengers))
            placed = [self._place(passenger) for passenger in passengers]
            began = time.monotonic()
            errors = await self._write_rows(statements, placed, group.deadline)
            self._counts.rows_seconds.observe(time.monotonic() - began)
        finally:
            self._turn.release()
        attempts = []
        for number, (passenger, each) in enumerate(zip(passengers, placed, strict=True)):
            if number in errors:
                settle_all((passenger,), errors[number])
            else:
                attempts.append(self._claim(passenger, each, group.deadline))
        await asyncio.gather(*attempts)

    def _place(self, passenger: Passenger) -> Placed:
        event, arrived = passenger.event, self._clock.next()
        return Placed(
            event,
            arrived,
            self._shards.place(system_list(event.smrtlink_id), event.at),
            self._shards.place(type_list(event.event_type_id, event.event_type_version), event.at),
            self._shards.place(ARRIVALS, arrived),
        )

    async def _write_rows(
        self, statements: Statements, placed: Sequence[Placed], deadline: float
    ) -> dict[int, StoreError]:
        """Write all rows of a group; return which events lack one, and why."""
        errors = await self._register(statements, placed, deadline)
        able = [number for number in range(len(placed)) if number not in errors]
        endings = ending_writes(statements, self._shards)
        errors.update(await self._write(row_writes(statements, placed, able) + endings, deadline))
        return errors

    async def _register(
        self, statements: Statements, placed: Sequence[Placed], deadline: float
    ) -> dict[int, StoreError]:
        needed = register_writes(statements, self._shards, placed)
        writes = [Write(entry.statement, [entry.values], events) for entry, events in needed.values()]
        errors = await self._write(writes, deadline)
        for identity, (_, events) in needed.items():
            # An entry of which nobody knows whether it was written is written again for the next event.
            if not errors.keys() & set(events):
                self._shards.learn(identity)
        for number, each in enumerate(placed):
            if number not in errors:
                for shard in each.shards():
                    shard.is_registered = True
        return errors

    async def _write(self, writes: Sequence[Write], deadline: float) -> dict[int, StoreError]:
        """Write all; return which events lack something, and why."""
        errors: dict[int, StoreError] = {}
        outcomes = await asyncio.gather(
            *(self._connection.write(write.statement, write.rows, deadline=deadline) for write in writes)
        )
        for write, error in zip(writes, outcomes, strict=True):
            if error is not None:
                errors.update(dict.fromkeys(write.events, error))
        return errors

    async def _claim(self, passenger: Passenger, placed: Placed, deadline: float) -> None:
        event = placed.event
        try:
            claim = await self._claims.make(Attempt(event, self._shards.writer, placed.arrived), deadline)
        except StoreError as error:
            settle_all((passenger,), error)
            return
        if claim is None:
            settle_all((passenger,), _STORED)
            return
        async for _, outcome in judge([(event.record, claim.record)]):
            self._counts.conflicts += outcome.status is Status.CONFLICT
            settle_all((passenger,), outcome)
