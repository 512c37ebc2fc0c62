"""One listener at work: its sender, its dead letters, its delivery and its reader, opened and closed together."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final, Self

import structlog

from backends.base import Event
from backends.errors import StoreError
from backends.outbox import DeadLetter, DeadLetters
from backends.record import finish_record
from eventserver.manager.configuration import Configured
from eventserver.manager.delivery import Delivery, Patience
from eventserver.manager.reader import Reader
from eventserver.manager.sender import Sender
from eventserver.manager.sources import Source
from eventserver.message import parse, received_now
from eventserver.refusal import Refusal

GRACE_SECONDS: Final = 2.0
_log = structlog.get_logger("eventserver.listeners")


class Subscription:
    """A listener from its start to its stop.

    Args:
        name: of the listener.
        configured: what it is.
        sender: not yet open.
        directory: for its dead letters.
        source: open.
        begin: where in the source to begin.

    """

    def __init__(
        self, name: str, configured: Configured, sender: Sender, *, directory: Path, source: Source, begin: str | None
    ) -> None:
        self.name = name
        self.configured = configured
        listener = configured.listener
        self._dead_letters = DeadLetters(directory / "dead-letters")
        patience = Patience(listener.tries, listener.first_wait_seconds, listener.longest_wait_seconds)
        self._sender = sender
        self.delivery = Delivery(name, sender, self._dead_letters, patience)
        self.delivery.position = begin
        self.reader = Reader(name, listener.make_filter(), source, self.delivery, begin)
        self._opened = AsyncExitStack()
        self._retried: set[str] = set()
        self._retrying: set[asyncio.Task[None]] = set()

    @property
    def position(self) -> str | None:
        """All before it is settled."""
        return self.delivery.position

    async def start(self) -> Self:
        """Begin to deliver.

        Raises:
            StoreError: the dead letters can't be opened.

        """
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._dead_letters)
            await stack.enter_async_context(self._sender)
            self._opened = stack.pop_all()
        self.delivery.start()
        self.reader.start()
        return self

    async def stop(self) -> None:
        """End; what was not delivered in the grace is delivered after the next start."""
        for task in self._retrying:
            task.cancel()
        await self.reader.stop(GRACE_SECONDS)
        await self.delivery.stop(GRACE_SECONDS)
        await self._opened.aclose()

    async def deliver_again(self, events: Sequence[Event]) -> None:
        """Deliver events out of their turn; returns when they are on their way, which a full window delays."""
        for event in events:
            await self.delivery.submit(event)

    async def dead_letters(self, most: int) -> list[DeadLetter]:
        """Return what was given up, oldest first, up to so many."""
        return await self._dead_letters.letters(self._dead_letters.numbers[:most])

    async def retry_dead_letters(self, numbers: Sequence[str] | None) -> int:
        """Let dead letters be delivered again, behind what waits; each is forgotten when it is settled.

        Args:
            numbers: which; None means all.

        Returns:
            How many will be.

        """
        known = self._dead_letters.numbers
        wanted = [number for number in known if number not in self._retried and (numbers is None or number in numbers)]
        self._retried.update(wanted)
        task = asyncio.create_task(self._retry(wanted), name=f"listener-retry-{self.name}")
        self._retrying.add(task)
        task.add_done_callback(self._retrying.discard)
        return len(wanted)

    async def drop_dead_letters(self, numbers: Sequence[str] | None) -> int:
        """Forget dead letters; None means all. Returns how many."""
        return await self._dead_letters.drop(self._dead_letters.numbers if numbers is None else numbers)

    async def _retry(self, numbers: Sequence[str]) -> None:
        for number in numbers:
            try:
                for letter in await self._dead_letters.letters([number]):
                    await self._retry_one(letter)
            except (StoreError, Refusal) as error:
                self._retried.discard(number)
                _log.error("dead letter", listener=self.name, number=number, problem=str(error))

    async def _retry_one(self, letter: DeadLetter) -> None:
        async def settled() -> None:
            self._retried.discard(letter.number)
            await self._dead_letters.drop([letter.number])

        message = parse(letter.event)
        record = finish_record(message.original, message.at, received_now())
        event = Event(
            message.uuid, message.smrtlink_id, message.event_type_id, message.event_type_version, message.at, record
        )
        await self.delivery.submit(event, settled)

    def status(self) -> dict[str, Any]:
        """Return how it is, as a JSON value."""
        delivery, condition = self.delivery, self.reader.filter.condition
        return {
            "name": self.name,
            "type": self.configured.listener.type,
            "delivered": delivery.delivered,
            "failedTries": delivery.failures,
            "waiting": delivery.outstanding + self.reader.queued,
            "oldestReceived": delivery.oldest,
            "isBehind": not self.reader.is_live,
            "deadLetters": self._dead_letters.count,
            "givenUp": delivery.given_up,
            "problem": delivery.problem,
            "conditionErrors": 0 if condition is None else condition.errors,
            "conditionError": None if condition is None else condition.last_error,
        }
