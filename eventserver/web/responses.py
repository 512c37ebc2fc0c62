"""Answers whose bytes are known when they are made."""

import asyncio
from collections.abc import Awaitable
from typing import Final

from aiohttp import HttpVersion10, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.helpers import rfc822_formatted_time

from eventserver.web.keys import ANSWER_ROOM

LARGE_ANSWER: Final = 64 * 1024
"""Bytes; a larger one goes through the framework's writer, which waits for a slow reader."""
READ_SECONDS: Final = 60.0
"""How long a client may take for a piece of an answer, as long as installed clients wait for us."""
_PIECE_BYTES: Final = 64 * 1024
_REASONS: Final = {200: "OK", 201: "Created"}


class WholeAnswer(web.StreamResponse):
    """A JSON answer that is written at once, headers and body together.

    The framework's own response builds and serializes a dictionary of headers for each request; that costs 6 of the
    28 us that it needs for a POST in all. These headers never differ but in a few words.

    Args:
        status: 200 or 201.
        body: JSON.
        headers: further header lines, each ``Name: value`` and CR LF, of values that are safe to write as they are.

    """

    def __init__(self, status: int, body: bytes, headers: str = "") -> None:
        # The framework's constructor makes the dictionary that is to be avoided; nothing below needs it.
        self._status = status
        self._answer = body
        self._lines = headers

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._status} {len(self._answer)} bytes>"

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Write everything, and wait for a slow reader."""
        self.send_to(request)
        if request.protocol.writing_paused:
            await self.wait_for_reader(request)
        return None

    def send_to(self, request: web.BaseRequest) -> None:
        """Write everything; a reader that is slow is not waited for.

        Raises:
            ConnectionResetError: the client is gone.

        """
        keep_alive = self._keep_alive = request.keep_alive
        connection = ""
        if not keep_alive:
            connection = "Connection: close\r\n"
        elif request.version == HttpVersion10:
            connection = "Connection: keep-alive\r\n"
        status, body = self._status, self._answer
        head = (
            f"HTTP/1.1 {status} {_REASONS[status]}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nDate: {rfc822_formatted_time()}\r\n{self._lines}{connection}\r\n"
        ).encode("ascii")
        transport = request.transport
        if transport is None or transport.is_closing():
            msg = "the client is gone"
            raise ConnectionResetError(msg)
        transport.write(head if request.method == "HEAD" else head + body)
        self._eof_sent = True

    async def wait_for_reader(self, request: web.BaseRequest) -> None:
        """Wait for a slow reader, for a time."""
        await in_time(request, request.writer.drain())

    async def write_eof(self, data: bytes = b"") -> None:
        """Do nothing: all is written."""


class LastResponse(web.Response):
    """The last answer on a connection whose client may still be sending: what it sends is dropped unread.

    Args:
        response: what to answer.

    """

    def __init__(self, response: web.Response) -> None:
        super().__init__(status=response.status, body=response.body, headers=response.headers)
        self.force_close()

    async def write_eof(self, data: bytes = b"") -> None:
        """Send it, then wait a while for the client to close, so that the answer is not lost with the connection."""
        request = self._req
        await super().write_eof(data)
        linger = getattr(request.protocol, "linger", None) if request is not None else None
        if linger is not None:
            await linger()


class LargeAnswer(web.Response):
    """A JSON answer whose reader must take each piece within a time; it has nothing but bytes as its body."""

    async def write_eof(self, data: bytes = b"") -> None:
        """Write it, waiting for the reader; once only."""
        request, body = self._req, self.body
        if request is None:
            return
        assert isinstance(body, bytes)
        await write_pieces(request, self, b"" if request.method == "HEAD" else body)
        await in_time(request, web.StreamResponse.write_eof(self, data))


async def write_pieces(request: web.BaseRequest, response: web.StreamResponse, body: bytes) -> None:
    """Write a part of an answer; whoever reads on, however slowly, is waited for.

    Raises:
        ConnectionResetError: the client has read nothing for too long, and was cut off.

    """
    view = memoryview(body)
    for start in range(0, len(body), _PIECE_BYTES):
        await in_time(request, response.write(view[start : start + _PIECE_BYTES]))


async def in_time(request: web.BaseRequest, writing: Awaitable[None]) -> None:
    """Wait for a client to read; one that reads nothing for so long is cut off, for its answer lies in memory.

    Raises:
        ConnectionResetError: it was.

    """
    try:
        async with asyncio.timeout(READ_SECONDS):
            await writing
    except TimeoutError:
        if request.transport is not None:
            request.transport.abort()
        msg = "the client does not read"
        raise ConnectionResetError(msg) from None


async def send(request: web.Request, body: bytes, *, headers: dict[str, str] | None = None) -> web.StreamResponse:
    """Answer 200 with JSON, like ``json_answer``; while a large answer is read, it takes room.

    Raises:
        Refusal: ``too_many_requests``: large answers that are read slowly, or not at all, take all of it.

    """
    response = json_answer(body, headers=headers)
    if isinstance(response, LargeAnswer):
        with request.app[ANSWER_ROOM].share() as take:
            take(len(body))
            await response.prepare(request)
            await response.write_eof()
    return response


def json_answer(body: bytes, *, status: int = 200, headers: dict[str, str] | None = None) -> web.StreamResponse:
    """Answer with JSON; small answers are one write, large ones wait for the reader.

    Args:
        body: JSON in UTF-8.
        status: 200 or 201.
        headers: further headers; their values must be plain ASCII without line breaks.

    """
    headers = headers or {}
    if len(body) <= LARGE_ANSWER:
        return WholeAnswer(status, body, "".join([f"{name}: {value}\r\n" for name, value in headers.items()]))
    return LargeAnswer(body=body, status=status, headers=headers, content_type="application/json")
