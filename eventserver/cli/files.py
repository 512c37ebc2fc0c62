"""``eventserver files``: the bundles that a server has, what is in them, and the files themselves."""

import json
import sys
from collections.abc import AsyncIterator
from contextlib import nullcontext
from heapq import merge
from pathlib import Path
from typing import Any, Final

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from eventserver.bundle import UPLOADED_PATH
from eventserver.cli.at_server import ask, with_url
from eventserver.cli.filters import InstantType, UuidType
from eventserver.cli.invocation import with_settings
from eventserver.cli.terminal import plain
from eventserver.client import BundleMember, EventServerClient, ReceivedEvent
from eventserver.config import Settings
from eventserver.instant import parse_instant

_PREFIX: Final = "sl_ts_"
_HEADS: Final = ("createdAt", "uuid", "type", "system", "file")


@click.group()
def files() -> None:
    """See what bundles a server has, and get what is in them."""


@files.command("list")
@click.option("--system", type=UuidType(), help="Only bundles of this SMRT Link system.")
@click.option("--from", "from_at", type=InstantType(), help="Only bundles created at this time or later.")
@click.option("--to", "to_at", type=InstantType(), help="Only bundles created before this time.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="Show at most so many.")
@with_url
@with_settings
def list_files(settings: Settings, url: str | None, *, limit: int, **filters: str | None) -> None:
    """List bundles, the newest first: a table on a terminal, piped the events as NDJSON."""

    async def read(client: EventServerClient) -> list[ReceivedEvent]:
        types = {each.event_type_id for each in await client.event_types() if each.event_type_id.startswith(_PREFIX)}
        found = [await _newest(client, name, limit, filters) for name in sorted(types)]
        return list(merge(*found, key=_moment_of, reverse=True))[:limit]

    events = ask(settings, url, read)
    if not sys.stdout.isatty():
        for event in events:
            click.echo(event.text)
        return
    table = Table(*_HEADS)
    for value in (event.value for event in events):
        name = value["message"][UPLOADED_PATH].rpartition("/")[2][37:]
        cells = (value["createdAt"], value["uuid"], value["eventTypeId"], value["smrtLinkId"], name)
        table.add_row(*[Text(plain(cell)) for cell in cells])
    Console().print(table)


@files.command("show")
@click.argument("uuid", type=UuidType())
@with_url
@with_settings
def show_file(settings: Settings, uuid: str, url: str | None) -> None:
    """Show what is in the bundle with this UUID: a table on a terminal, piped NDJSON."""

    async def read(client: EventServerClient) -> list[BundleMember]:
        return await client.contents(uuid)

    members = ask(settings, url, read)
    if not sys.stdout.isatty():
        for member in members:
            kind = "directory" if member.is_directory else "file"
            told = {"path": member.path, "type": kind, "size": member.size, "modifiedAt": member.modified_at}
            click.echo(json.dumps(told, ensure_ascii=False, separators=(",", ":")))
        return
    table = Table("path", "size", "modifiedAt")
    for member in members:
        size = "" if member.is_directory else f"{member.size:,}"
        table.add_row(Text(plain(member.path) + "/" * member.is_directory), size, member.modified_at)
    Console().print(table)


@files.command("get")
@click.argument("uuid", type=UuidType())
@click.argument("path", required=False)
@click.option(
    "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write there. [default: standard output]"
)
@with_url
@with_settings
def get_file(settings: Settings, uuid: str, path: str | None, url: str | None, *, output: Path | None) -> None:
    """Get the archive of the bundle with this UUID, or the one file PATH out of it."""

    async def copy(client: EventServerClient) -> None:
        chunks = client.download(uuid, path)
        first = await anext(chunks, b"")
        # Only now: an error leaves nothing behind, and whatever lies there as it is.
        with nullcontext(sys.stdout.buffer) if output is None else output.open("wb") as target:
            target.write(first)
            async for chunk in chunks:
                target.write(chunk)

    ask(settings, url, copy)


async def _newest(client: EventServerClient, name: str, limit: int, filters: dict[str, Any]) -> list[ReceivedEvent]:
    events: AsyncIterator[ReceivedEvent] = client.find(
        event_type=name,
        system=filters["system"],
        from_=filters["from_at"],
        to=filters["to_at"],
        newest_first=True,
    )
    found = []
    async for event in events:
        if UPLOADED_PATH in event.value["message"]:
            found.append(event)
            if len(found) == limit:
                break
    return found


def _moment_of(event: ReceivedEvent) -> tuple[str, str]:
    value = event.value
    return parse_instant(value["createdAt"]), value["uuid"]
