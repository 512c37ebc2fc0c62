"""Several servers on one store, and what each of them shows."""

import asyncio
from contextlib import ExitStack
from pathlib import Path
from random import Random

import aiohttp

from tests.system.remote_faults import make_server
from tests.system.server_process import ServerProcess
from tests.system.spooled_load import new_ledger, url_of
from tests.system.wire import exchange, get, request
from tests.system.workload import make_event

LISTS = ("/api/v1/events/smrt-link/{system}", "/api/v1/events", "/api/v1/events?eventTypeId=smrtlink_job_change_state")


def lists(server: ServerProcess, system: str) -> list[list[bytes]]:
    """Return each list that events are in, as they were sent."""
    found = []
    for path in LISTS:
        headers = [("Accept", "application/x-ndjson")]
        answer = exchange(server.port, request("GET", path.format(system=system), headers=headers))
        assert answer.status == 200, answer
        found.append(answer.body.splitlines())
    return found


async def share_one_uuid(folder: Path, url: str, seed: str, contents: int) -> None:
    """POST 50 times under one uuid to two servers by turns, all at once, and hold them to what they answer.

    Args:
        folder: for what the servers keep.
        url: of their store.
        seed: of the events.
        contents: how many contents there are among the 50.

    """
    random = Random(seed)
    system = new_ledger(random).system
    with ExitStack() as stack:
        servers = [stack.enter_context(make_server(folder / str(number), url)) for number in range(2)]
        for turn in range(3):
            uuid, body = make_event(random, system)
            bodies = [body, *(make_event(random, system, uuid=uuid)[1] for _ in range(contents - 1))]
            sent = [bodies[number // 2 % contents] for number in range(50)]
            answers = await split(servers, sent)
            (winner,) = [echo for status, echo in answers if status == 201]
            for each, (status, echo) in zip(sent, answers, strict=True):
                assert (status, echo) in {(200, winner), (201, winner)} if each == winner else status == 409
            for server in servers:
                assert get(server.port, f"/api/v1/events/{uuid}").body == winner
                for listed in lists(server, system):
                    assert listed.count(winner) == 1
                    assert len(listed) == turn + 1


async def split(servers: list[ServerProcess], bodies: list[bytes]) -> list[tuple[int, bytes]]:
    """POST all at once, to one server after the other."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def send(number: int, body: bytes) -> tuple[int, bytes]:
            url = f"{url_of(servers[number % len(servers)])}/api/v1/events"
            async with session.post(url, data=body, headers={"Content-Type": "application/json"}) as answer:
                return answer.status, await answer.read()

        return await asyncio.gather(*(send(number, body) for number, body in enumerate(bodies)))
