"""``eventserver replay``: stored events are handed to a listener again."""

import asyncio
from typing import Any, Final
from urllib.parse import quote

import click

from backends.base import Query
from eventserver.cli.filters import with_filters
from eventserver.cli.invocation import CommandFailed, with_settings
from eventserver.cli.running import RunningServer, running_server
from eventserver.cli.terminal import progress_bar
from eventserver.config import Settings
from eventserver.web.listeners import PATH

_BUSY: Final = 503
_TRIES: Final = 30
_PAUSE_SECONDS: Final = 2.0


@click.command()
@click.option("--listener", "name", required=True, help="Who gets them.")
@click.option("--yes", is_flag=True, help="Do it. Without this they are only counted.")
@with_filters
@with_settings
def replay(settings: Settings, name: str, query: Query, *, yes: bool) -> None:
    """Feed stored events to a listener again, oldest first: those that its filter takes.

    Counts them first, and does nothing more without --yes. The running server does it. An interrupted replay is begun
    anew: a receiver gets some twice then.
    """
    read, taken = asyncio.run(_replay(settings, name, query, dry=True))
    if not yes:
        click.echo(f"{taken} of {read} stored events would be delivered to {name}; --yes does it")
        return
    read, taken = asyncio.run(_replay(settings, name, query, dry=False))
    click.echo(f"{taken} of {read} stored events are delivered to {name}")


async def _replay(settings: Settings, name: str, query: Query, *, dry: bool) -> tuple[int, int]:
    """Return how many events were read, and how many of them the listener takes."""
    async with running_server(settings) as server:
        if server is None:
            raise CommandFailed("no server is running, and it is the server that delivers")
        parameters = _parameters(query) | {"dryRun": "true" if dry else "false"}
        read = taken = 0
        with progress_bar("counting events" if dry else "handing over events") as advance:
            while True:
                page = await _page(server, f"{PATH}/{quote(name, safe='')}/replay", parameters)
                read += page["read"]
                taken += page["taken"]
                advance(page["read"])
                if page["next"] is None:
                    return read, taken
                parameters["cursor"] = page["next"]


async def _page(server: RunningServer, path: str, parameters: dict[str, str]) -> dict[str, Any]:
    """Hand over a page; while the receiver takes nothing, that is tried again for a minute."""
    for _ in range(_TRIES):
        answer = await server.ask("POST", path, parameters=parameters)
        if answer.status != _BUSY:
            break
        await asyncio.sleep(_PAUSE_SECONDS)
    value: dict[str, Any] = answer.value
    return value


def _parameters(query: Query) -> dict[str, str]:
    if query.smrtlink_id is not None or query.descending:
        raise click.UsageError("--system and --order are not for a replay")
    found = {
        "eventTypeId": query.event_type_id,
        "eventTypeVersion": query.event_type_version,
        "from": query.from_at,
        "to": query.to_at,
    }
    return {name: str(value) for name, value in found.items() if value is not None}
