"""HTTP as raw bytes on a socket: what a test sends is exactly what it says, right or wrong."""

import json
import socket
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, NamedTuple, Self


class Answer(NamedTuple):
    """An answer, as it came."""

    status: int
    headers: dict[str, str]
    """By lower-case name."""
    body: bytes
    first_read: bytes
    """What the first read of the socket gave: an old client needs a refusal to be all there."""

    def json(self) -> Any:
        """Return the body as a JSON value."""
        return json.loads(self.body)

    @property
    def code(self) -> str | None:
        """The refusal's stable code; None when it is none."""
        if "json" not in self.headers.get("content-type", ""):
            return None
        value = self.json()
        return value.get("code") if isinstance(value, dict) else None


def request(
    method: str, path: str, body: bytes = b"", headers: Iterable[tuple[str, str]] = (), *, length: int | None = -1
) -> bytes:
    """Make a request.

    Args:
        method: such as ``POST``.
        path: with its query.
        body: as it goes over the wire.
        headers: as they go over the wire, after ``Host``.
        length: the declared length; -1 takes the body's, None declares none.

    """
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", *(f"{name}: {value}" for name, value in headers)]
    if length is not None and (body or method in {"POST", "PUT"} or length > 0):
        lines.append(f"Content-Length: {len(body) if length == -1 else length}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def post(body: bytes, path: str = "/api/v1/events", media_type: str | None = "application/json") -> bytes:
    """Make a POST as most clients do."""
    return request("POST", path, body, [("Content-Type", media_type)] if media_type else [])


def chunked(pieces: Iterable[bytes]) -> bytes:
    """Encode a body in chunks, with its end."""
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces if piece) + b"0\r\n\r\n"


class Wire:
    """One connection to the server; use it with ``with``."""

    def __init__(self, port: int, *, seconds: float = 20.0) -> None:
        """Connect to a port of this machine; `seconds` limits each wait."""
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=seconds)
        self._buffer = b""

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.socket.close()

    def send(self, data: bytes) -> None:
        """Send bytes; a server that has hung up meanwhile is no error, its answer may still be there to read."""
        with suppress(BrokenPipeError, ConnectionResetError):
            self.socket.sendall(data)

    def trickle(self, data: bytes, *, size: int, pause: float) -> None:
        """Send bytes in pieces of `size` with a pause after each."""
        for start in range(0, len(data), size):
            self.send(data[start : start + size])
            time.sleep(pause)

    def answer(self) -> Answer:
        """Read one answer.

        Raises:
            ConnectionError: the server closed before the answer was complete.
            TimeoutError: it did not come in time.

        """
        first = self._buffer
        while b"\r\n\r\n" not in self._buffer:
            piece = self._read()
            first = first or piece
        head, _, rest = self._buffer.partition(b"\r\n\r\n")
        status, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        self._buffer = rest
        body = self._chunks() if "chunked" in headers.get("transfer-encoding", "") else self._take(_length(headers))
        return Answer(int(status.split(" ")[1]), headers, body, first)

    def closed(self) -> bool:
        """Tell whether the server has closed the connection, waiting for it within the limit."""
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True
        except TimeoutError:
            return False

    def _read(self) -> bytes:
        piece = self.socket.recv(262_144)
        if not piece:
            msg = f"closed after {self._buffer[:500]!r}"
            raise ConnectionError(msg)
        self._buffer += piece
        return piece

    def _take(self, length: int) -> bytes:
        while len(self._buffer) < length:
            self._read()
        taken, self._buffer = self._buffer[:length], self._buffer[length:]
        return taken

    def _chunks(self) -> bytes:
        body = b""
        while True:
            while b"\r\n" not in self._buffer:
                self._read()
            size, _, self._buffer = self._buffer.partition(b"\r\n")
            chunk = self._take(int(size, 16) + 2)[:-2]
            if not chunk:
                return body
            body += chunk


def _length(headers: dict[str, str]) -> int:
    return int(headers.get("content-length", "0"))


def exchange(port: int, data: bytes, *, seconds: float = 20.0) -> Answer:
    """Send bytes on a connection of their own and return the answer."""
    with Wire(port, seconds=seconds) as wire:
        wire.send(data)
        return wire.answer()


def get(port: int, path: str, *, seconds: float = 20.0) -> Answer:
    """GET a path."""
    return exchange(port, request("GET", path), seconds=seconds)
