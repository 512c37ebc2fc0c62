"""Senders of a server whose store comes and goes, and what they were told."""

import asyncio
import json
import time
from contextlib import suppress
from random import Random
from typing import Any
from uuid import UUID

import aiohttp

from tests.system.server_process import ServerProcess
from tests.system.wire import get
from tests.system.workload import GONE, Ledger, make_event

TAKEN = {"stored", "spooled"}


class SpooledLoad:
    """Many senders at once, each event sent once, most of them alone and some in batches.

    Attributes:
        ledger: what was acknowledged.
        refused: answers other than 201 (and of a batch, verdicts), with what they said.
        seconds: by answer (``stored``, ``spooled``, ...) how long each single POST took.

    """

    def __init__(self, url: str, ledger: Ledger, seed: str) -> None:
        self.url = url
        self.ledger = ledger
        self.refused: list[str] = []
        self.seconds: dict[str, list[tuple[float, float]]] = {}
        self._random = Random(seed)
        self._stopping = False

    def stop(self) -> None:
        """Let each sender finish what it has begun."""
        self._stopping = True

    async def run(self, senders: int = 16, *, batches: bool = True, pause: float = 0.0) -> None:
        """Send until stopped, or until the server is gone; each sender pauses about so many seconds between events."""
        timeout = aiohttp.ClientTimeout(total=60)
        async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0)) as session:
            await asyncio.gather(*(self._send(session, batches, pause) for _ in range(senders)))

    def slowest(self, status: str, *, since: float = 0.0) -> float:
        """Return the longest single POST with this answer that began after a moment (``time.monotonic``)."""
        return max((took for began, took in self.seconds.get(status, ()) if began >= since), default=0.0)

    async def _send(self, session: aiohttp.ClientSession, batches: bool, pause: float) -> None:  # noqa: FBT001
        while not self._stopping:
            try:
                if batches and self._random.random() < 0.1:
                    await self._batch(session)
                else:
                    await self._single(session)
            except GONE:
                return
            await asyncio.sleep(pause * self._random.uniform(0, 2))

    async def _single(self, session: aiohttp.ClientSession) -> None:
        uuid, body = make_event(self._random, self.ledger.system)
        self.ledger.uncertain[uuid] = {body}
        began = time.monotonic()
        async with session.post(
            f"{self.url}/api/v1/events", data=body, headers={"Content-Type": "application/json"}
        ) as answer:
            echo = await answer.read()
        status = answer.headers.get("Event-Status", str(answer.status))
        self.seconds.setdefault(status, []).append((began, time.monotonic() - began))
        if answer.status == 201 and status in TAKEN:
            if echo != body:
                self.ledger.broken.append(f"echo of {uuid}: {echo[:200]!r}")
            self.ledger.acknowledged[uuid] = body
        else:
            self.refused.append(f"{answer.status} {echo[:200]!r}")

    async def _batch(self, session: aiohttp.ClientSession) -> None:
        made = [make_event(self._random, self.ledger.system) for _ in range(self._random.randrange(1, 40))]
        for uuid, body in made:
            self.ledger.uncertain[uuid] = {body}
        async with session.post(
            f"{self.url}/api/v1/events/batch",
            data=b"\n".join(body for _, body in made),
            headers={"Content-Type": "application/x-ndjson"},
        ) as answer:
            text = await answer.read()
        verdicts: list[dict[str, Any]] = json.loads(text) if answer.status == 200 else []
        if answer.status != 200:
            self.refused.append(f"{answer.status} {text[:200]!r}")
        for (uuid, body), verdict in zip(made, verdicts, strict=False):
            if verdict["status"] in TAKEN:
                self.ledger.acknowledged[uuid] = body
            else:
                self.refused.append(f"batch: {verdict}")


def new_ledger(random: Random) -> Ledger:
    """Return an empty ledger for a new system."""
    return Ledger(str(UUID(bytes=random.randbytes(16), version=4)))


def spool_of(server: ServerProcess) -> dict[str, Any]:
    """Return what the server tells of its spool."""
    parts = json.loads(get(server.port, "/health/ready").body)["parts"]
    value: dict[str, Any] = parts["spool"]
    return value


async def until_drained(server: ServerProcess, seconds: float = 150) -> None:
    """Wait until nothing is in the spool, and the store is up and has done with what was drained into it."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with suppress(OSError, KeyError, ValueError):
            state = await asyncio.to_thread(spool_of, server)
            if state["events"] == 0 and state["storeIsUp"]:
                listed = await asyncio.to_thread(get, server.port, "/api/v1/events?limit=1")
                if listed.status == 200:
                    return
        await asyncio.sleep(0.05)
    raise AssertionError(f"it does not drain: {state}\n{server.output()[-2000:]}")


def url_of(server: ServerProcess) -> str:
    """Return the address."""
    return f"http://127.0.0.1:{server.port}"
