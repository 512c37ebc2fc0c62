"""A webhook receiver as a program: it checks signatures, fails at random, and writes down what it has taken.

``python webhook_receiver.py PORT_FILE TAKEN_FILE FAILING_SHARE`` listens on a free port, which it writes to PORT_FILE.
"""

import asyncio
import base64
import hashlib
import hmac
import random
import sys
from pathlib import Path

from aiohttp import web

SECRET = b"a secret of the test"


def is_signed(request: web.Request, body: bytes) -> bool:
    """Check a signature as Standard Webhooks says, without the sender's code."""
    signed = f"{request.headers['webhook-id']}.{request.headers['webhook-timestamp']}.".encode() + body
    digest = base64.b64encode(hmac.new(SECRET, signed, hashlib.sha256).digest()).decode()
    return request.headers.get("webhook-signature") == f"v1,{digest}"


async def main() -> None:
    """Serve until killed."""
    port_file, taken_file, share = Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3])
    chance = random.Random(7)
    with taken_file.open("a", buffering=1) as taken:  # noqa: ASYNC230 - a page of memory

        async def receive(request: web.Request) -> web.Response:
            body = await request.read()
            if not is_signed(request, body):
                taken.write("unsigned\n")
                return web.Response(status=401)
            fate = chance.random()
            if fate < share / 4:
                await asyncio.sleep(3600)
            if fate < share / 2:
                assert request.transport is not None
                request.transport.abort()
            if fate < share:
                return web.Response(status=503)
            taken.write(request.headers["webhook-id"] + "\n")
            if fate > 1 - share / 4:  # taken, and the answer lost
                assert request.transport is not None
                request.transport.abort()
            return web.Response()

        app = web.Application(client_max_size=2**22)
        app.router.add_post("/hook", receive)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        assert site._server is not None
        port = site._server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
        port_file.write_text(str(port))  # noqa: ASYNC240 - once
        await asyncio.sleep(3600)


if __name__ == "__main__":
    asyncio.run(main())
