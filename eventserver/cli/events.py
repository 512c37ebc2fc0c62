"""``eventserver events``: look up what is stored, also beside a running server."""

import asyncio

import click

from backends import open_store
from backends.base import Query
from backends.record import original_of, read_event
from eventserver.cli.filters import UuidType, with_filters
from eventserver.cli.invocation import CommandFailed, with_settings
from eventserver.config import Settings
from eventserver.storage import tells_of_spool

_PAGE_BYTES = 4 * 1024 * 1024


@click.group()
def events() -> None:
    """Look up stored events.

    Reads the store itself, also beside a running server, and shows what was acknowledged up to now.
    """


@events.command("get")
@click.argument("uuid", type=UuidType())
@click.option("--record", is_flag=True, help="With the keys that the server added: @at, @received, @crc.")
@with_settings
def get_event(settings: Settings, uuid: str, *, record: bool) -> None:
    """Print the event with this UUID, as it was sent."""
    found = asyncio.run(_get(settings, uuid))
    if found is None:
        msg = f"there is no event {uuid}"
        if note := tells_of_spool(settings):
            msg = f"{msg}. {note}"
        raise CommandFailed(msg)
    click.echo(found if record else original_of(found))


@events.command("list")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="Print at most so many.")
@with_filters
@with_settings
def list_events(settings: Settings, query: Query, *, limit: int) -> None:
    """List events in the order of their createdAt: a line each with instant, uuid, type, version and system.

    `eventserver export` prints the events themselves.
    """
    records, more = asyncio.run(_list(settings, query, limit))
    for record in records:
        event = read_event(record)
        click.echo(f"{event.at}  {event.uuid}  {event.event_type_id}/{event.event_type_version}  {event.smrtlink_id}")
    if more:
        click.echo(f"There are more than {limit}; --limit shows more of them.", err=True)
    if note := tells_of_spool(settings):
        click.echo(note, err=True)


async def _get(settings: Settings, uuid: str) -> bytes | None:
    async with open_store(settings.event_store, root=settings.event_root_dir, read_only=True) as store:
        return await store.get(uuid)


async def _list(settings: Settings, query: Query, limit: int) -> tuple[list[bytes], bool]:
    """Return the first records of a list, and whether there are more."""
    records: list[bytes] = []
    async with open_store(settings.event_store, root=settings.event_root_dir, read_only=True) as store:
        while True:
            page = await store.find(query, limit=limit - len(records), max_bytes=_PAGE_BYTES)
            records += page.records
            if page.next is None or len(records) == limit:
                return records, page.next is not None
            query = query._replace(after=page.next)
