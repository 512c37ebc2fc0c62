"""The client's own spool: when ``send`` returns, an event is safe on the local disk; it is delivered by itself."""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

from backends.errors import StorageFull, StoreError
from backends.outbox import DeadLetter, DeadLetters, Outbox
from backends.record import finish_record
from backends.statistics import Statistic
from eventserver.client.answers import Receipt, ReceivedEvent, Verdict
from eventserver.client.delivery import Delivery
from eventserver.client.errors import EventRefused, SpoolFull, SpoolUnavailable, Violation
from eventserver.client.transport import Transport
from eventserver.message import SystemMessage, parse, received_now
from eventserver.refusal import Refusal

MAX_BYTES: Final = 1024**3
_WAITING: Final = "waiting"


class ClientSpool:
    """See the module.

    Args:
        directory: made when missing; one client has it open.
        transport: to the server; opened and closed by the caller, before and after this.
        max_bytes: of the events that wait.

    """

    def __init__(self, directory: Path, transport: Transport, *, max_bytes: int) -> None:
        self._outbox = Outbox(directory, max_bytes=max_bytes, owner=f"a client of {transport.url.origin()}")
        self._dead_letters = DeadLetters(directory / "dead-letters")
        self._delivery = Delivery(transport, self._outbox, self._dead_letters)
        self._opened = AsyncExitStack()

    async def open(self) -> None:
        """Recover what is on disk, and begin to deliver.

        Raises:
            SpoolUnavailable: another process has it open, or the disk can't be used.

        """
        with _errors_of_disk():
            async with AsyncExitStack() as stack:
                await stack.enter_async_context(self._outbox)
                await stack.enter_async_context(self._dead_letters)
                self._opened = stack.pop_all()
        self._delivery.start()

    async def close(self) -> None:
        """Stop delivering; what waits is delivered by the next client that opens it. Idempotent."""
        await self._delivery.stop()
        await self._opened.aclose()

    @property
    def pending(self) -> int:
        """How many events wait."""
        return self._outbox.events

    async def keep(self, text: bytes) -> Receipt:
        """Keep one event.

        Raises:
            EventRefused: it is no SMRT Link System Message; whether its type takes it, the server says.
            SpoolFull, SpoolUnavailable: it is not kept.

        """
        try:
            message = parse(text)
        except Refusal as refusal:
            violations = [Violation(*error) for error in refusal.errors]
            raise EventRefused(refusal.detail, code=refusal.code, violations=violations) from None
        with _errors_of_disk():
            await self._outbox.put([_record_of(message)])
        return Receipt(_WAITING, message.uuid, ReceivedEvent(message.original))

    async def keep_many(self, texts: Iterable[bytes]) -> list[Verdict]:
        """Keep events together; those that are no SMRT Link System Messages get their verdict at once.

        Raises:
            SpoolFull, SpoolUnavailable: none is kept.

        """
        verdicts: list[Verdict] = []
        records: list[bytes] = []
        for index, text in enumerate(texts):
            try:
                message = parse(text)
            except Refusal as refusal:
                violations = tuple(Violation(*error) for error in refusal.errors)
                verdicts.append(Verdict(index, "invalid", None, refusal.code, refusal.detail, violations))
            else:
                records.append(_record_of(message))
                verdicts.append(Verdict(index, _WAITING, message.uuid))
            await asyncio.sleep(0)
        if records:
            with _errors_of_disk():
                await self._outbox.put(records)
        return verdicts

    async def flush(self, seconds: float) -> bool:
        """Wait until nothing waits; tell whether that came true in time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._outbox.wait_until_empty()
        return not self._outbox.events

    async def dead_letters(self) -> list[DeadLetter]:
        """Return what the server refused for good."""
        with _errors_of_disk():
            return await self._dead_letters.letters()

    async def retry_dead_letters(self, numbers: Sequence[str]) -> int:
        """Put dead letters behind all that waits; return how many.

        They are put first and forgotten then, so a crash between the two delivers one twice, which is harmless.
        """
        wanted = set(numbers)
        letters = [letter for letter in await self.dead_letters() if letter.number in wanted]
        with _errors_of_disk():
            if letters:
                await self._outbox.put([_record_of(parse(letter.event)) for letter in letters])
            return await self._dead_letters.drop([letter.number for letter in letters])

    async def drop_dead_letters(self, numbers: Sequence[str]) -> int:
        """Forget dead letters; return how many."""
        with _errors_of_disk():
            return await self._dead_letters.drop(numbers)

    def statistics(self) -> list[Statistic]:
        """Return what is counted."""
        delivery, outbox = self._delivery, self._outbox
        return [
            Statistic("spool_events", "Events that wait for the server", outbox.events),
            Statistic("spool_bytes", "Size of the events that wait", outbox.bytes),
            Statistic("spool_max_bytes", "Largest size of the events that may wait", outbox.max_bytes),
            Statistic("spool_delivered_total", "Events that the server has taken", delivery.delivered),
            Statistic("spool_refused_total", "Events that the server refused for good", delivery.refused),
            Statistic("spool_dead_letters", "Refused events that wait for a decision", self._dead_letters.count),
            Statistic("spool_up", "Whether the delivery goes on", int(delivery.problem is None)),
        ]


def _record_of(message: SystemMessage) -> bytes:
    return finish_record(message.original, message.at, received_now())


@contextmanager
def _errors_of_disk() -> Iterator[None]:
    """Say in the client's terms what the disk's trouble is.

    Raises:
        SpoolFull, SpoolUnavailable: instead of a store's errors.

    """
    try:
        yield
    except StorageFull as error:
        raise SpoolFull(f"the spool has no room: {error}") from error
    except StoreError as error:
        raise SpoolUnavailable(f"the spool can't be used: {error}") from error
