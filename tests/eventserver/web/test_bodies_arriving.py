"""A body as it arrives: what came ahead of its end is read first, whatever that end is."""

import asyncio
from unittest.mock import Mock

import pytest
from aiohttp import StreamReader, web
from aiohttp.test_utils import make_mocked_request

from eventserver.refusal import Code, Refusal
from eventserver.web.bodies import read_chunks
from support.wire_events import BATCH, until

ENDS = [
    (ConnectionResetError(), ConnectionResetError),
    (OSError(113, "No route to host"), ConnectionResetError),
    (TimeoutError(110, "Connection timed out"), ConnectionResetError),
    (asyncio.CancelledError(), ConnectionResetError),
    (web.RequestPayloadError(), web.RequestPayloadError),
]
"""What the framework sets when no more will come, at a stop and for a broken encoding too; and what is made of it."""


class Arriving:
    """A body that is arriving, as the framework holds it."""

    def __init__(self) -> None:
        self.protocol = Mock(connected=True)
        self.content = StreamReader(self.protocol, 2**16, loop=asyncio.get_running_loop())
        self.request = make_mocked_request("POST", BATCH, protocol=self.protocol, payload=self.content)
        self.chunks: list[bytes] = []

    async def read(self) -> None:
        """Read it to its end."""
        async for chunk in read_chunks(self.request, limit=100, seconds=5):
            self.chunks.append(chunk)

    def end(self, error: BaseException) -> None:
        """Let no more come."""
        if not isinstance(error, web.RequestPayloadError | asyncio.CancelledError):
            self.lose()
        self.content.set_exception(error)

    def lose(self) -> None:
        """Lose the connection."""
        self.protocol.connected, self.protocol.transport = False, None


@pytest.mark.parametrize(("error", "told"), ENDS)
async def test_what_arrived_is_read_before_an_error_that_came_after_it(
    error: BaseException, told: type[Exception]
) -> None:
    """A lost connection is told as one, however it was lost; so is a stop."""
    arriving = Arriving()
    arriving.content.feed_data(b"one")
    arriving.content.feed_data(b"two")
    arriving.end(error)
    with pytest.raises(told):
        await arriving.read()
    assert b"".join(arriving.chunks) == b"onetwo"


@pytest.mark.parametrize(("error", "told"), ENDS)
@pytest.mark.parametrize("last", [b"", b"two"])
async def test_an_error_is_told_while_the_body_is_waited_for(
    error: BaseException, told: type[Exception], last: bytes
) -> None:
    """Behind what arrives in the same moment."""
    arriving = Arriving()
    arriving.content.feed_data(b"one")
    reading = asyncio.create_task(arriving.read())
    await until(lambda: arriving.chunks == [b"one"])
    await asyncio.sleep(0)
    arriving.content.feed_data(last)
    arriving.end(error)
    with pytest.raises(told):
        await reading
    assert b"".join(arriving.chunks) == b"one" + last


@pytest.mark.parametrize("error", [error for error, _ in ENDS])
async def test_a_body_that_is_all_here_is_read_whatever_came_after_it(error: BaseException) -> None:
    """Whoever sends all of it and leaves has sent it."""
    arriving = Arriving()
    arriving.content.feed_data(b"all")
    arriving.content.feed_eof()
    arriving.end(error)
    await arriving.read()
    assert arriving.chunks == [b"all"]


@pytest.mark.parametrize("part", [b"", b"part"])
async def test_a_connection_that_is_lost_before_its_request_is_begun_is_told_as_lost(part: bytes) -> None:
    """The framework tells nobody then."""
    arriving = Arriving()
    arriving.content.feed_data(part)
    arriving.lose()
    with pytest.raises(ConnectionResetError):
        await arriving.read()
    assert b"".join(arriving.chunks) == part


async def test_a_request_without_a_body_has_none_though_its_connection_is_lost() -> None:
    """It is all here."""
    protocol = Mock(connected=False)
    request = make_mocked_request("POST", BATCH, protocol=protocol)
    protocol.transport = None
    assert [chunk async for chunk in read_chunks(request, limit=100, seconds=5)] == []


async def test_a_task_that_is_cancelled_while_it_waits_for_a_body_is_cancelled() -> None:
    """That is not the request's end."""
    arriving = Arriving()
    reading = asyncio.create_task(arriving.read())
    await asyncio.sleep(0.01)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading


@pytest.mark.parametrize("sizes", [[101], [100, 1], [99, 2], [50, 50, 100], [30, 300]])
async def test_of_a_body_that_grows_too_large_the_bytes_before_the_limit_are_read(sizes: list[int]) -> None:
    """Then it is refused."""
    arriving = Arriving()
    reading = asyncio.create_task(arriving.read())
    for number, size in enumerate(sizes):
        arriving.content.feed_data(b"%d" % number * size)
        await asyncio.sleep(0.01)
    with pytest.raises(Refusal) as refused:
        await reading
    assert refused.value.code is Code.PAYLOAD_TOO_LARGE
    assert b"".join(arriving.chunks) == b"".join(b"%d" % number * size for number, size in enumerate(sizes))[:100]
