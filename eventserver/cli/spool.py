"""``eventserver spool``: what waits for the store, seen, checked, written out, and drained."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple

import click

from backends.record import DamagedRecordError, is_intact, original_of, read_event
from backends.spool import Spool, SpoolReader, Waiting
from backends.spool.state import age_of
from eventserver.cli.export import opened_output
from eventserver.cli.invocation import CommandFailed, with_settings
from eventserver.cli.owning import own_directory
from eventserver.cli.running import RunningServer, running_server
from eventserver.cli.terminal import progress_bar
from eventserver.config import Settings
from eventserver.storage import spool_directory

_POLL_SECONDS: Final = 0.2
_PATIENCE_SECONDS: Final = 15
_SHOWN: Final = 100


class Depth(NamedTuple):
    """How a spool is that somebody has open."""

    events: int
    is_up: bool
    """Whether the store takes events."""


Measure = Callable[[], Awaitable[Depth]]


@click.group()
def spool() -> None:
    """See, check and drain what waits for the store.

    A server whose store is away (SMRTFLOW_EVENT_STORE names one elsewhere) keeps events in its spool, and hands them
    over by itself when the store is back.
    """


@spool.command()
@with_settings
def status(settings: Settings) -> None:
    """Say how much waits, for how long, and whether the store is there. Works beside a running server."""
    for line in asyncio.run(_status(settings)):
        click.echo(line)


@spool.command()
@with_settings
def verify(settings: Settings) -> None:
    """Check the checksum of every record that waits.

    Only reads, and works beside a running server. Exit code 1 when something is damaged.
    """
    whole, problems = asyncio.run(_verify(settings))
    for problem in problems[:_SHOWN]:
        click.echo(problem)
    if len(problems) > _SHOWN:
        click.echo(f"... and {len(problems) - _SHOWN} more")
    if problems:
        click.echo("A damaged record is left out when the spool drains; its line is then kept in `spool/damaged`.")
        raise CommandFailed(f"damaged records: {len(problems)}; whole events: {whole}")
    click.echo(f"All is well: {whole} events wait.")


@spool.command()
@with_settings
def drain(settings: Settings) -> None:
    """Hand over to the store what waits, now, and return when nothing does.

    Beside a running server the server does it; without one, this command. To move what waits to another store, set
    SMRTFLOW_EVENT_STORE to that one.
    """
    count = asyncio.run(_drain(settings))
    click.echo("Nothing waits." if count == 0 else f"{count} events were handed over.")


@spool.command()
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File to write, which appears when it is whole; standard output otherwise.",
)
@click.option("--records", is_flag=True, help="With the keys that the server added: @at, @received, @crc.")
@with_settings
def export(settings: Settings, output: Path | None, *, records: bool) -> None:
    """Write what waits as NDJSON: each event as it was sent, one a line, in the order of their arrival.

    Only reads, and works beside a running server. Damaged records are left out, and the exit code is 1 then.
    """
    with opened_output(output) as file:
        whole, damaged = asyncio.run(_export(settings, file, records=records))
    if output is not None:
        click.echo(f"{whole} events written to {output}", err=True)
    if damaged:
        raise CommandFailed(f"damaged records, left out: {damaged}; see `eventserver spool verify`")


async def _status(settings: Settings) -> list[str]:
    async with running_server(settings) as server:
        state = None if server is None else await _spool_of(server)
        waiting = await _measure(settings)
        lines = [f"events that wait: {waiting.events}, {waiting.bytes} of {settings.event_spool_max_bytes} bytes"]
        if waiting.oldest is not None:
            lines.append(f"the oldest arrived {waiting.oldest}, {age_of(waiting.oldest):.0f} s ago")
        if server is None:
            return [*lines, "no server is running: nothing is drained"]
        if state is None:
            return [*lines, f"the server at {server.address} has no spool: its store is on this machine"]
        if state["storeIsUp"]:
            return [*lines, f"the store is there; {state['drainedPerSecond']:.0f} events are drained a second"]
        return [*lines, f"the store has been away for {state['storeAwaySeconds']:.0f} s"]


async def _measure(settings: Settings) -> Waiting:
    async with SpoolReader(spool_directory(settings)) as reader:
        return reader.measure()


async def _verify(settings: Settings) -> tuple[int, list[str]]:
    """Return how many events are whole, and a sentence for each record that is not."""
    whole, problems = 0, []
    async with SpoolReader(spool_directory(settings)) as reader:
        with progress_bar("reading the spool") as advance:
            for place, line in reader.lines():
                try:
                    read_event(line)
                    whole += 1
                except DamagedRecordError as error:
                    where = reader.path_of(place)
                    problems.append(f"{where}, byte {place.offset}, {place.length} bytes: {error}")
                advance()
    return whole, problems


async def _export(settings: Settings, file: BinaryIO, *, records: bool) -> tuple[int, int]:
    """Write the events, and return how many there were, and how many damaged records beside them."""
    whole = damaged = 0
    async with SpoolReader(spool_directory(settings)) as reader:
        with progress_bar("exporting events") as advance:
            for _, line in reader.lines():
                if is_intact(line):
                    file.write((line if records else original_of(line)) + b"\n")
                    whole += 1
                else:
                    damaged += 1
                advance()
    return whole, damaged


async def _drain(settings: Settings) -> int:
    """Return how many events waited."""
    async with running_server(settings) as server:
        if server is not None:
            found = server

            async def ask() -> Depth:
                state = await _spool_of(found)
                return Depth(0, is_up=True) if state is None else Depth(state["events"], is_up=state["storeIsUp"])

            return await _watch(ask)
    async with own_directory(settings, "eventserver spool drain") as own:
        store = own.intake.store
        if not isinstance(store, Spool):
            return 0
        opened = store

        async def look() -> Depth:
            state = opened.state()
            return Depth(state.events, is_up=state.is_up)

        return await _watch(look)


async def _watch(measure: Measure) -> int:
    """Wait until nothing is left; return how much there was.

    Raises:
        CommandFailed: nothing has gone for a while.

    """
    depth = await measure()
    first, least, last_progress = depth.events, depth.events, time.monotonic()
    with progress_bar("draining the spool", first) as advance:
        while depth.events:
            await asyncio.sleep(_POLL_SECONDS)
            depth = await measure()
            if depth.events < least:
                advance(least - depth.events)
                least, last_progress = depth.events, time.monotonic()
            elif time.monotonic() - last_progress > _PATIENCE_SECONDS:
                reason = "it takes none of them" if depth.is_up else "it is away"
                raise CommandFailed(f"{depth.events} events wait for the store: {reason}. They stay in the spool")
    return first


async def _spool_of(server: RunningServer) -> dict[str, Any] | None:
    """Return what a server tells of its spool; None when it has none. Its store is looked for at once by this."""
    answer = await server.ask("GET", "/health/ready")
    try:
        parts = json.loads(answer.body)["parts"]
    except (ValueError, KeyError, TypeError) as error:
        raise CommandFailed(f"the server at {server.address} does not tell how it is: {answer.status}") from error
    found: dict[str, Any] | None = parts.get("spool")
    return found
