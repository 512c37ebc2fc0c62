"""``eventserver events``: look up what is stored, here (also beside a running server) or at a server elsewhere."""

import asyncio
import sys
from collections.abc import Sequence

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from backends import open_store
from backends.base import Query
from backends.record import original_of
from eventserver.cli.at_server import client_of
from eventserver.cli.filters import UuidType, with_filters
from eventserver.cli.invocation import CommandFailed, with_settings
from eventserver.cli.terminal import plain
from eventserver.client import EventServerError, NotFound
from eventserver.client.events import line_of
from eventserver.config import Settings
from eventserver.message import parse
from eventserver.storage import tells_of_spool

_PAGE_BYTES = 4 * 1024 * 1024
_with_url = click.option("--url", help="Ask this server, such as http://events.example.org:8070, not the store here.")


@click.group()
def events() -> None:
    """Look up stored events.

    Reads the store itself, also beside a running server, and shows what was acknowledged up to now. With --url it asks
    a server; SMRTFLOW_EVENT_ADMIN_TOKEN and SMRTFLOW_EVENT_API_SECRET are the credentials.
    """


@events.command("get")
@click.argument("uuid", type=UuidType())
@click.option("--record", is_flag=True, help="With the keys that the server added: @at, @received, @crc.")
@_with_url
@with_settings
def get_event(settings: Settings, uuid: str, url: str | None, *, record: bool) -> None:
    """Print the event with this UUID, as it was sent."""
    if url is not None and record:
        msg = "--record is of the store here; a server gives events as they were sent"
        raise click.UsageError(msg)
    found = asyncio.run(_get(settings, uuid) if url is None else _ask_one(settings, url, uuid))
    if found is None:
        msg = f"there is no event {uuid}"
        if url is None and (note := tells_of_spool(settings)):
            msg = f"{msg}. {note}"
        raise CommandFailed(msg)
    click.echo(found if record or url is not None else original_of(found))


@events.command("list")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="Print at most so many.")
@_with_url
@with_filters
@with_settings
def list_events(settings: Settings, query: Query, url: str | None, *, limit: int) -> None:
    """List events in the order of their createdAt: a table on a terminal, else each event as it was sent, as NDJSON.

    `eventserver export` has no limit.
    """
    found, more = asyncio.run(_list(settings, query, limit) if url is None else _ask(settings, url, query, limit))
    if sys.stdout.isatty():
        _show(found)
    else:
        for text in found:
            click.echo(text)
    if more:
        click.echo(f"There are more than {limit}; --limit shows more of them.", err=True)
    if url is None and (note := tells_of_spool(settings)):
        click.echo(note, err=True)


def _show(texts: Sequence[bytes]) -> None:
    table = Table("createdAt, in UTC", "uuid", "type", "system")
    for text in texts:
        event = parse(text)
        cells = (event.at, event.uuid, f"{event.event_type_id}/{event.event_type_version}", event.smrtlink_id)
        table.add_row(*[Text(plain(cell)) for cell in cells])
    Console().print(table)


async def _get(settings: Settings, uuid: str) -> bytes | None:
    async with open_store(settings.event_store, root=settings.event_root_dir, read_only=True) as store:
        return await store.get(uuid)


async def _list(settings: Settings, query: Query, limit: int) -> tuple[list[bytes], bool]:
    """Return the first events of a list, and whether there are more."""
    found: list[bytes] = []
    async with open_store(settings.event_store, root=settings.event_root_dir, read_only=True) as store:
        while True:
            page = await store.find(query, limit=limit - len(found), max_bytes=_PAGE_BYTES)
            found += [original_of(record) for record in page.records]
            if page.next is None or len(found) == limit:
                return found, page.next is not None
            query = query._replace(after=page.next)


async def _ask_one(settings: Settings, url: str, uuid: str) -> bytes | None:
    try:
        async with client_of(settings, url) as client:
            return (await client.get(uuid)).text
    except NotFound:
        return None
    except (EventServerError, ValueError) as error:
        raise CommandFailed(str(error)) from error


async def _ask(settings: Settings, url: str, query: Query, limit: int) -> tuple[list[bytes], bool]:
    """Return the first events of a server's list, and whether there are more."""
    try:
        async with client_of(settings, url) as client:
            asked = client.find(
                system=query.smrtlink_id,
                event_type=query.event_type_id,
                version=query.event_type_version,
                from_=query.from_at,
                to=query.to_at,
                newest_first=query.descending,
                limit=limit + 1,
            )
            found = [line_of(event.text) async for event in asked]
    except (EventServerError, ValueError) as error:
        raise CommandFailed(str(error)) from error
    return found[:limit], len(found) > limit
