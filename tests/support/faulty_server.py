"""A server that answers what a test tells it to, and keeps what it was asked."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

from aiohttp import web

Answering = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Asked(NamedTuple):
    """A request as it arrived."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    """Decoded from its content encoding."""


class FaultyServer:
    """See the module.

    Attributes:
        app: what to serve.
        url: where it is served.
        asked: the requests, in order.

    """

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[Asked] = []
        self._answers: deque[Answering] = deque()
        self.app = web.Application(client_max_size=2**26)
        self.app.router.add_route("*", "/{path:.*}", self._answer)

    def then(self, status: int, body: Any = None, **headers: str) -> None:
        """Answer the next request so; the last answer is repeated."""

        async def answer(request: web.Request) -> web.StreamResponse:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            if isinstance(body, bytes):
                return web.Response(status=status, body=body, headers=named)
            return web.json_response(body, status=status, headers=named)

        self._answers.append(answer)

    def then_break(self) -> None:
        """Break the connection of the next request, once its body is here."""

        async def answer(request: web.Request) -> web.StreamResponse:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()

        self._answers.append(answer)

    def then_hang(self) -> None:
        """Leave the next request without an answer."""

        async def answer(request: web.Request) -> web.StreamResponse:
            await asyncio.sleep(60)
            return web.Response()

        self._answers.append(answer)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.asked.append(Asked(request.method, request.raw_path, request.headers, body))
        answering = self._answers.popleft() if len(self._answers) > 1 else self._answers[0]
        return await answering(request)
