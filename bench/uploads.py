"""Uploads of 8 MB against a bare aiohttp handler that streams, hashes, inflates once and syncs the same body.

``python -m bench.uploads`` prints a line for an archive that can't be packed and one for a ratio of 5, each the median
of alternating runs, and the p99 of event POSTs with and without five uploads a second beside them.
"""

import asyncio
import hashlib
import os
import random
import statistics
import sys
import tempfile
import time
import zlib
from collections.abc import Sequence
from pathlib import Path
from uuid import uuid4

from aiohttp import ClientSession, web

from eventserver.server import make_event_loop
from support.archives import MANIFEST, manifest, text_of, tgz
from support.uploads import form
from tests.system.server_process import ServerProcess, free_port

MIB = 1024 * 1024
RUNS, UPLOADS, AT_A_TIME = 3, 40, 4


def archive(seed: int, ratio: int) -> bytes:
    """Return a bundle of almost 8 MB; each is another one."""
    noise = random.Random(seed)
    if ratio == 1:
        content = noise.randbytes(8 * MIB - 30_000)
    else:
        content = b"".join(noise.randbytes(205) + bytes(820) for _ in range(8 * MIB * ratio // 1100))
    return tgz({MANIFEST: text_of(manifest(comment=str(seed))), "data": content}, level=1)


async def bare(request: web.Request) -> web.Response:
    """Do what any server of uploads has to."""
    part = await (await request.multipart()).next()
    digest, inflater = hashlib.sha256(), zlib.decompressobj(31)
    descriptor, path = tempfile.mkstemp(dir=sys.argv[2])
    while chunk := await part.read_chunk(256 * 1024):
        digest.update(chunk)
        os.write(descriptor, chunk)
        await asyncio.to_thread(inflater.decompress, chunk)
    await asyncio.to_thread(os.fdatasync, descriptor)
    os.close(descriptor)
    os.unlink(path)  # noqa: PTH108 - as quickly as it can be done
    return web.Response(status=201, text=digest.hexdigest())


async def rate(url: str, bodies: Sequence[bytes]) -> float:
    """Return uploads a second."""
    waiting = list(bodies)

    async def work(session: ClientSession) -> None:
        while waiting:
            async with session.post(url, data=form(waiting.pop())) as answer:
                assert answer.status == 201, await answer.text()
                await answer.read()

    async with ClientSession() as session:
        began = time.perf_counter()
        await asyncio.gather(*(work(session) for _ in range(AT_A_TIME)))
        return len(bodies) / (time.perf_counter() - began)


async def p99_of_posts(port: int, bodies: Sequence[bytes], seconds: float = 8) -> float:
    """Return the p99 of 200 POSTs a second, in milliseconds, with five uploads a second while there are bodies."""
    took: list[float] = []
    event = {"smrtLinkId": str(uuid4()), "createdAt": "2026-11-24T12:20:51.544Z", "eventTypeId": "sl_test_event"}
    event |= {"eventTypeVersion": 1, "message": {}}

    async with ClientSession() as session:

        async def post() -> None:
            began = time.perf_counter()
            async with session.post(
                f"http://127.0.0.1:{port}/api/v1/events", json=event | {"uuid": str(uuid4())}
            ) as got:
                assert got.status == 201
            took.append((time.perf_counter() - began) * 1000)

        async def upload(body: bytes) -> None:
            async with session.post(f"http://127.0.0.1:{port}/api/v1/files", data=form(body)) as got:
                assert got.status == 201

        tasks = []
        waiting = list(bodies)
        for number in range(int(seconds * 200)):
            tasks.append(asyncio.create_task(post()))
            if number % 40 == 0 and waiting:
                tasks.append(asyncio.create_task(upload(waiting.pop())))
            await asyncio.sleep(0.005)
        await asyncio.gather(*tasks)
    return statistics.quantiles(took, n=100)[98]


def main() -> None:
    """Measure and print."""
    var = Path("var/bench")
    var.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=var) as folder:
        pin = ("taskset", "-c", "0")
        os.sched_setaffinity(0, {1})
        port = free_port()
        there = ServerProcess(
            Path(folder) / "x", Path(folder) / "bare.log", prefix=pin, module=("bench.uploads", "bare")
        )
        there._command += [folder, str(port)]  # noqa: SLF001 - the helper of the tests
        there._environment["PYTHONPATH"] = "tests"  # noqa: SLF001
        there.launch()
        with ServerProcess(Path(folder) / "root", Path(folder) / "log", prefix=pin) as ours:
            time.sleep(1)
            seed = 0
            for ratio in (1, 5):
                ratios = []
                for _ in range(RUNS):
                    bodies = [archive(seed := seed + 1, ratio) for _ in range(UPLOADS)]
                    mine = asyncio.run(rate(f"http://127.0.0.1:{ours.port}/api/v1/files", bodies))
                    bares = asyncio.run(rate(f"http://127.0.0.1:{port}/", bodies))
                    ratios.append(mine / bares)
                    print(
                        f"ratio {ratio}: {len(bodies[0]):,} bytes; {mine:.1f}/s, bare {bares:.1f}/s: {ratios[-1]:.2f}"
                    )
                print(f"ratio {ratio}: median {statistics.median(ratios):.2f} (wanted: 0.7)")
            alone = asyncio.run(p99_of_posts(ours.port, []))
            beside = asyncio.run(p99_of_posts(ours.port, [archive(seed := seed + 1, 1) for _ in range(40)]))
            print(f"p99 of POSTs: {alone:.1f} ms, {beside:.1f} ms beside 5 uploads/s: {beside / alone:.2f} (wanted: 2)")


if __name__ == "__main__":
    if sys.argv[1:2] == ["bare"]:
        app = web.Application(client_max_size=64 * MIB)
        app.add_routes([web.post("/", bare)])
        web.run_app(app, host="127.0.0.1", port=int(sys.argv[3]), access_log=None, print=None, loop=make_event_loop())
    else:
        main()
