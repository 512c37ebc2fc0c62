"""Events in flight share ``_bulk`` calls, the way the log's writers share a sync.

An event that finds a free call leaves at once, with all others of this turn of the event loop. While as many calls are
under way as may be, those that come meanwhile gather for the next one. So nothing waits while there is little to do,
and calls grow with the load by themselves.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import chain
from math import ceil
from typing import Final, NamedTuple

from backends.elasticsearch.connection import NDJSON, Connection, ConnectionFailed, Pauses, Transient
from backends.elasticsearch.counts import Counts
from backends.elasticsearch.options import Options

_FILTER: Final = "errors,items.*.status,items.*.error.type,items.*.error.reason"
_TOO_LARGE: Final = 413


class Item(NamedTuple):
    """What became of one action of a ``_bulk`` call."""

    status: int
    kind: str = ""
    reason: str = ""


_DONE: Final = Item(201)


class Bulk:
    """Sends ``_bulk`` calls, a bounded number at the same time."""

    def __init__(self, connection: Connection, options: Options, counts: Counts) -> None:
        self._connection = connection
        self._counts = counts
        self._free_calls = asyncio.Semaphore(options.bulk_calls)

    @asynccontextmanager
    async def call(self, deadline: float) -> AsyncIterator[None]:
        """Wait for a free call, and take it for the time of the block.

        Raises:
            Transient: there was none in time.

        """
        try:
            async with asyncio.timeout(deadline - time.monotonic()):
                await self._free_calls.acquire()
        except TimeoutError:
            raise Transient("Elasticsearch has not answered in time") from None
        try:
            yield
        finally:
            self._free_calls.release()

    async def send(self, units: Sequence[bytes], actions: int, *, deadline: float) -> list[list[Item]]:
        """Send actions and return what became of each; in a block of ``call``.

        Args:
            units: lines of the body, with their ends, that stay together.
            actions: how many actions each unit has.
            deadline: a moment of ``time.monotonic``.

        Raises:
            Transient: no answer, or none that says what became of them.
            StoreError: refused as a whole.

        """
        # Rounded up: what is made of a target is kept for the next one that is the same.
        milliseconds = max(1, ceil((deadline - time.monotonic()) * 10)) * 100
        target = f"/_bulk?require_alias=true&timeout={milliseconds}ms&filter_path={_FILTER}"
        started = time.perf_counter()
        answer = await self._connection.send("POST", target, b"".join(units), deadline=deadline, mimetype=NDJSON)
        if answer.status == _TOO_LARGE:
            return await self._send_halves(units, actions, deadline)
        if not answer.ok:
            raise answer.problem()
        self._counts.bulk_seconds.observe(time.perf_counter() - started)
        self._counts.bulk_events.observe(len(units))
        if answer.body.startswith(b'{"errors":false'):
            return [[_DONE] * actions] * len(units)
        items = [_read_item(*item.values()) for item in answer.value()["items"]]
        if len(items) != len(units) * actions:
            raise Transient("Elasticsearch answered for other documents than it was sent")
        return [items[start : start + actions] for start in range(0, len(items), actions)]

    async def send_again(self, units: Sequence[bytes], actions: int, *, deadline: float) -> list[list[Item]]:
        """Send what may be done twice, again while Elasticsearch is overloaded; takes a call by itself.

        Raises:
            StoreError: as ``send``.

        """
        pauses = Pauses(deadline)
        while True:
            try:
                async with self.call(deadline):
                    return await self.send(units, actions, deadline=deadline)
            except ConnectionFailed:
                raise
            except Transient as error:
                self._counts.retries += 1
                await pauses.wait(error)

    async def _send_halves(self, units: Sequence[bytes], actions: int, deadline: float) -> list[list[Item]]:
        if len(units) == 1:
            reason = f"it takes no request of {len(units[0])} bytes; its http.max_content_length should be larger"
            return [[Item(_TOO_LARGE, "too_large", reason)] * actions]
        middle = len(units) // 2
        first = await self.send(units[:middle], actions, deadline=deadline)
        return list(chain(first, await self.send(units[middle:], actions, deadline=deadline)))


def _read_item(item: dict[str, object]) -> Item:
    error = item.get("error")
    if not isinstance(error, dict):
        return Item(int(str(item["status"])))
    return Item(int(str(item["status"])), str(error.get("type")), str(error.get("reason")))
