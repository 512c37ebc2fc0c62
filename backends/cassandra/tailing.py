"""The tail: arrivals in the order of their writers' clocks, and how that can't lose any.

Within one writer, moments of arrival ascend strictly, and its rows are written in their order (``writing``). So for
each writer one moment says what was read of it. A token is these moments, of the writers that were active within
``OVERLAP`` before the newest of them. A tail goes on so much before the newest, and leaves out of each writer what
its moment covers: nothing is shown twice, and nothing is missed whose writer's clock is less than ``OVERLAP`` behind
the others'.

An arrival without a claim may still get it: the tail waits for it, for ``patience`` seconds. Then it closes the uuid
up to that arrival (``claims``), which nobody acknowledges any more. A store that is open for reading only closes
nothing: it ends the tail there, unless the arrival is older than ``OVERLAP``.
"""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from typing import Final

from backends.base import Arrival, Event
from backends.cassandra.claims import Claim, Claims
from backends.cassandra.clock import moment, shifted
from backends.cassandra.connection import Connection
from backends.cassandra.lists import ListName, Row, Span, read_rows
from backends.cassandra.reading import PIECE_BYTES, PIECE_ROWS
from backends.cassandra.shards import ARRIVALS
from backends.errors import StoreUnavailable

OVERLAP: Final = 600.0
PATIENCE: Final = 3.0
_MOMENT: Final = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}000Z"
_TOKEN: Final = re.compile(rf"c1(?:,[0-9a-f]{{12}}={_MOMENT}){{1,1000}}")
_FIRST_PAUSE: Final = 0.01
_LONGEST_PAUSE: Final = 0.2
_ROWS: Final = 500


class Tailing:
    """Runs through the arrivals.

    Args:
        connection: asks.
        claims: reads events, and closes uuids.
        tell_damage: tells whether a record is not what was stored.
        timeout: seconds that each step may take.
        patience: seconds for which an arrival without a claim is waited for.
        read_only: nothing is closed.

    """

    def __init__(
        self,
        connection: Connection,
        claims: Claims,
        tell_damage: Callable[[str, bytes], bool],
        *,
        timeout: float,
        patience: float,
        read_only: bool,
    ) -> None:
        self._connection = connection
        self._claims = claims
        self._tell_damage = tell_damage
        self._timeout = timeout
        self._patience = patience
        self._read_only = read_only

    async def tail(self, token: str | None) -> AsyncIterator[Arrival]:
        """Run through all arrivals behind a token; see ``EventStore.tail``."""
        seen = _read_token(token)
        span = Span()
        now = moment(time.time_ns() // 1000)
        # A clock that is far ahead would let the token pass what others write.
        span = span._replace(high=span.high._replace(at=shifted(now, OVERLAP)))
        if seen:
            newest = max(seen.values())
            if newest > span.high.at:
                raise _foreign(token or "")
            span = span._replace(low=span.low._replace(at=shifted(newest, -OVERLAP)))
        statements = await self._connection.statements(self._deadline())
        arrivals = ListName(ARRIVALS, statements.arrivals, ())
        rows = read_rows(self._connection, statements, [arrivals], span, limit=_ROWS, deadline=self._deadline)
        async with aclosing(rows):
            piece: list[Row] = []
            size = 0
            async for row in rows:
                if row.position.at <= seen.get(_writer_of(row), ""):
                    continue
                if piece and (len(piece) == PIECE_ROWS or size + row.bytes > PIECE_BYTES):
                    async for arrival in self._show(piece, seen):
                        yield arrival
                    piece, size = [], 0
                piece.append(row)
                size += row.bytes
            async for arrival in self._show(piece, seen):
                yield arrival

    async def _show(self, piece: Sequence[Row], seen: dict[str, str]) -> AsyncIterator[Arrival]:
        for row, claim in zip(piece, await self._claimed(piece), strict=True):
            uuid, at = row.position.uuid, row.position.at
            writer = _writer_of(row)
            seen[writer] = at
            if claim is None or (claim.writer, claim.arrived) != (writer, at) or self._tell_damage(uuid, claim.record):
                continue
            event = Event(uuid, *claim[:4], claim.record)
            yield Arrival(event, _make_token(seen))

    async def _claimed(self, piece: Sequence[Row]) -> list[Claim | None]:
        """Return the claim on each uuid, when it is settled whether there is one."""
        until, pause = time.monotonic() + self._patience, _FIRST_PAUSE
        claims: dict[int, Claim] = {}
        waiting = list(range(len(piece)))
        while True:
            deadline = self._deadline()
            uuids = [piece[number].position.uuid for number in waiting]
            found = await asyncio.gather(*(self._claims.read(uuid, deadline) for uuid in uuids))
            claims.update({number: claim for number, claim in zip(waiting, found, strict=True) if claim is not None})
            waiting = [number for number in waiting if number not in claims]
            if not waiting or time.monotonic() > until or self._all_old(piece, waiting):
                break
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
        for number in waiting:
            claim = await self._close(piece[number])
            if claim is not None:
                claims[number] = claim
        return [claims.get(number) for number in range(len(piece))]

    async def _close(self, row: Row) -> Claim | None:
        if not self._read_only:
            return await self._claims.close(row.position.uuid, row.position.at, self._deadline())
        if not _is_old(row):
            raise StoreUnavailable("an event has just arrived and is not stored yet; try again in some minutes")
        return None

    @staticmethod
    def _all_old(piece: Sequence[Row], waiting: Sequence[int]) -> bool:
        return all(_is_old(piece[number]) for number in waiting)

    def _deadline(self) -> float:
        return time.monotonic() + self._timeout


def _is_old(row: Row) -> bool:
    """Tell whether an arrival is so old, by any clock, that nobody is at it any more."""
    return shifted(row.position.at, OVERLAP) < moment(time.time_ns() // 1000)


def _writer_of(row: Row) -> str:
    return row.shard.partition(".")[0]


def _make_token(seen: dict[str, str]) -> str:
    since = shifted(max(seen.values()), -OVERLAP)
    return "c1" + "".join(f",{writer}={at}" for writer, at in seen.items() if at > since)


def _read_token(token: str | None) -> dict[str, str]:
    if token is None:
        return {}
    if _TOKEN.fullmatch(token) is None:
        raise _foreign(token)
    seen = dict(part.split("=") for part in token.split(",")[1:])
    try:
        for at in seen.values():
            shifted(at, 0)
    except ValueError:
        raise _foreign(token) from None
    return seen


def _foreign(token: str) -> ValueError:
    return ValueError(f"not a token of this store: {token[:40]!r}")
