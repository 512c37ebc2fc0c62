"""``eventserver send``: events from a file or standard input to any server."""

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, islice
from typing import BinaryIO, Final

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from eventserver.cli.at_server import address_of, client_of, with_url
from eventserver.cli.invocation import CommandFailed, with_settings
from eventserver.cli.terminal import plain, progress_bar
from eventserver.client import EventServerError, Verdict
from eventserver.config import Settings
from eventserver.json_array import split_array
from eventserver.refusal import Refusal

_BATCH: Final = 500
_MOST_OF_AN_ARRAY: Final = 10_000_000
_ROWS: Final = 50


@click.command()
@click.argument("file", type=click.File("rb"), default="-")
@with_url
@with_settings
def send(settings: Settings, file: BinaryIO, url: str | None) -> None:
    """Send events from FILE (or standard input): one event, a JSON array of them, or NDJSON.

    Sent again while the server is away for a short time; so one that was stored by a try whose answer was lost is a
    duplicate. On a terminal a table shows what was not taken; piped, there is one verdict a line, as NDJSON. The exit
    code is 1 when an event was not taken. SMRTFLOW_EVENT_ADMIN_TOKEN and SMRTFLOW_EVENT_API_SECRET are the credentials.
    """
    address = address_of(settings, url)
    refused: list[Verdict] = []
    counts: Counter[str] = Counter()
    try:
        with progress_bar("sending events") as advance:
            for verdicts in _send(settings, address, read_events(file)):
                counts.update(verdict.status for verdict in verdicts)
                refused += [verdict for verdict in verdicts if not verdict.is_taken][: _ROWS - len(refused)]
                if not sys.stdout.isatty():
                    _write_lines(verdicts)
                advance(len(verdicts))
    except EventServerError as error:
        msg = f"stopped after {counts.total()} events: {error}"
        raise CommandFailed(msg) from error
    except (ValueError, Refusal) as error:
        raise CommandFailed(str(error)) from error
    if sys.stdout.isatty() and refused:
        _show(refused)
    told = ", ".join(f"{count} {plain(status)}" for status, count in counts.most_common())
    click.echo(f"{counts.total()} events to {address}: {told or 'nothing sent'}", err=True)
    if refused:
        sys.exit(1)


def read_events(file: BinaryIO) -> Iterator[bytes]:
    """Yield the texts of the events in a file, lines as they are read.

    Raises:
        Refusal: it begins as an array, and is none.

    """
    first = next((line for line in file if not line.isspace()), b"")
    if first.lstrip().startswith(b"["):
        yield from asyncio.run(split_array(first + file.read(), most=_MOST_OF_AN_ARRAY))
    elif _is_whole(first):
        yield from (line.strip() for line in chain((first,), file) if not line.isspace())
    elif first:
        yield (first + file.read()).strip()


def _is_whole(line: bytes) -> bool:
    """Tell whether a line is a JSON value, so that each line is one event; else all of the file is one."""
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def _send(settings: Settings, address: str, events: Iterable[bytes]) -> Iterator[list[Verdict]]:
    client = client_of(settings, address)
    remaining, first = iter(events), 0
    with asyncio.Runner() as runner:
        runner.run(client.__aenter__())
        try:
            while batch := list(islice(remaining, _BATCH)):
                verdicts = runner.run(client.send_many(batch))
                yield [replace(verdict, index=first + verdict.index) for verdict in verdicts]
                first += len(batch)
        finally:
            runner.run(client.__aexit__(None, None, None))


def _write_lines(verdicts: Sequence[Verdict]) -> None:
    for verdict in verdicts:
        told: dict[str, object] = {"index": verdict.index, "uuid": verdict.uuid, "status": verdict.status}
        if verdict.code is not None:
            told |= {"code": verdict.code, "detail": verdict.detail}
            told |= {"errors": [violation._asdict() for violation in verdict.violations]}
        click.echo(json.dumps(told, separators=(",", ":")))


def _show(verdicts: Sequence[Verdict]) -> None:
    table = Table("event", "uuid", "status", "code", "what is wrong")
    for verdict in verdicts:
        cells = (verdict.index + 1, verdict.uuid or "", verdict.status, verdict.code or "", verdict.detail or "")
        table.add_row(*[Text(plain(cell)) for cell in cells])
    Console().print(table)
