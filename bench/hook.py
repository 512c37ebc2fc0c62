"""A webhook receiver that costs next to nothing: it answers 200, and tells how many it got and when.

``python -m bench.hook PORT_FILE``. ``GET`` answers with ``{"count", "first", "last"}``, times by the monotonic clock.
"""

import asyncio
import json
import re
import sys
import time
from pathlib import Path
from typing import cast

import uvloop

_LENGTH = re.compile(rb"[Cc]ontent-[Ll]ength: ([0-9]+)")
_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class _Tally:
    count = 0
    first = 0.0
    last = 0.0


class Hook(asyncio.Protocol):
    """One connection."""

    def __init__(self, tally: _Tally) -> None:
        """Count here."""
        self._tally = tally
        self._buffer = b""
        self._transport: asyncio.WriteTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.WriteTransport", transport)  # uvloop's is no subclass

    def data_received(self, data: bytes) -> None:
        """Answer each request that is whole."""
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end]
            length = _LENGTH.search(head)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(self._buffer) < whole:
                return
            self._buffer = self._buffer[whole:]
            self._transport.write(self._tell() if head.startswith(b"GET") else self._count())

    def _count(self) -> bytes:
        tally = self._tally
        tally.last = time.monotonic()
        tally.first = tally.first or tally.last
        tally.count += 1
        return _OK

    def _tell(self) -> bytes:
        tally = self._tally
        body = json.dumps({"count": tally.count, "first": tally.first, "last": tally.last}).encode()
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


async def main() -> None:
    """Serve until killed."""
    tally = _Tally()
    server = await asyncio.get_running_loop().create_server(lambda: Hook(tally), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    await asyncio.to_thread(Path(sys.argv[1]).write_text, str(port))
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
