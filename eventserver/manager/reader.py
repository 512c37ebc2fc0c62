"""What a listener reads: as long as it keeps pace, what the puts tell it; when it does not, the log."""

import asyncio
from collections import deque
from contextlib import suppress
from typing import Final, NamedTuple

import structlog

from backends.base import Event
from backends.errors import StoreError
from backends.spool import Backoff
from eventserver.manager.delivery import Delivery
from eventserver.manager.filters import Filter
from eventserver.manager.sources import Source

QUEUE_EVENTS: Final = 2_000
QUEUE_BYTES: Final = 16 * 1024**2
_LARGE_EVENT: Final = 64 * 1024
_log = structlog.get_logger("eventserver.listeners")


class _Mark(NamedTuple):
    token: str | None


class Reader:
    """One task that hands a listener's events to its delivery, in the order of arrival.

    It is *live* while all that is stored is offered to it, and fits its queue; then the log is not read at all. One
    that begins, or whose queue was full, reads the log from its last mark on, and joins what is live at its end. What
    it had been offered since that mark is not delivered twice.

    Args:
        name: of the listener.
        filter_: which events.
        source: the log.
        delivery: started.
        begin: where in the log to begin.

    """

    def __init__(self, name: str, filter_: Filter, source: Source, delivery: Delivery, begin: str | None) -> None:
        self.filter = filter_
        self.is_live = False
        self._name = name
        self._source = source
        self._delivery = delivery
        self._read_to = begin
        self._queue: deque[Event | _Mark] = deque()
        self._queued_bytes = 0
        self._joining: list[Event] | None = None
        # Handed over since the mark before the last one, and since the last one. A mark is a place in the log of a
        # moment before all puts of that moment had ended, so what came before the mark may stand behind its place.
        self._older: set[str] = set()
        self._newer: set[str] = set()
        self._woken = asyncio.Event()
        self._emptied = asyncio.Event()
        self._emptied.set()
        self._task: asyncio.Task[None] | None = None

    @property
    def queued(self) -> int:
        """How many events and marks wait."""
        return len(self._queue)

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._run(), name=f"listener-reader-{self._name}")

    async def stop(self, grace: float) -> None:
        """End, when the queue is empty or the seconds are over."""
        with suppress(TimeoutError):
            async with asyncio.timeout(grace):
                await self._emptied.wait()
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait((task,))

    def offer(self, event: Event) -> None:
        """Tell of an event that was just stored and whose type is taken."""
        if self.is_live:
            if len(self._queue) >= QUEUE_EVENTS or self._queued_bytes >= QUEUE_BYTES:
                self.is_live = False
                return
            self._queue.append(event)
            self._queued_bytes += len(event.record)
            self._woken.set()
        elif self._joining is not None:
            self._joining.append(event)
            if len(self._joining) > QUEUE_EVENTS:
                self._joining = None

    def mark(self, token: str | None) -> None:
        """Tell that all events before a place in the log have been offered."""
        if self.is_live:
            if self._queue and isinstance(self._queue[-1], _Mark):
                self._queue.pop()
            self._queue.append(_Mark(token))
            self._woken.set()

    async def _run(self) -> None:
        backoff = Backoff()
        while True:
            try:
                await self._step()
                backoff.reset()
            except StoreError as error:
                _log.warning("listener can't read", listener=self._name, problem=str(error))
                await asyncio.sleep(backoff.next())
            except ValueError as error:
                # The data directory is not the one of before, such as one that was restored.
                self._read_to = self._source.newest()
                _log.error("listener lost its place", listener=self._name, problem=str(error), begins=self._read_to)
            except Exception:  # noqa: BLE001 - logged; a defect must not end the reading for good
                _log.exception("defect", listener=self._name)
                await asyncio.sleep(backoff.next())

    async def _step(self) -> None:
        if self._queue:
            await self._take_queued(self._queue[0])
        elif self.is_live:
            self._woken.clear()
            self._emptied.set()
            await self._woken.wait()
            self._emptied.clear()
        else:
            await self._catch_up()

    async def _take_queued(self, item: Event | _Mark) -> None:
        if isinstance(item, _Mark):
            self._delivery.mark(item.token)
            self._read_to = item.token
            self._older, self._newer = self._newer, set()
        else:
            await self._take(item)
            self._newer.add(item.uuid)
            self._queued_bytes -= len(item.record)
        self._queue.popleft()

    async def _take(self, event: Event) -> None:
        if event.uuid in self._newer or event.uuid in self._older:
            return
        if self.filter.condition is not None:
            large = len(event.record) > _LARGE_EVENT
            taken = await asyncio.to_thread(self.filter.takes, event) if large else self.filter.takes(event)
            if not taken:
                return
        await self._delivery.submit(event)

    async def _catch_up(self) -> None:
        takes_type = self.filter.takes_type
        is_joining = self._joining is not None
        block = await self._source.read(
            self._read_to, lambda event: takes_type(event.event_type_id, event.event_type_version)
        )
        for event in block.events:
            await self._take(event)
        if is_joining:
            self._newer.update(event.uuid for event in block.events)
        self._read_to = block.token
        self._delivery.mark(block.token)
        if not block.is_end:
            return
        if not is_joining:
            # From here on what is stored is offered too; what was stored before is found by reading once more.
            self._joining = []
        elif self._joining is not None:
            self._queue.extend(self._joining)
            self._queued_bytes = sum(len(event.record) for event in self._joining)
            self._joining = None
            self.is_live = True
