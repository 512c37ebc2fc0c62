"""A client's connection, with what aiohttp leaves open closed.

A request head has a time limit; bytes that are not HTTP are answered like any other refusal, and the answer is let
arrive; a stop waits for requests that have begun. Standing on the inner parts of ``web.RequestHandler`` that the tests
of this module hold still.
"""

import asyncio
from http import HTTPStatus
from typing import Any, Final

from aiohttp import web
from aiohttp.http_exceptions import ContentEncodingError

from eventserver.counters import Counters
from eventserver.refusal import Code, Refusal
from eventserver.web.bodies import unknown_encoding
from eventserver.web.problem import answer
from eventserver.web.responses import LastResponse, WholeAnswer

LINGER_SECONDS: Final = 5
"""How long the rest of a refused request is read and dropped, so that its answer arrives before the connection ends."""


class Connection(web.RequestHandler):
    """The protocol of one connection."""

    __slots__ = ("_counters", "_gone", "_head_seconds", "_head_timer", "peer")

    def __init__(self, server: web.Server, *, counters: Counters, head_seconds: float, **options: Any) -> None:
        """Take the time limit of a request head, in seconds, besides aiohttp's options."""
        super().__init__(server, lingering_time=LINGER_SECONDS, **options)
        self._counters = counters
        self._head_seconds = head_seconds
        self._head_timer: asyncio.TimerHandle | None = None
        self._gone: asyncio.Future[None] | None = None
        self.peer = ""
        """The client's address, known once for all its requests."""

    def data_received(self, data: bytes) -> None:
        """Take bytes; while they make no whole request head, the clock runs."""
        web.RequestHandler.data_received(self, data)  # called for each packet: super() costs a tenth of this method
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            if self._head_timer is None:
                self._head_timer = self._loop.call_later(self._head_seconds, self.force_close)
        elif self._head_timer is not None:
            self._stop_clock()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count it."""
        self._counters.connections += 1
        name = transport.get_extra_info("peername")
        self.peer = str(name[0] if isinstance(name, tuple) else name or "")
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Count it, and tell whoever waits for this."""
        self._counters.connections -= 1
        self._stop_clock()
        if self._gone is not None and not self._gone.done():
            self._gone.set_result(None)
        super().connection_lost(exc)

    def finish(self) -> None:
        """Close if nothing is under way, or see to it that the connection closes behind the last answer.

        Call it again until the connection is gone: what is still arriving is let arrive first.
        """
        if self._messages or self._head_timer is not None:
            return
        if self._current_request is not None:
            if self._current_request.content.is_eof():
                self.close()
        elif self._waiter is not None:
            self.force_close()

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Answer as a problem what no route has seen: ``OPTIONS *`` and ``CONNECT`` have no path."""
        if type(resp) is WholeAnswer:  # the common case, and one without all that could be done to a response: 1 us
            try:
                resp.send_to(request)
                if self.writing_paused:
                    await resp.wait_for_reader(request)
            except ConnectionError:
                return resp, True
            return resp, False
        if isinstance(resp, web.HTTPException):
            resp = answer(request, resp, self._counters)
        return await web.RequestHandler.finish_response(self, request, resp, start_time)

    async def linger(self) -> None:
        """Say that nothing more will be sent, and drop what arrives until the client closes (RFC 9112 section 9.6)."""
        self.close()  # from here on what arrives is not even unpacked
        if self.transport is not None and self.transport.can_write_eof():
            self.transport.write_eof()
        if self.transport is not None:
            self._gone = self._loop.create_future()
            await asyncio.wait((self._gone,), timeout=LINGER_SECONDS)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = HTTPStatus.INTERNAL_SERVER_ERROR,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what came before any route: bytes that are not HTTP; and pass on that the client is gone."""
        if isinstance(exc, ContentEncodingError):  # aiohttp knows it, and lacks the library for it
            self.close()
            return LastResponse(answer(request, unknown_encoding("br or zstd"), self._counters))
        if status == HTTPStatus.BAD_REQUEST:
            self.close()  # what arrives from here on is dropped
            reason = " ".join((message or "").split())[:100]
            refusal = Refusal(Code.BAD_REQUEST, f"It can't be read as HTTP/1.1: {reason}")
            return LastResponse(answer(request, refusal, self._counters))
        if isinstance(exc, ConnectionError):
            raise exc
        return answer(request, exc if isinstance(exc, Exception) else TimeoutError(message), self._counters)

    def log_exception(self, *args: Any, **kw: Any) -> None:
        """Leave out what is the client's doing: a body that breaks off or isn't encoded as declared."""
        if not isinstance(kw.get("exc_info"), web.RequestPayloadError):
            super().log_exception(*args, **kw)

    def _stop_clock(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


def peer_of(request: web.BaseRequest) -> str:
    """Return the address of the client, or an empty text where it has none."""
    connection = request.protocol
    return connection.peer if isinstance(connection, Connection) else request.remote or ""
