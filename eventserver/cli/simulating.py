"""``eventserver simulate``: believable traffic for demonstrations and load, sent to any server."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from http import HTTPStatus
from itertools import islice
from random import SystemRandom
from typing import Final

import click
from aiohttp import ClientSession, ClientTimeout, TCPConnector

from eventserver.cli.invocation import AskedWrongly, CommandFailed, with_settings
from eventserver.cli.running import Answer, RunningServer, address_of_owner
from eventserver.cli.terminal import Advance, plain, progress_bar
from eventserver.config import Settings
from eventserver.schemas import SchemaError, SchemaRegistry
from eventserver.simulation import Simulation

_TAKEN: Final = frozenset({"stored", "spooled", "duplicate"})
_SECONDS: Final = 60
_CONNECT_SECONDS: Final = 5
_BURSTS: Final = 10
"""At a rate, a second's events are sent in so many batches at least."""
_STOPPING: Final = frozenset({401, 403, 404, 405, 413, 429, 500, 502, 503, 504, 507})
"""Answers that say nothing of the events, and that the next ones would get too."""


class Pace:
    """Lets no more events pass than a rate.

    Args:
        rate: events a second; 0 is as many as there are.

    """

    def __init__(self, rate: float) -> None:
        self._seconds = 1 / rate if rate else 0.0
        self._next = time.monotonic()

    async def wait(self, events: int) -> None:
        """Wait until these are due."""
        due = self._next
        self._next += events * self._seconds
        await asyncio.sleep(max(0.0, due - time.monotonic()))


@click.command("simulate")
@click.option("--url", help="The server. [default: the one on the data directory, or the one on this machine's port]")
@click.option("--systems", type=click.IntRange(1), default=200, show_default=True, help="How many systems send.")
@click.option("--days", type=click.IntRange(1), default=30, show_default=True, help="How many days they have lived.")
@click.option("--until", type=click.DateTime(["%Y-%m-%d"]), help="The day after the last one, in UTC. [default: today]")
@click.option("--rate", type=click.FloatRange(0), default=0.0, help="Events a second. [default: as fast as it goes]")
@click.option(
    "--batch", type=click.IntRange(1), default=500, show_default=True, help="Events a request; 1: single POSTs."
)
@click.option("--connections", type=click.IntRange(1), default=4, show_default=True, help="Requests at a time.")
@click.option("--seed", help="The same seed makes the same traffic of the same days. [default: another one each time]")
@with_settings
def simulate(
    settings: Settings,
    *,
    url: str | None,
    systems: int,
    days: int,
    until: datetime | None,
    rate: float,
    batch: int,
    connections: int,
    seed: str | None,
) -> None:
    """Send the traffic of many SMRT Link systems over some days, made from the schemas, to a server.

    Jobs run through their states and some fail, systems are installed and upgraded, and some fall silent. All that
    it sends is valid; whatever the server refuses is counted, and makes the exit code 1. Run again with the same seed,
    nothing is stored twice.
    """
    seed = seed or str(SystemRandom().randrange(10**6))
    address = (
        (url or "").rstrip("/")
        or address_of_owner(settings.event_root_dir)
        or f"http://127.0.0.1:{settings.server_port}"
    )
    end = until.replace(tzinfo=UTC) if until else datetime.now(UTC)
    simulation = Simulation(_schemas(settings), systems=systems, days=days, until=end, seed=seed)
    size = max(1, min(batch, int(rate / _BURSTS))) if rate else batch
    verdicts: Counter[str] = Counter()
    started = time.monotonic()
    try:
        with progress_bar("sending events", simulation.count()) as advance:
            asyncio.run(_send(address, simulation, verdicts, advance, Pace(rate), size=size, connections=connections))
    finally:
        seconds = time.monotonic() - started
        counts = ", ".join(f"{count} {plain(verdict)}" for verdict, count in verdicts.most_common())
        click.echo(f"{verdicts.total()} events in {seconds:.1f} s (seed {plain(seed)}): {counts or 'nothing sent'}")
    if refused := sum(count for verdict, count in verdicts.items() if verdict not in _TAKEN):
        msg = f"events not taken: {refused}"
        raise CommandFailed(msg)


def _schemas(settings: Settings) -> dict[tuple[str, int], dict[str, object]]:
    registry = SchemaRegistry(settings.event_schema_dir)
    try:
        registry.load()
    except SchemaError as error:
        raise AskedWrongly(str(error)) from error
    return registry.schemas


async def _send(
    address: str,
    simulation: Simulation,
    verdicts: Counter[str],
    advance: Advance,
    pace: Pace,
    *,
    size: int,
    connections: int,
) -> None:
    events = simulation.events()
    timeout = ClientTimeout(_SECONDS, sock_connect=_CONNECT_SECONDS)
    async with ClientSession(timeout=timeout, connector=TCPConnector(limit=connections)) as session:
        server = RunningServer(session, address)
        work = [asyncio.ensure_future(_work(server, events, verdicts, advance, pace, size)) for _ in range(connections)]
        try:
            await asyncio.gather(*work)
        finally:
            for worker in work:
                worker.cancel()
            await asyncio.gather(*work, return_exceptions=True)


async def _work(
    server: RunningServer, events: Iterator[bytes], verdicts: Counter[str], advance: Advance, pace: Pace, size: int
) -> None:
    while lines := list(islice(events, size)):
        await pace.wait(len(lines))
        verdicts.update(await (_post(server, lines[0]) if size == 1 else _post_batch(server, lines)))
        advance(len(lines))


async def _post(server: RunningServer, event: bytes) -> list[str]:
    headers = {"Content-Type": "application/json"}
    answer = await server.ask("POST", f"{server.address}/api/v1/events", body=event, headers=headers)
    _stop_if_hopeless(answer)
    if answer.status in {HTTPStatus.OK, HTTPStatus.CREATED}:
        return [answer.headers.get("Event-Status", "stored")]
    return [_code_of(answer)]


async def _post_batch(server: RunningServer, lines: list[bytes]) -> list[str]:
    headers = {"Content-Type": "application/x-ndjson"}
    answer = await server.ask("POST", f"{server.address}/api/v1/events/batch", body=b"\n".join(lines), headers=headers)
    _stop_if_hopeless(answer)
    return [verdict.get("code") or verdict["status"] for verdict in answer.value]


def _code_of(answer: Answer) -> str:
    try:
        return str(json.loads(answer.body)["code"])
    except (ValueError, KeyError, TypeError):
        return str(answer.status)


def _stop_if_hopeless(answer: Answer) -> None:
    if answer.status in _STOPPING:
        msg = f"stopped: {answer.problem}"
        raise CommandFailed(msg)
