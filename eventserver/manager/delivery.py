"""Delivering what a listener takes: in order for each system, as often as it takes, and no further than one window."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final
from zlib import crc32

import structlog

from backends.base import Event
from backends.errors import StoreError
from backends.outbox import DeadLetters
from backends.record import original_of, received_of
from backends.spool import Backoff
from eventserver.manager.sender import DeliveryFailed, DeliveryRefused, Sender

WINDOW_EVENTS: Final = 1_000
WINDOW_BYTES: Final = 32 * 1024**2
_DEFECT: Final = "defect"
_EXHAUSTED: Final = "tries_exhausted"
_log = structlog.get_logger("eventserver.listeners")

Done = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Patience:
    """How often, and for how long, one event is tried."""

    tries: int
    first_wait: float
    """Seconds: the longest wait after the first failure; it doubles, and each is drawn from all of its range."""
    longest_wait: float


class _Item:
    __slots__ = ("done", "event", "number")

    def __init__(self, number: int, event: Event, done: Done | None) -> None:
        self.number = number
        self.event = event
        self.done = done


class _Lane:
    """Events that go one after the other."""

    def __init__(self) -> None:
        self._items: deque[_Item] = deque()
        self._arrived = asyncio.Event()

    def put(self, item: _Item) -> None:
        self._items.append(item)
        self._arrived.set()

    async def wait(self) -> None:
        while not self._items:
            self._arrived.clear()
            await self._arrived.wait()

    def take(self, most: int) -> list[_Item]:
        return [self._items.popleft() for _ in range(min(most, len(self._items)))]


class Delivery:
    """The delivery of one listener, from ``start`` to ``stop``.

    Systems are spread over the lanes of the sender; each lane goes one by one, so the order of a system is kept, and an
    event that fails holds up the systems of its lane only, until it is given up. The *position* is what all before it
    is settled: delivered, or among the dead letters.

    Args:
        name: of the listener.
        sender: open.
        dead_letters: open.
        patience: see there.

    """

    def __init__(self, name: str, sender: Sender, dead_letters: DeadLetters, patience: Patience) -> None:
        self.position: str | None = None
        """The last mark that everything before is settled of; None while there is none."""
        self.delivered = 0
        self.failures = 0
        """Tries that failed."""
        self.given_up = 0
        """Events that went to the dead letters."""
        self.problem: str | None = None
        """Why the last try failed; None when it did not."""
        self._name = name
        self._sender = sender
        self._dead_letters = dead_letters
        self._patience = patience
        self._most = max(WINDOW_EVENTS, sender.most_events)
        self._lanes = [_Lane() for _ in range(sender.lanes)]
        self._number = 0
        self._outstanding: dict[int, Event] = {}
        self._bytes = 0
        self._marks: deque[tuple[int, str | None]] = deque()
        self._settled = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def outstanding(self) -> int:
        """How many events are on their way."""
        return len(self._outstanding)

    @property
    def oldest(self) -> str | None:
        """When the oldest of them was received (``@received``)."""
        first = next(iter(self._outstanding.values()), None)
        return None if first is None else received_of(first.record)

    def start(self) -> None:
        """Begin."""
        self._tasks = [asyncio.create_task(self._run(lane), name=f"listener-{self._name}") for lane in self._lanes]

    async def stop(self, grace: float) -> None:
        """End; what is on its way is given some seconds, and is sent again after the next start otherwise."""
        with suppress(TimeoutError):
            async with asyncio.timeout(grace):
                await self.wait_until_settled()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        self._tasks = []

    async def submit(self, event: Event, done: Done | None = None) -> None:
        """Let an event be delivered; returns at once while there is room in the window.

        Args:
            event: comes after those that were submitted before.
            done: called when it is settled.

        """
        while self._outstanding and (len(self._outstanding) >= self._most or self._bytes >= WINDOW_BYTES):
            self._settled.clear()
            await self._settled.wait()
        self._number += 1
        self._outstanding[self._number] = event
        self._bytes += len(event.record)
        lane = self._lanes[crc32(event.smrtlink_id.encode()) % len(self._lanes)]
        lane.put(_Item(self._number, event, done))

    def mark(self, token: str | None) -> None:
        """Set a mark behind all that was submitted."""
        if self._marks and self._marks[-1][0] == self._number:
            self._marks.pop()
        self._marks.append((self._number, token))
        self._advance()

    async def wait_until_settled(self) -> None:
        """Return when nothing is on its way."""
        while self._outstanding:
            self._settled.clear()
            await self._settled.wait()

    async def _run(self, lane: _Lane) -> None:
        while True:
            await lane.wait()
            await self._sender.collect()
            items = lane.take(self._sender.most_events)
            await self._settle([item.event for item in items])
            for item in items:
                await self._finish(item)

    async def _finish(self, item: _Item) -> None:
        if item.done is not None:
            try:
                await item.done()
            except StoreError as error:
                _log.warning("listener", listener=self._name, problem=str(error))
        event = self._outstanding.pop(item.number)
        self._bytes -= len(event.record)
        self._settled.set()
        self._advance()

    def _advance(self) -> None:
        first = next(iter(self._outstanding), self._number + 1)
        while self._marks and self._marks[0][0] < first:
            self.position = self._marks.popleft()[1]

    async def _settle(self, events: Sequence[Event]) -> None:
        """Deliver, or set aside."""
        backoff = Backoff(self._patience.first_wait, self._patience.longest_wait)
        for number in range(1, self._patience.tries + 1):
            try:
                await self._sender.send(events)
            except DeliveryRefused as refused:
                self._failed(refused)
                return await self._set_aside(events, refused.code, str(refused))
            except DeliveryFailed as failure:
                self._failed(failure)
                if number < self._patience.tries:
                    asked = min(failure.retry_after or 0.0, self._patience.longest_wait)
                    await asyncio.sleep(max(backoff.next(), asked))
            except Exception as defect:  # noqa: BLE001 - logged; a defect must not end the delivery for good
                _log.exception(_DEFECT, listener=self._name)
                self._failed(defect)
                await asyncio.sleep(backoff.next())
            else:
                self.delivered += len(events)
                if self.problem is not None:
                    _log.info("listener takes events again", listener=self._name)
                self.problem = None
                return None
        return await self._set_aside(events, _EXHAUSTED, f"tried {self._patience.tries} times; {self.problem}")

    def _failed(self, error: Exception) -> None:
        self.failures += 1
        problem = str(error) or type(error).__name__
        if self.problem is None:
            _log.warning("listener takes no events", listener=self._name, problem=problem)
        self.problem = problem

    async def _set_aside(self, events: Sequence[Event], code: str, detail: str) -> None:
        """Keep events among the dead letters; while these have no room, or no disk, that is tried again."""
        backoff = Backoff(1.0, 60.0)
        for event in events:
            while True:
                try:
                    await self._dead_letters.keep(
                        original_of(event.record), uuid=event.uuid, code=code, detail=detail[:1000]
                    )
                    break
                except StoreError as error:
                    self._failed(error)
                    await asyncio.sleep(backoff.next())
            self.given_up += 1
            _log.error("dead letter", listener=self._name, uuid=event.uuid, code=code, detail=detail[:1000])
