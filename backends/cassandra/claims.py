"""Claims: who has a uuid. Made by a lightweight transaction; one of unknown outcome is resolved by a serial read.

A claim carries the writer's name and the moment of arrival, which no other attempt has. So whoever finds a claim knows
whether it is its own, made by an attempt whose answer got lost.

A tail that comes upon an arrival without a claim *closes* the uuid up to that arrival: a row without a record, which
says up to which arrival, and with a mark that no other closing has. No attempt up to that arrival gets the uuid any
more, however long its statement was under way; a later one takes the place of exactly the row that it found. So what
a tail has passed is never acknowledged.
"""

import secrets
import time
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from backends.base import Event
from backends.cassandra.connection import Connection
from backends.cassandra.counts import Counts
from backends.errors import StorageFull, StoreError, StoreUnavailable

_ATTEMPT_SHARE: Final = 0.6
_APPLIED: Final = "[applied]"


class Attempt(NamedTuple):
    """What one attempt to store an event would make the claim."""

    event: Event
    writer: str
    arrived: str


class Claim(NamedTuple):
    """Who has a uuid."""

    smrtlink_id: str
    event_type_id: str
    event_type_version: int
    at: str
    writer: str
    arrived: str
    record: bytes


class Claims:
    """Makes and reads claims."""

    def __init__(self, connection: Connection, counts: Counts) -> None:
        """Ask over a connection."""
        self._connection = connection
        self._counts = counts

    async def make(self, attempt: Attempt, deadline: float) -> Claim | None:
        """Claim the uuid of an event; return None when it is this attempt's now, else the claim that is there.

        Raises:
            StoreError: it is not this attempt's now; whether it can still become so is unknown.

        """
        closed: str | None = None
        while True:
            found = await self._try(attempt, closed, deadline)
            if found is None:
                return None
            claim = _claim_of(found)
            if claim is not None:
                is_own = (claim.writer, claim.arrived) == (attempt.writer, attempt.arrived)
                return None if is_own else claim
            closed = found["closed"]
            if _closed_up_to(closed) >= attempt.arrived:
                raise StoreUnavailable("it took so long to store the event that a reader has passed it")

    async def _try(self, attempt: Attempt, closed: str | None, deadline: float) -> dict[str, Any] | None:
        """Return None if it is applied, else the row that is there; one without a record if it may be tried again."""
        event = attempt.event
        statements = await self._connection.statements(deadline)
        values = [
            event.smrtlink_id,
            event.event_type_id,
            event.event_type_version,
            event.at,
            attempt.writer,
            attempt.arrived,
            event.record.decode(),
        ]
        began = time.monotonic()
        try:
            # Of what it may take, a part is left for finding out what became of it.
            limit = began + (deadline - began) * _ATTEMPT_SHARE
            if closed is None:
                row = await self._connection.change(statements.claim, [event.uuid, *values], deadline=limit)
            else:
                values += [event.uuid, closed]
                row = await self._connection.change(statements.claim_closed, values, deadline=limit)
        except StorageFull:
            raise
        except StoreError as error:
            return await self._resolve(attempt, closed, error, deadline)
        self._counts.claim_seconds.observe(time.monotonic() - began)
        return None if row[_APPLIED] else row

    async def _resolve(
        self, attempt: Attempt, closed: str | None, error: StoreError, deadline: float
    ) -> dict[str, Any] | None:
        self._counts.unknown += 1
        statements = await self._connection.statements(deadline)
        row = await self._connection.read_serially(statements.read_claim, [attempt.event.uuid], deadline=deadline)
        if row is not None and (row["record"] is not None or row["closed"] != closed):
            return row
        # It was not applied; whether a node still has it before it, nobody knows.
        raise StoreUnavailable(str(error)) from error

    async def close(self, uuid: str, arrived: str, deadline: float) -> Claim | None:
        """Make sure that no attempt up to an arrival gets the uuid, unless one has it: return its claim then.

        Raises:
            StoreError: it is unknown whether that was done.

        """
        statements = await self._connection.statements(deadline)
        while True:
            rows = await self._connection.read(statements.read_claim, [uuid], deadline=deadline)
            claim, closed = (_claim(rows[0]), rows[0][-1]) if rows else (None, None)
            if claim is not None or _closed_up_to(closed) >= arrived:
                return claim
            mark = f"{arrived} {secrets.token_hex(8)}"
            row = await self._connection.change(statements.close, [mark, uuid, closed], deadline=deadline)
            if row[_APPLIED]:
                self._counts.passed += 1
                return None

    async def read(self, uuid: str, deadline: float) -> Claim | None:
        """Return the claim on a uuid."""
        statements = await self._connection.statements(deadline)
        rows = await self._connection.read(statements.read_claim, [uuid], deadline=deadline)
        return _claim(rows[0]) if rows else None

    async def read_record(self, uuid: str, deadline: float) -> bytes | None:
        """Return the record of the event that has a uuid."""
        statements = await self._connection.statements(deadline)
        rows = await self._connection.read(statements.read_record, [uuid], deadline=deadline)
        return rows[0][0].encode() if rows and rows[0][0] is not None else None


def _closed_up_to(closed: str | None) -> str:
    return "" if closed is None else closed.partition(" ")[0]


def _claim(row: Sequence[Any]) -> Claim | None:
    *keys, record, _ = row
    return None if record is None else Claim._make((*keys, record.encode()))


def _claim_of(row: dict[str, Any]) -> Claim | None:
    record = row.get("record")
    return None if record is None else Claim._make((*(row[name] for name in Claim._fields[:-1]), record.encode()))
