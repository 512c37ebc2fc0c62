"""Events in flight share ``_bulk`` calls, the way the log's writers share a sync.

An event that finds a free call leaves at once, with all others of this turn of the event loop. While as many calls are
under way as may be, those that come meanwhile gather for the next one. So nothing waits while there is little to do,
and calls grow with the load by themselves.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from itertools import chain
from math import ceil
from typing import Final, NamedTuple

from backends.base import Event, Outcome
from backends.elasticsearch.connection import NDJSON, Connection, ConnectionFailed, Pauses, Transient
from backends.elasticsearch.counts import Counts
from backends.elasticsearch.options import Options
from backends.errors import StoreError, StoreUnavailable

_FILTER: Final = "errors,items.*.status,items.*.error.type,items.*.error.reason"
_TOO_LARGE: Final = 413

Settled = Outcome | StoreError


class Item(NamedTuple):
    """What became of one action of a ``_bulk`` call."""

    status: int
    kind: str = ""
    reason: str = ""


_DONE: Final = Item(201)


class Passenger:
    """An event on its way, and who waits for it.

    Attributes:
        event: what is to be stored.
        settled: what became of it; None while that is open.

    """

    __slots__ = ("_group", "_waiting", "event", "settled")

    def __init__(self, event: Event, group: "Group") -> None:
        self.event = event
        self.settled: Settled | None = None
        self._group = group
        self._waiting: list[asyncio.Future[None]] = []

    async def arrival(self) -> Settled:
        """Return what became of it; who is cancelled meanwhile takes nothing from the others."""
        if self.settled is None:
            future = self._group.loop.create_future()
            self._waiting.append(future)
            await future
        assert self.settled is not None
        return self.settled

    def settle(self, outcome: Settled) -> None:
        """Tell whoever waits; the first outcome counts."""
        if self.settled is not None:
            return
        self.settled = outcome
        self._group.landed(self)
        for future in self._waiting:
            if not future.done():
                future.set_result(None)


class Group:
    """Events that go together.

    Args:
        deadline: a moment of ``time.monotonic``.
        landed: called with each passenger when it is settled.

    """

    __slots__ = ("bytes", "deadline", "is_closed", "landed", "loop", "passengers")

    def __init__(self, deadline: float, landed: Callable[[Passenger], None]) -> None:
        self.loop = asyncio.get_running_loop()
        self.landed = landed
        self.passengers: list[Passenger] = []
        self.bytes = 0
        self.deadline = deadline
        self.is_closed = False

    def close(self) -> list[Passenger]:
        """Let nobody else join; return who did."""
        self.is_closed = True
        return self.passengers


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


class BulkQueue:
    """Gathers events into groups.

    Args:
        options: bounds of a group.
        settle: settles all passengers of a group; closes it as soon as there is a call for it.
        landed: called with each passenger when it is settled.

    """

    def __init__(
        self, options: Options, settle: Callable[[Group], Awaitable[None]], landed: Callable[[Passenger], None]
    ) -> None:
        self._landed = landed
        self._options = options
        self._settle = settle
        self._boarding: Group | None = None
        self._under_way: set[asyncio.Task[None]] = set()

    def board(self, events: Sequence[Event], deadline: float) -> list[Passenger]:
        """Send events, in their order; each is settled in the end.

        Args:
            events: together no more than a group takes, or one.
            deadline: a moment of ``time.monotonic``; then they are settled, whatever happened.

        """
        size = sum(len(event.record) for event in events)
        group = self._boarding
        if (
            group is None
            or group.is_closed
            or len(group.passengers) + len(events) > self._options.bulk_events
            or group.bytes + size > self._options.bulk_bytes
        ):
            group = self._boarding = Group(deadline, self._landed)
            task = asyncio.create_task(self._depart(group), name="bulk")
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
        passengers = [Passenger(event, group) for event in events]
        group.passengers += passengers
        group.bytes += size
        return passengers

    async def finish(self) -> None:
        """Return when all that was sent is settled."""
        while self._under_way:
            await asyncio.wait(self._under_way)

    async def _depart(self, group: Group) -> None:
        try:
            await self._settle(group)
        except StoreError as error:
            settle_all(group.close(), error)
        except BaseException as error:
            # Whoever waits is told, whatever it was that failed.
            settle_all(group.close(), StoreUnavailable(f"storing failed: {type(error).__name__}"))
            raise


def settle_all(passengers: Sequence[Passenger], outcome: Settled) -> None:
    """Settle those that are not settled yet."""
    for passenger in passengers:
        passenger.settle(outcome)


def _read_item(item: dict[str, object]) -> Item:
    error = item.get("error")
    if not isinstance(error, dict):
        return Item(int(str(item["status"])))
    return Item(int(str(item["status"])), str(error.get("type")), str(error.get("reason")))
