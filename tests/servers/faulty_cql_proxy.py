"""A proxy in front of a real Cassandra that fails as it is told: refuses, answers errors, cuts off, hangs.

It understands as much of the native protocol, version 4, as it must to know which requests write something.
"""

import asyncio
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from types import TracebackType
from typing import Final, Self

QUERY: Final = 0x07
RESULT: Final = 0x08
PREPARE: Final = 0x09
EXECUTE: Final = 0x0A
BATCH: Final = 0x0D
ERROR: Final = 0x00
PREPARED: Final = 4
WARNING: Final = 0x08
HEADER: Final = struct.Struct("!BBhBi")
SERVER_ERROR: Final = 0x0000
OVERLOADED: Final = 0x1001
INVALID: Final = 0x2200
WRITE_TIMEOUT: Final = 0x1100
QUORUM: Final = 4
FULL: Final = (
    INVALID,
    "Guardrail data_disk_usage violated: Write request failed because disk usage exceeds failure threshold",
)


class Fault(Enum):
    """What becomes of a request."""

    ANSWER = "it is not passed on; a given error comes back"
    LOSE = "it is not passed on, and no answer comes"
    TIME_OUT = "it is passed on and done, and instead of the answer comes a time-out of unknown outcome"
    CUT = "it is passed on and done, and the connection is cut instead of the answer"
    HANG = "it is passed on and done, and no answer comes"


Matches = Callable[[str], bool]


@dataclass
class Rule:
    """Which requests fail, and how."""

    matches: Matches
    """Told the statement's text; that of a batch is ``BATCH``."""
    fault: Fault = Fault.ANSWER
    error: tuple[int, str] = (OVERLOADED, "injected by the test")
    times: int | None = None
    """How often; None is until it is mended."""

    def applies(self, text: str) -> bool:
        """Tell whether a request fails; counts it."""
        if self.times == 0 or not self.matches(text):
            return False
        if self.times is not None:
            self.times -= 1
        return True


def is_write(text: str) -> bool:
    """Tell whether a statement would change something."""
    return text.startswith(("INSERT", "UPDATE", "DELETE", "BATCH"))


def is_claim(text: str) -> bool:
    """Tell whether a statement claims a uuid."""
    return "claims" in text and " IF " in text


@dataclass
class _Frame:
    stream: int
    operation: int
    whole: bytes

    @property
    def body(self) -> bytes:
        """What is behind the header, and behind the warnings, if there are any."""
        start = HEADER.size
        if self.whole[1] & WARNING:
            (count,) = struct.unpack_from("!H", self.whole, start)
            start += 2
            for _ in range(count):
                start += 2 + struct.unpack_from("!H", self.whole, start)[0]
        return self.whole[start:]


class _Client:
    """One connection through the proxy, and what was asked for on it."""

    def __init__(self, writer: asyncio.StreamWriter, far: asyncio.StreamWriter) -> None:
        self.writer = writer
        self.far = far
        self.preparing: dict[int, str] = {}
        self.faults: dict[int, Rule] = {}


class FaultyCqlProxy:
    """Listens on a free port of 127.0.0.1; a context manager, in a thread of its own.

    Args:
        host: of the real server.
        port: of the real server.

    Attributes:
        url: where it listens, such as ``cassandra://127.0.0.1:20123``.
        statements: the texts that came since ``mend``.

    """

    def __init__(self, host: str, port: int) -> None:
        self._address = (host, port)
        self.url = ""
        self.statements: list[str] = []
        self._texts: dict[bytes, str] = {}
        self._rule: Rule | None = None
        self._refuses = False
        self._clients: set[_Client] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="faulty-cql-proxy", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(
            asyncio.start_server(self._connected, "127.0.0.1", 0), self._loop
        ).result(10)
        self.url = f"cassandra://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
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
        self.statements.clear()

    async def _cut_all(self) -> None:
        for client in list(self._clients):
            client.writer.transport.abort()
            client.far.transport.abort()

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
        try:
            far_reader, far = await asyncio.open_connection(*self._address)
        except OSError:
            writer.transport.abort()
            return
        client = _Client(writer, far)
        self._clients.add(client)
        tasks = [
            asyncio.ensure_future(self._requests(client, reader)),
            asyncio.ensure_future(self._answers(client, far_reader)),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._clients.discard(client)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            writer.transport.abort()
            far.transport.abort()

    async def _requests(self, client: _Client, reader: asyncio.StreamReader) -> None:
        while (frame := await _read(reader)) is not None:
            text = self._text_of(frame)
            if frame.operation == PREPARE:
                client.preparing[frame.stream] = text
            rule = None
            if text and frame.operation != PREPARE:
                self.statements.append(text)
                rule = self._rule if self._rule and self._rule.applies(text) else None
            if rule is not None and rule.fault is Fault.ANSWER:
                client.writer.write(_error(frame.stream, *rule.error))
                continue
            if rule is not None and rule.fault is Fault.LOSE:
                continue
            if rule is not None:
                client.faults[frame.stream] = rule
            client.far.write(frame.whole)
            await client.far.drain()

    async def _answers(self, client: _Client, reader: asyncio.StreamReader) -> None:
        while (frame := await _read(reader)) is not None:
            text = client.preparing.pop(frame.stream, None)
            if text is not None and frame.operation == RESULT and struct.unpack_from("!i", frame.body)[0] == PREPARED:
                (length,) = struct.unpack_from("!H", frame.body, 4)
                self._texts[frame.body[6 : 6 + length]] = text
            rule = client.faults.pop(frame.stream, None)
            if rule is None:
                client.writer.write(frame.whole)
                await client.writer.drain()
            elif rule.fault is Fault.CUT:
                return
            elif rule.fault is Fault.TIME_OUT:
                client.writer.write(_time_out(frame.stream))

    def _text_of(self, frame: _Frame) -> str:
        body = frame.body
        if frame.operation in {QUERY, PREPARE}:
            (length,) = struct.unpack_from("!i", body)
            return body[4 : 4 + length].decode()
        if frame.operation == EXECUTE:
            (length,) = struct.unpack_from("!H", body)
            return self._texts.get(body[2 : 2 + length], "")
        return "BATCH" if frame.operation == BATCH else ""


async def _read(reader: asyncio.StreamReader) -> _Frame | None:
    with suppress(asyncio.IncompleteReadError, OSError):
        head = await reader.readexactly(HEADER.size)
        _, _, stream, operation, length = HEADER.unpack(head)
        return _Frame(stream, operation, head + await reader.readexactly(length))
    return None


def _error(stream: int, code: int, text: str) -> bytes:
    said = text.encode()
    body = struct.pack("!iH", code, len(said)) + said
    return HEADER.pack(0x84, 0, stream, ERROR, len(body)) + body


def _time_out(stream: int) -> bytes:
    said, kind = b"injected by the test", b"CAS"
    body = struct.pack("!iH", WRITE_TIMEOUT, len(said)) + said + struct.pack("!Hii", QUORUM, 0, 1)
    body += struct.pack("!H", len(kind)) + kind
    return HEADER.pack(0x84, 0, stream, ERROR, len(body)) + body
