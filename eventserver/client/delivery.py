"""Delivering what waits in the outbox to the server: in order, as often as it takes, each event stored once."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

from backends.errors import StoreError
from backends.outbox import DeadLetters, Outbox, Waiting
from backends.record import original_of
from backends.spool import Backoff
from eventserver.client.answers import Verdict
from eventserver.client.batches import BATCH_BYTES, post_batch
from eventserver.client.errors import (
    EventConflict,
    EventRefused,
    EventServerError,
    PermanentFailure,
    TemporaryFailure,
)
from eventserver.client.transport import JSON, Transport

_BULK_EVENTS: Final = 500
_FIRST_SECONDS: Final = 0.2
_LAST_SECONDS: Final = 30.0
_LOGGER: Final = logging.getLogger(__name__)


class Delivery:
    """One task that delivers.

    What the server refuses as such (422, 409, ...) goes to the dead letters and does not hold up the rest. Anything
    else holds it up, with back-off: also a wrong token or a wrong URL, which concern every event.

    Args:
        transport: open.
        outbox: open; nobody else reads it.
        dead_letters: open.

    """

    def __init__(self, transport: Transport, outbox: Outbox, dead_letters: DeadLetters) -> None:
        self.delivered = 0
        """Events that the server has taken, or had, since the start."""
        self.refused = 0
        """Events that went to the dead letters since the start."""
        self.problem: str | None = None
        """Why it does not go on; None while it does."""
        self._transport = transport
        self._outbox = outbox
        self._dead_letters = dead_letters
        self._backoff = Backoff(_FIRST_SECONDS, _LAST_SECONDS)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._run(), name="event-delivery")

    async def stop(self) -> None:
        """End; what is on its way now is sent again by the next start. Idempotent."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait((task,))

    async def _run(self) -> None:
        while True:
            try:
                await self._step()
            except (EventServerError, StoreError) as error:
                await self._wait_after(error)
            except Exception as error:  # a defect, which must not end the delivery for good
                _LOGGER.exception("the delivery of events failed in an unforeseen way; it goes on")
                await self._wait_after(error)
            else:
                if self.problem is not None:
                    _LOGGER.warning("events are delivered again")
                self.problem = None
                self._backoff.reset()

    async def _wait_after(self, error: Exception) -> None:
        if self.problem != str(error):
            _LOGGER.warning("events can't be delivered now, %d wait: %s", self._outbox.events, error)
        self.problem = str(error)
        asked = error.retry_after if isinstance(error, TemporaryFailure) else None
        await asyncio.sleep(max(self._backoff.next(), min(asked or 0.0, _LAST_SECONDS)))

    async def _step(self) -> None:
        """Deliver the next events.

        Raises:
            EventServerError, StoreError: not all of them are settled; what was settled is let go.

        """
        lines = await self._outbox.next(most=_BULK_EVENTS, max_bytes=BATCH_BYTES)
        whole = [line for line in lines if line.event is not None]
        texts = [original_of(line.event.record) for line in whole if line.event is not None]
        if len(texts) > 1:
            try:
                verdicts = await post_batch(self._transport, texts, is_retried=False)
            except PermanentFailure:
                # It is the batch that is refused, perhaps for its size, or by a server that knows no batches.
                verdicts = await self._send_first(texts[0])
        else:
            verdicts = await self._send_first(texts[0]) if texts else []
        await self._settle(lines, texts, verdicts)

    async def _send_first(self, text: bytes) -> list[Verdict]:
        """Send one event by itself, and return its verdict alone."""
        try:
            answer = await self._transport.post("/api/v1/events", text, JSON, is_retried=False)
        except (EventRefused, EventConflict) as error:
            status = "conflict" if isinstance(error, EventConflict) else "invalid"
            return [Verdict(0, status, None, error.code or str(error.status), str(error))]
        return [Verdict(0, answer.headers.get("Event-Status", "stored"), None)]

    async def _settle(self, lines: Sequence[Waiting], texts: Sequence[bytes], verdicts: Sequence[Verdict]) -> None:
        """Let go of the first lines that have a verdict for good."""
        gone: list[Waiting] = []
        judged = iter(zip(texts, verdicts, strict=False))
        try:
            for line in lines:
                if line.event is not None:
                    if (pair := next(judged, None)) is None:
                        return
                    await self._settle_one(line.event.uuid, *pair)
                gone.append(line)
        finally:
            await self._outbox.advance(gone)

    async def _settle_one(self, uuid: str, text: bytes, verdict: Verdict) -> None:
        if verdict.is_retryable:
            raise TemporaryFailure(f"the server can't take event {uuid} now")
        if verdict.is_taken:
            self.delivered += 1
            return
        detail = verdict.detail or f"The server's verdict is {verdict.status}."
        await self._dead_letters.keep(text, uuid=uuid, code=verdict.code or verdict.status, detail=detail)
        self.refused += 1
        _LOGGER.error("event %s was refused for good, and is among the dead letters: %s", uuid, detail)
