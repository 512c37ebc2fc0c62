"""All listeners of a process: what is stored is offered to them, and how far each is, is written down."""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import structlog

from backends.base import Event, EventStore, Outcome, Status
from backends.disk import Disk
from backends.errors import StoreError
from eventserver.manager.configuration import Configured
from eventserver.manager.filters import TypeIndex
from eventserver.manager.positions import read_positions, write_positions
from eventserver.manager.sender import Sender
from eventserver.manager.sources import Source
from eventserver.manager.subscription import Subscription
from eventserver.manager.uncertain import Uncertain

MARK_SECONDS: Final = 1.0
_NEW: Final = frozenset({Status.STORED, Status.SPOOLED})
_log = structlog.get_logger("eventserver.listeners")

MakeSender = Callable[[str, Configured], Sender]


class Listeners:
    """Hands on what is stored, for the time of an ``async with`` block, beside a store that is open all that time.

    *At least once*: a listener's position is written down every second, and stands before the first event that is not
    settled; what was delivered since is delivered again after a crash. A new listener begins at the newest event.

    Args:
        directory: for the positions and the dead letters; made when missing, the caller owns it.
        source: the log that listeners read; opened here.
        store: what puts go to; None where there is only the source.
        listeners: by name.
        make_sender: makes the sender of one.
        disk: the system calls.

    """

    def __init__(
        self,
        directory: Path,
        source: Source,
        listeners: Mapping[str, Configured],
        make_sender: MakeSender,
        *,
        store: EventStore | None,
        disk: Disk | None = None,
    ) -> None:
        self.takers: TypeIndex[Subscription] = TypeIndex([])
        """For an event type who takes it."""
        self._directory = directory
        self._source = source
        self._store = store
        self._listeners = dict(listeners)
        self._make_sender = make_sender
        self._disk = disk or Disk()
        self._subscriptions: dict[str, Subscription] = {}
        self._positions: dict[str, str | None] = {}
        self._written: dict[str, str | None] = {}
        self._in_flight: set[asyncio.Future[None]] = set()
        self._uncertain = Uncertain()
        self._marking: asyncio.Task[None] | None = None
        self._changing = asyncio.Lock()
        self._opened = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Open, and begin to deliver.

        Raises:
            StoreError: the directory can't be used.

        """
        await asyncio.to_thread(self._disk.make_directory, self._directory)
        self._positions = await asyncio.to_thread(read_positions, self._directory, self._source.name)
        self._written = dict(self._positions)
        await self._opened.enter_async_context(self._source)
        try:
            await self.change(self._listeners)
            await self._write_down()
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        self._marking = asyncio.create_task(self._mark_on(), name="listeners-marking")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Deliver what is delivered in a moment, write down how far each is, and close. Idempotent."""
        marking, self._marking = self._marking, None
        if marking is not None:
            marking.cancel()
            await asyncio.wait((marking,))
            await self._mark()
        await self._stop(list(self._subscriptions))
        if marking is not None:
            await self._write_down()
        await self._opened.aclose()

    async def change(self, listeners: Mapping[str, Configured]) -> None:
        """Let other listeners take force; those that are as before go on undisturbed.

        Raises:
            StoreError: one can't be opened; those that could are at work.

        """
        async with self._changing:
            old = [name for name, found in self._subscriptions.items() if listeners.get(name) != found.configured]
            if old:
                await self._mark()
            # What is taken goes on to be noted in the source meanwhile: who takes what changes at the very end.
            await self._stop(old)
            for name in [name for name in self._positions if name not in listeners]:
                del self._positions[name]
            try:
                for name, configured in listeners.items():
                    if name not in self._subscriptions:
                        self._subscriptions[name] = await self._start(name, configured)
            finally:
                self._index()

    def get(self, name: str) -> Subscription | None:
        """Return the listener of that name."""
        return self._subscriptions.get(name)

    def status(self) -> list[dict[str, Any]]:
        """Return how each is, as JSON values."""
        return [subscription.status() for subscription in self._subscriptions.values()]

    async def put(self, events: Sequence[Event]) -> list[Outcome]:
        """Put events, some of which are taken, and offer these when they are stored.

        It makes no task of its own: a turn of the loop later the event would miss the sync that others share. What a
        cancelled call stored is found out by asking the store.

        Raises:
            StoreError: as the store's ``put``.

        """
        assert self._store is not None
        taken = [event for event in events if self.takers[event.event_type_id, event.event_type_version]]
        with self._flying():
            await self._source.admit(taken)
            try:
                outcomes = await self._store.put(events)
            except (StoreError, asyncio.CancelledError):
                self._uncertain.add(taken)
                raise
            for event, outcome in zip(events, outcomes, strict=True):
                if outcome.status in _NEW:
                    self._offer(event)
                elif outcome.status is Status.UNAVAILABLE:
                    self._uncertain.add([event])
                elif outcome.status is Status.DUPLICATE and (known := self._uncertain.take(event.uuid, outcome.record)):
                    self._offer(known)
        return outcomes

    async def keep(self, events: Sequence[Event]) -> None:
        """Keep events in the source itself, where there is no store; when this returns they will be delivered.

        A cancelled call goes on to its end.

        Raises:
            StoreError: none is kept.

        """

        async def admit() -> None:
            with self._flying():
                await self._source.admit(events)
                for event in events:
                    self._offer(event)

        await asyncio.shield(admit())

    @contextmanager
    def _flying(self) -> Iterator[None]:
        """Let marks wait for what is under way in the block."""
        landed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._in_flight.add(landed)
        try:
            yield
        finally:
            self._in_flight.discard(landed)
            if not landed.done():
                landed.set_result(None)

    def _offer(self, event: Event) -> None:
        for subscription in self.takers[event.event_type_id, event.event_type_version]:
            subscription.reader.offer(event)

    async def _start(self, name: str, configured: Configured) -> Subscription:
        begin = self._positions[name] if name in self._positions else self._source.newest()
        subscription = Subscription(
            name,
            configured,
            self._make_sender(name, configured),
            directory=self._directory / name,
            source=self._source,
            begin=begin,
        )
        self._positions[name] = begin
        return await subscription.start()

    async def _stop(self, names: Sequence[str]) -> None:
        stopping = [self._subscriptions[name] for name in names]
        for result in await asyncio.gather(*(found.stop() for found in stopping), return_exceptions=True):
            if isinstance(result, BaseException):
                _log.error("defect", problem=str(result), exc_info=result)
        for found in stopping:
            self._positions[found.name] = found.position
            del self._subscriptions[found.name]

    def _index(self) -> None:
        self.takers = TypeIndex((found.reader.filter, found) for found in self._subscriptions.values())

    async def _mark_on(self) -> None:
        while True:
            await asyncio.sleep(MARK_SECONDS)
            try:
                if self._store is not None:
                    for event in await self._uncertain.settle(self._store):
                        self._offer(event)
                await self._mark()
                await self._write_down()
            except Exception:  # noqa: BLE001 - logged; a defect must not end it for good
                _log.exception("defect", task="listeners-marking")

    async def _mark(self) -> None:
        """Mark a place in the log that all before is offered of: its end now, once the puts of now have ended.

        While nobody knows what became of a put there is no mark; that is for a minute at most.
        """
        token = self._source.newest()
        if self._in_flight:
            await asyncio.wait(set(self._in_flight))
        if self._uncertain:
            return
        for subscription in self._subscriptions.values():
            subscription.reader.mark(token)

    async def _write_down(self) -> None:
        self._positions.update({name: found.position for name, found in self._subscriptions.items()})
        positions = dict(self._positions)
        if positions == self._written:
            return
        try:
            await asyncio.to_thread(write_positions, self._disk, self._directory, self._source.name, positions)
            self._written = positions
            await self._source.release(list(positions.values()))
        except (StoreError, OSError) as error:
            _log.warning("the positions of listeners can't be written down", problem=str(error))
