"""A server on a real socket, in this process, and bytes to and from it."""

import asyncio
from typing import NamedTuple

from aiohttp import web

EVENT = (
    b'{"smrtlinkId":"2319db24-f46e-11e6-a35c-3c15c2cc8f88","uuid":"83927d00-f46c-11e6-9f9b-3c15c2cc8f88",'
    b'"createdAt":"2017-02-16T08:36:21.082-08:00","eventTypeId":"sl_test_event","eventTypeVersion":1,"message":{}}'
)


class Answer(NamedTuple):
    """An answer as it arrived."""

    status: int
    headers: dict[str, str]
    """By lower-case name."""
    body: bytes


class LiveServer(NamedTuple):
    """Where it listens, and aiohttp's server within."""

    port: int
    server: web.Server

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a connection."""
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def exchange(self, *parts: bytes) -> bytes:
        """Send bytes, each part by itself, and return all that comes back until the server closes."""
        reader, writer = await self.connect()
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0.02)
        answer = await asyncio.wait_for(reader.read(), 10)
        writer.close()
        await writer.wait_closed()
        return answer


def post(body: bytes, path: str = "/api/v1/events", *more: str, length: int | None = None) -> bytes:
    """Return a POST request; the declared length can be a lie."""
    lines = [f"POST {path} HTTP/1.1", "Host: here", "Content-Type: application/json", *more]
    lines.append(f"Content-Length: {len(body) if length is None else length}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def get(path: str, *more: str, method: str = "GET") -> bytes:
    """Return a request without a body."""
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: here", *more, "", ""]).encode()


def parse_answer(answer: bytes) -> Answer:
    """Take an answer apart."""
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    return Answer(int(first.split()[1]), {name.lower(): value for name, value in headers.items()}, body)
