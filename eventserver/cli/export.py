"""``eventserver export``: events as NDJSON."""

import asyncio
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import click

from backends import open_store
from backends.base import Query
from backends.record import original_of
from eventserver.cli.filters import with_filters
from eventserver.cli.invocation import CommandFailed, with_settings
from eventserver.cli.terminal import progress_bar
from eventserver.config import Settings
from eventserver.storage import tells_of_spool

_PAGE_EVENTS = 1000
_PAGE_BYTES = 4 * 1024 * 1024


@click.command()
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File to write, which appears when it is whole; standard output otherwise.",
)
@click.option("--records", is_flag=True, help="With the keys that the server added: @at, @received, @crc.")
@with_filters
@with_settings
def export(settings: Settings, query: Query, output: Path | None, *, records: bool) -> None:
    """Write events as NDJSON: each as it was sent, one a line, in the order of their createdAt.

    Reads the store itself, also beside a running server. An event that is there at the start, and fits the filters, is
    in the output exactly once. Posting the output to /api/v1/events/batch gives the events to another server.
    """
    with opened_output(output) as file:
        count = asyncio.run(_export(settings, query, file, records=records))
    if output is not None:
        click.echo(f"{count} events written to {output}", err=True)
    if note := tells_of_spool(settings):
        click.echo(note, err=True)


async def _export(settings: Settings, query: Query, file: BinaryIO, *, records: bool) -> int:
    count = 0
    async with open_store(settings.event_store, root=settings.event_root_dir, read_only=True) as store:
        with progress_bar("exporting events") as advance:
            while True:
                page = await store.find(query, limit=_PAGE_EVENTS, max_bytes=_PAGE_BYTES)
                file.writelines((record if records else original_of(record)) + b"\n" for record in page.records)
                count += len(page.records)
                advance(len(page.records))
                if page.next is None:
                    return count
                query = query._replace(after=page.next)


@contextmanager
def opened_output(output: Path | None) -> Iterator[BinaryIO]:
    """Open standard output, or a file that takes its name when all of it is written and synced."""
    if output is None:
        yield sys.stdout.buffer
        return
    temporary = output.with_name(f"{output.name}.part")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(output)
    except OSError as error:
        msg = f"{output} can't be written: {error.strerror}"
        raise CommandFailed(msg) from error
    finally:
        temporary.unlink(missing_ok=True)
