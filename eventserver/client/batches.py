"""Sending many events in one request, and again those that the server could not take now."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final

from eventserver.client.answers import Verdict, read_verdict
from eventserver.client.errors import ServerUnavailable, UnexpectedAnswer
from eventserver.client.events import line_of
from eventserver.client.transport import NDJSON, Transport

BATCH_EVENTS: Final = 1000
BATCH_BYTES: Final = 4 * 1024 * 1024
"""A quarter of what a server takes, as it comes."""
_BATCH: Final = "/api/v1/events/batch"
_UNAVAILABLE: Final = "unavailable"


def cut_into_batches(texts: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Yield batches of lines, in order."""
    batch: list[bytes] = []
    size = 0
    for text in texts:
        line = line_of(text)
        if batch and (len(batch) == BATCH_EVENTS or size + len(line) > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(line)
        size += len(line) + 1
    if batch:
        yield batch


async def post_batch(transport: Transport, lines: Sequence[bytes], *, is_retried: bool = True) -> list[Verdict]:
    """Send one batch, as one try or several; return a verdict for each line, in order.

    Raises:
        EventServerError: of the batch as a whole; some of its events may be stored.

    """
    answer = await transport.post(_BATCH, b"\n".join(lines), NDJSON, is_retried=is_retried)
    try:
        verdicts = [read_verdict(document) for document in answer.value()]
    except (KeyError, TypeError, AttributeError) as error:
        raise UnexpectedAnswer(f"the answer is no list of verdicts: {error!r}") from error
    if len(verdicts) != len(lines):
        raise UnexpectedAnswer(f"there are {len(verdicts)} verdicts on {len(lines)} events")
    return verdicts


class Sending:
    """Sends batches until each event has a verdict that time won't change.

    Args:
        transport: open.

    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def send(self, lines: Sequence[bytes], *, first: int) -> list[Verdict]:
        """Send a batch; events that could not be taken now are sent again, as long as tries are left.

        Args:
            lines: the events.
            first: the index of the first one among all.

        Returns:
            A verdict for each event; ``unavailable`` where all tries were in vain.

        """
        verdicts = [Verdict(first + number, _UNAVAILABLE, None) for number in range(len(lines))]

        async def send_rest() -> None:
            rest = [number for number, verdict in enumerate(verdicts) if verdict.is_retryable]
            for number, verdict in zip(
                rest, await post_batch(self._transport, [lines[number] for number in rest]), strict=True
            ):
                verdicts[number] = replace(verdict, index=first + number)
            if any(verdict.is_retryable for verdict in verdicts):
                raise _SomeUnavailable("the server could not take all events now")

        with suppress(_SomeUnavailable):
            await self._transport.trying(send_rest)
        return verdicts


class _SomeUnavailable(ServerUnavailable):
    """Some events of a batch could not be taken; never leaves this module."""
