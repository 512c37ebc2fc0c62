"""What senders do, and what they were told: the ledger that a server is held to after it died."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator
from itertools import islice
from random import Random
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import aiohttp

STATES = ("CREATED", "RUNNING", "SUCCCESSFUL", "FAILED", "\\u00fcnl\\u00f6sbar", "漢字")
NUMBERS = ("1.10", "1E+400", "123456789012345678901234567890", "-0", "0.000")
PIPELINED = 50
CONNECTIONS = 8
GONE = (aiohttp.ClientError, ConnectionError, TimeoutError)


def make_event(random: Random, system: str, *, uuid: str | None = None) -> tuple[str, bytes]:
    """Make an event of random content, spelt as no encoder would spell it.

    Returns:
        Its uuid and its text.

    """
    uuid = uuid or str(UUID(bytes=random.randbytes(16), version=4))
    note = "x" * (random.randrange(60_000) if random.random() < 0.01 else random.randrange(300))
    text = (
        f'{{"smrtLinkId":"{system}","uuid":"{uuid}","createdAt":"2026-11-{random.randrange(1, 29):02}T08:36:21.'
        f'{random.randrange(1000):03}-08:00","eventTypeId":"smrtlink_job_change_state","eventTypeVersion":1,'
        f'"message":{{"state":"{random.choice(STATES)}","jobTypeId":"pbsmrtpipe", "jobId":{random.randrange(10**6)},'
        f'"figure":{random.choice(NUMBERS)},"note":"{note}"}}}}'
    )
    return uuid, text.encode()


class Ledger:
    """What one system's sender knows of its events.

    Attributes:
        acknowledged: what the server said it has stored, by uuid, as it was sent.
        uncertain: what was sent without an answer; it may be stored or not.
        broken: answers that were wrong.

    """

    def __init__(self, system: str) -> None:
        """Begin an empty ledger for a system."""
        self.system = system
        self.acknowledged: dict[str, bytes] = {}
        self.uncertain: dict[str, set[bytes]] = {}
        self.broken: list[str] = []

    def may_be(self, uuid: str, found: bytes | None) -> bool:
        """Tell whether what was found under a uuid (None: nothing) agrees with what is known."""
        if uuid in self.acknowledged:
            return found == self.acknowledged[uuid]
        return found is None or found in self.uncertain.get(uuid, ())


class Workload:
    """Many senders of one system at once, until the server goes away or they are told to stop."""

    def __init__(self, url: str, ledger: Ledger, seed: str) -> None:
        """Send to a server and write into a ledger."""
        self.url = url
        self.ledger = ledger
        self._random = Random(seed)
        self._stopping = False

    async def run(self, senders: int = 24) -> None:
        """Send until stopped or until every sender has lost its server."""
        timeout = aiohttp.ClientTimeout(total=30)
        async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0)) as session:
            await asyncio.gather(*(self._send(session) for _ in range(senders)))

    def stop(self) -> None:
        """Let each sender finish what it has begun."""
        self._stopping = True

    async def _send(self, session: aiohttp.ClientSession) -> None:
        actions: list[Callable[[aiohttp.ClientSession], Awaitable[None]]] = [
            self._single,
            self._batch,
            self._again,
            self._other_content,
            self._race,
        ]
        while not self._stopping:
            [action] = self._random.choices(actions, weights=(12, 3, 2, 1, 1))
            try:
                await action(session)
            except GONE:
                return

    async def _post(self, session: aiohttp.ClientSession, body: bytes, path: str = "", kind: str = "json") -> Any:
        url, headers = f"{self.url}/api/v1/events{path}", {"Content-Type": f"application/{kind}"}
        async with session.post(url, data=body, headers=headers) as answer:
            return answer.status, await answer.read()

    async def _single(self, session: aiohttp.ClientSession) -> None:
        uuid, body = make_event(self._random, self.ledger.system)
        self.ledger.uncertain[uuid] = {body}
        status, echo = await self._post(session, body)
        self._expect((status, echo) == (201, body), f"new {uuid}: {status} {echo[:300]!r}")
        self._acknowledge(uuid, body)

    async def _batch(self, session: aiohttp.ClientSession) -> None:
        made = [make_event(self._random, self.ledger.system) for _ in range(self._random.randrange(1, 60))]
        old = list(islice(self.ledger.acknowledged.items(), self._random.randrange(4)))
        expected = ["stored"] * len(made) + ["duplicate"] * len(old)
        for uuid, body in made:
            self.ledger.uncertain[uuid] = {body}
        bodies = [body for _, body in made + old]
        if self._random.random() < 0.5:
            status, answer = await self._post(session, b"\n".join(bodies), "/batch", "x-ndjson")
        else:
            status, answer = await self._post(session, b"[" + b",".join(bodies) + b"]", "/batch")
        told = [verdict["status"] for verdict in json.loads(answer)] if status == 200 else []
        self._expect((status, told) == (200, expected), f"batch: {status} {answer[:600]!r}")
        for (uuid, body), verdict in zip(made, told, strict=False):
            if verdict == "stored":
                self._acknowledge(uuid, body)

    async def _again(self, session: aiohttp.ClientSession) -> None:
        if self.ledger.acknowledged:
            uuid, body = self._random.choice(list(self.ledger.acknowledged.items()))
            status, echo = await self._post(session, body)
            self._expect((status, echo) == (200, body), f"again {uuid}: {status} {echo[:300]!r}")

    async def _other_content(self, session: aiohttp.ClientSession) -> None:
        if self.ledger.acknowledged:
            uuid = self._random.choice(list(self.ledger.acknowledged))
            status, answer = await self._post(session, make_event(self._random, self.ledger.system, uuid=uuid)[1])
            self._expect(status == 409, f"other content {uuid}: {status} {answer[:300]!r}")

    async def _race(self, session: aiohttp.ClientSession) -> None:
        uuid, one = make_event(self._random, self.ledger.system)
        _, other = make_event(self._random, self.ledger.system, uuid=uuid)
        self.ledger.uncertain[uuid] = {one, other}
        answers = await asyncio.gather(
            *(self._post(session, body) for body in (one, other, one, other)), return_exceptions=True
        )
        winners = [answer[1] for answer in answers if isinstance(answer, tuple) and answer[0] in {200, 201}]
        told = sorted(answer[0] for answer in answers if isinstance(answer, tuple))
        for winner in winners[:1]:
            self._acknowledge(uuid, winner)
        self._expect(len(set(winners)) <= 1 and told.count(201) <= 1, f"race {uuid}: {told}")
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer
        self._expect(told == [200, 201, 409, 409], f"race {uuid}: {told}")

    def _acknowledge(self, uuid: str, body: bytes) -> None:
        self.ledger.acknowledged[uuid] = body

    def _expect(self, right: bool, text: str) -> None:  # noqa: FBT001 - the answer to a comparison
        if not right:
            self.ledger.broken.append(text)


async def check(url: str, ledger: Ledger) -> None:
    """Hold a server to a ledger: each event by uuid, and the system's list with each exactly once."""
    assert ledger.broken == []
    await _check_by_uuid(urlsplit(url).port, ledger)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as session:
        listed = await _list(session, url, ledger.system)
    uuids = [event["uuid"] for event in listed]
    assert len(uuids) == len(set(uuids)), f"in the list more than once: {_repeated(uuids)}"
    missing = ledger.acknowledged.keys() - set(uuids)
    assert not missing, f"acknowledged and not in the list: {sorted(missing)[:5]} of {len(missing)}"
    strange = set(uuids) - ledger.acknowledged.keys() - ledger.uncertain.keys()
    assert not strange, f"in the list and never sent: {sorted(strange)[:5]}"


async def _check_by_uuid(port: int | None, ledger: Ledger) -> None:
    """Ask for each event, with many requests on their way on each of some connections: much faster than one by one."""
    batches = _batched({**ledger.acknowledged, **ledger.uncertain}, PIPELINED)
    async with asyncio.timeout(120), asyncio.TaskGroup() as group:
        for _ in range(CONNECTIONS):
            group.create_task(_check_batches(port, ledger, batches))


async def _check_batches(port: int | None, ledger: Ledger, batches: Iterator[list[str]]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for uuids in batches:
        lines = (f"GET /api/v1/events/{uuid} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" for uuid in uuids)
        writer.write("".join(lines).encode())
        for uuid in uuids:
            status, body = await _read_answer(reader)
            assert status in {200, 404}, f"{uuid}: {status}"
            assert ledger.may_be(uuid, body if status == 200 else None), f"{uuid}: {status} {body!r}"
    writer.close()


async def _read_answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"(?i)\r\ncontent-length: *([0-9]+)\r\n", head)
    assert length is not None, head
    return int(head[9:12]), await reader.readexactly(int(length[1]))


def _batched(values: Iterable[str], size: int) -> Iterator[list[str]]:
    iterator = iter(values)
    while batch := list(islice(iterator, size)):
        yield batch


async def _list(session: aiohttp.ClientSession, url: str, system: str) -> list[Any]:
    events: list[Any] = []
    following: Any = f"{url}/api/v1/events/smrt-link/{system}?limit=1000"
    while following:
        async with session.get(following) as answer:
            assert answer.status == 200, await answer.text()
            events += json.loads(await answer.read())
            link = answer.links.get("next")
            following = link["url"] if link else None
    return events


def _repeated(uuids: list[str]) -> list[str]:
    return sorted({uuid for uuid in uuids if uuids.count(uuid) > 1})[:5]
