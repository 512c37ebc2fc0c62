"""A small remote store: a process of its own that keeps events in files, and the store that talks to it.

For tests of the spool with real processes: it can be stopped (SIGSTOP), killed, and started again on its data.
"""

import asyncio
import os
import pickle
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from backends.base import Arrival, Event, EventStore, Outcome, Page, Query
from backends.errors import StoreClosed, StoreError, StoreUnavailable
from backends.filesystem import FilesystemStore
from backends.lock import DirectoryLock

_LENGTH = 4
_TAIL = 500


def from_url(url: str, *, root: Path, read_only: bool, timeout: float) -> "RemoteStore":
    """Make the store of ``remote://host:port``."""
    parts = urlsplit(url)
    return RemoteStore(parts.hostname or "127.0.0.1", parts.port or 0, timeout)


class RemoteStore(EventStore):
    """Talks to the process; a connection for each call under way."""

    def __init__(self, host: str, port: int, timeout: float) -> None:
        self._address = host, port
        self._timeout = timeout
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self._open = False

    async def __aenter__(self) -> Self:
        """Open, if the process is there."""
        self._open = True
        try:
            await self.ping()
        except BaseException:
            self._open = False
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close all connections."""
        self._open = False
        while self._idle:
            self._idle.pop()[1].close()

    async def prepare(self, schemas: Mapping[tuple[str, int], Mapping[str, Any]]) -> None:
        """Do nothing, over there."""
        await self._call("ping", len(schemas))

    async def put(self, events: Sequence[Event]) -> list[Outcome]:
        """Put over there."""
        outcomes: list[Outcome] = await self._call("put", list(events))
        return outcomes

    async def get(self, uuid: str) -> bytes | None:
        """Get from there."""
        record: bytes | None = await self._call("get", uuid)
        return record

    async def find(self, query: Query, *, limit: int, max_bytes: int) -> Page:
        """Find there."""
        page: Page = await self._call("find", query, limit, max_bytes)
        return page

    async def tail(self, token: str | None = None) -> AsyncIterator[Arrival]:
        """Tail from there."""
        while arrivals := await self._call("tail", token):
            for arrival in arrivals:
                token = arrival.token
                yield arrival

    async def ping(self) -> None:
        """Ping."""
        await self._call("ping")

    async def _call(self, *call: Any) -> Any:
        if not self._open:
            raise StoreClosed("the store is not open")
        try:
            async with asyncio.timeout(self._timeout), self._connection() as (reader, writer):
                _send(writer, call)
                answer = pickle.loads(await reader.readexactly(await _read_length(reader)))
        except (OSError, EOFError) as error:
            raise StoreUnavailable(f"remote: {error!r}") from error
        if isinstance(answer, Exception):
            raise answer
        return answer

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        reader, writer = self._idle.pop() if self._idle else await asyncio.open_connection(*self._address)
        try:
            yield reader, writer
        except BaseException:
            writer.close()
            raise
        self._idle.append((reader, writer))


class RemoteProcess:
    """The process, on a directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """For ``SMRTFLOW_EVENT_STORE``."""
        return f"remote://127.0.0.1:{self.port}"

    def start(self) -> Self:
        """Start, and return when it listens."""
        command = [sys.executable, "-m", "tests.support.remote_store", str(self.directory), str(self.port)]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(("tests", "."))}
        self._process = subprocess.Popen(command, cwd=Path(__file__).parents[2], env=environment)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
                return self
            time.sleep(0.01)
        raise TimeoutError("the remote store does not listen")

    def kill(self) -> None:
        """Kill it, if it runs."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            self._process = None

    def stop_clock(self) -> None:
        """Let it hang."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def __enter__(self) -> Self:
        """Start."""
        return self.start()

    def __exit__(self, *_: object) -> None:
        """Kill."""
        self.kill()


def _send(writer: asyncio.StreamWriter, value: Any) -> None:
    data = pickle.dumps(value)
    writer.write(len(data).to_bytes(_LENGTH, "big") + data)


async def _read_length(reader: asyncio.StreamReader) -> int:
    return int.from_bytes(await reader.readexactly(_LENGTH), "big")


async def _answer(store: FilesystemStore, name: str, *arguments: Any) -> Any:
    if name == "find":
        query, limit, max_bytes = arguments
        return await store.find(query, limit=limit, max_bytes=max_bytes)
    if name == "tail":
        arrivals: list[Arrival] = []
        async for arrival in store.tail(*arguments):
            arrivals.append(arrival)
            if len(arrivals) == _TAIL:
                break
        return arrivals
    if name == "ping":
        return await store.ping()
    return await {"put": store.put, "get": store.get}[name](*arguments)


async def _serve(directory: Path, port: int) -> None:
    with DirectoryLock(directory, f"pid {os.getpid()}"):
        async with FilesystemStore(directory) as store:

            async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                with suppress(OSError, EOFError):
                    while True:
                        call = pickle.loads(await reader.readexactly(await _read_length(reader)))
                        try:
                            answer = await _answer(store, *call)
                        except (StoreError, ValueError) as error:
                            answer = error
                        _send(writer, answer)
                        await writer.drain()
                writer.close()

            async with await asyncio.start_server(talk, "127.0.0.1", port) as server:
                await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1]), int(sys.argv[2])))
