"""A proxy in front of a real server that fails as it is told: refuses, answers errors, cuts off, hangs.

It understands as much of HTTP/1.1 as it must to answer a request itself, or to let the server do the work and keep the
answer back.
"""

import asyncio
import json
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from ssl import SSLContext
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit


class Fault(Enum):
    """What becomes of a request."""

    ANSWER = "it is not passed on; a given answer comes back"
    CUT = "it is passed on and done, and the connection is cut instead of the answer"
    HANG = "it is passed on and done, and no answer comes, nor does the connection end"
    LOSE = "it is not passed on, and no answer comes, nor does the connection end"


@dataclass
class Rule:
    """Which requests fail, and how."""

    matches: Callable[[str, str], bool]
    """Told method and path."""
    fault: Fault
    status: int = 503
    body: Any = None
    times: int | None = None
    """How often; None is until it is mended."""
    product: str = "Elasticsearch"
    """What the given answer says that it comes from."""
    least_bytes: int = 0
    """Smaller requests do not fail."""

    def applies(self, request: "Request") -> bool:
        """Tell whether a request fails; counts it."""
        if self.times == 0 or len(request.text) < self.least_bytes or not self.matches(request.method, request.path):
            return False
        if self.times is not None:
            self.times -= 1
        return True


@dataclass
class Request:
    """A request as it came."""

    method: str
    path: str
    text: bytes


def is_write(method: str, path: str) -> bool:
    """Tell whether a request to Elasticsearch would change something."""
    return method in {"PUT", "DELETE"} or "_bulk" in path or "_aliases" in path


class FaultyProxy:
    """Listens on a free port of 127.0.0.1; a context manager, in a thread of its own.

    Args:
        target: URL of the real server.
        tls: of the connections that it takes; none when left out.

    Attributes:
        url: where it listens.
        requests: what came since ``mend``.

    """

    def __init__(self, target: str, tls: SSLContext | None = None) -> None:
        parts = urlsplit(target)
        assert parts.hostname is not None
        self._far = (parts.hostname, parts.port or 80)
        self._tls = tls
        self.url = ""
        self.requests: list[Request] = []
        self._rule: Rule | None = None
        self._refuses = False
        self._writers: set[asyncio.StreamWriter] = set()
        self._hanging: list[asyncio.Future[None]] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="faulty-proxy", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)
        scheme = "https" if self._tls else "http"
        self.url = f"{scheme}://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def refuse(self) -> None:
        """Cut all connections, and take no new ones."""
        self._refuses = True
        asyncio.run_coroutine_threadsafe(self._cut_all(), self._loop).result(10)

    def fail(self, rule: Rule) -> None:
        """Let requests fail by a rule, in place of the one before."""
        self._rule = rule

    def mend(self) -> None:
        """Pass everything on."""
        self._refuses = False
        self._rule = None
        self.requests.clear()
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._let_go)

    def _let_go(self) -> None:
        for each in self._hanging:
            if not each.done():
                each.set_exception(ConnectionResetError())
        self._hanging.clear()

    async def _hang(self) -> None:
        hanging = self._loop.create_future()
        self._hanging.append(hanging)
        await hanging

    async def _listen(self) -> asyncio.Server:
        return await asyncio.start_server(self._connected, "127.0.0.1", 0, limit=1 << 20, ssl=self._tls)

    async def _cut_all(self) -> None:
        for writer in list(self._writers):
            writer.transport.abort()

    async def _end(self) -> None:
        self._server.close()
        await self._cut_all()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refuses:
            writer.transport.abort()
            return
        self._writers.add(writer)
        far: asyncio.StreamWriter | None = None
        try:
            far_reader, far = await asyncio.open_connection(*self._far, limit=1 << 20)
            while (request := await _read_request(reader)) is not None:
                await self._serve(request, writer, far_reader, far)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self._writers.discard(writer)
            for each in (writer, far):
                if each is not None:
                    each.transport.abort()

    async def _serve(
        self,
        request: Request,
        writer: asyncio.StreamWriter,
        far_reader: asyncio.StreamReader,
        far: asyncio.StreamWriter,
    ) -> None:
        self.requests.append(request)
        rule = self._rule if self._rule and self._rule.applies(request) else None
        if rule is not None and rule.fault is Fault.ANSWER:
            writer.write(_answer(rule))
            await writer.drain()
            return
        if rule is not None and rule.fault is Fault.LOSE:
            await self._hang()
        far.write(request.text)
        await far.drain()
        answer = await _read_answer(far_reader)
        if rule is not None and rule.fault is Fault.CUT:
            raise ConnectionResetError
        if rule is not None:
            await self._hang()
        writer.write(answer)
        await writer.drain()


async def _read_request(reader: asyncio.StreamReader) -> Request | None:
    with suppress(asyncio.IncompleteReadError):
        head = await reader.readuntil(b"\r\n\r\n")
        method, path, _ = head.split(b" ", 2)
        return Request(method.decode(), path.decode(), head + await _read_body(reader, head))
    return None


async def _read_answer(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    return head + await _read_body(reader, head)


async def _read_body(reader: asyncio.StreamReader, head: bytes) -> bytes:
    fields = dict(line.lower().split(b":", 1) for line in head.split(b"\r\n")[1:] if b":" in line)
    if b"chunked" not in fields.get(b"transfer-encoding", b""):
        return await reader.readexactly(int(fields.get(b"content-length", b"0")))
    chunks = []
    while True:
        line = await reader.readuntil(b"\r\n")
        chunk = await reader.readexactly(int(line, 16) + 2)
        chunks += [line, chunk]
        if line.strip() == b"0":
            return b"".join(chunks)


def _answer(rule: Rule) -> bytes:
    text = json.dumps(rule.body if rule.body is not None else {"error": {"type": "injected", "reason": "by the test"}})
    return (
        f"HTTP/1.1 {rule.status} Injected\r\ncontent-type: application/json\r\nx-elastic-product: {rule.product}\r\n"
        f"content-length: {len(text)}\r\n\r\n{text}"
    ).encode()
