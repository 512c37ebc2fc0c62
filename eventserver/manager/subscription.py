"""One listener at work: its sender, its dead letters, its delivery and its reader, opened and closed together."""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Self

from backends.base import Event
from backends.outbox import DeadLetter, DeadLetters
from backends.record import finish_record
from eventserver.manager.configuration import Configured
from eventserver.manager.delivery import Delivery, Patience
from eventserver.manager.reader import Reader
from eventserver.manager.sender import Sender
from eventserver.manager.sources import Source
from eventserver.message import parse, received_now

GRACE_SECONDS = 2.0


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
        await self.reader.stop(GRACE_SECONDS)
        await self.delivery.stop(GRACE_SECONDS)
        await self._opened.aclose()

    async def deliver_again(self, events: Sequence[Event]) -> None:
        """Deliver events out of their turn; returns when they are on their way, which a full window delays."""
        for event in events:
            await self.delivery.submit(event)

    async def dead_letters(self) -> list[DeadLetter]:
        """Return what was given up, oldest first."""
        return await self._dead_letters.letters()

    async def retry_dead_letters(self, numbers: Sequence[str] | None) -> int:
        """Let dead letters be delivered again; each is forgotten when it is settled.

        Args:
            numbers: which; None means all.

        Returns:
            How many there were.

        """
        count = 0
        for letter in await self._dead_letters.letters():
            wanted = numbers is None or letter.number in numbers
            if wanted and letter.number not in self._retried:
                self._retried.add(letter.number)
                await self._retry(letter)
                count += 1
        return count

    async def drop_dead_letters(self, numbers: Sequence[str] | None) -> int:
        """Forget dead letters; None means all. Returns how many."""
        if numbers is None:
            numbers = [letter.number for letter in await self._dead_letters.letters()]
        return await self._dead_letters.drop(numbers)

    async def _retry(self, letter: DeadLetter) -> None:
        async def settled() -> None:
            await self._dead_letters.drop([letter.number])
            self._retried.discard(letter.number)

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
