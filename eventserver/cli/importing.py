"""``eventserver import``: the predecessor's data, through the same intake as everything else."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple

import click

from backends.errors import StoreError
from eventserver.cli.invocation import CommandFailed, with_settings
from eventserver.cli.owning import own_directory
from eventserver.cli.running import RunningServer, running_server
from eventserver.cli.terminal import Advance, plain, progress_bar
from eventserver.config import Settings
from eventserver.intake import Intake
from eventserver.message import is_uuid
from eventserver.refusal import Refusal

IN_FLIGHT: Final = 64
"""Events on their way at a time: they share syncs, as the requests of as many senders do."""
_SHOWN: Final = 20
_TAKEN: Final = frozenset({"stored", "spooled", "duplicate"})
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_STOPPING: Final = frozenset({401, 403, 408, 429, 500, 502, 503, 504, 507})
"""Answers that say nothing of the event, and that the next one would get too."""


class Verdict(NamedTuple):
    """What became of one file."""

    status: str
    """``stored``, ``spooled``, ``duplicate``, ``unreadable``, or the code of a refusal."""
    detail: str = ""
    """Of a refusal, the sentence."""


class Tally:
    """What became of all files."""

    def __init__(self) -> None:
        self.statuses: Counter[str] = Counter()
        self.refused: list[str] = []
        """A line for each file that was not taken."""

    def add(self, path: Path, verdict: Verdict) -> None:
        """Take in the verdict on one file."""
        self.statuses[verdict.status] += 1
        if verdict.status not in _TAKEN:
            self.refused.append(plain(f"{path}: {verdict.status}: {verdict.detail}"))

    def __str__(self) -> str:
        """Return the counts, most frequent first."""
        counts = [
            f"{count} {status}" for status, count in sorted(self.statuses.items(), key=lambda item: (-item[1], item[0]))
        ]
        return f"{self.statuses.total()} files: {', '.join(counts) or 'nothing done'}"


Take = Callable[[bytes, str], Awaitable[Verdict]]
"""Hands in an event with the moment when it was received."""


@click.command("import")
@click.argument("directory", type=click.Path(exists=True, file_okay=False, path_type=Path))
@with_settings
def import_events(settings: Settings, directory: Path) -> None:
    """Take over the events of the predecessor from DIRECTORY/<smrtLinkId>/<uuid>.json.

    Each file is one event and goes the way of a posted one: validated, stored once, or refused and kept in quarantine.
    The file's time becomes @received. Files are only read. Run it again at any time: what is there is not stored twice.
    Beside a running server it goes through the server.
    """
    total = sum(1 for _ in find_events(directory))
    if not total:
        msg = f"there are no events in {directory}; looked for <smrtLinkId>/<uuid>.json"
        raise CommandFailed(msg)
    tally = Tally()
    try:
        with progress_bar("importing events", total) as advance:
            asyncio.run(_import(settings, directory, tally, advance))
    finally:
        for line in tally.refused[:_SHOWN]:
            click.echo(line, err=True)
        if len(tally.refused) > _SHOWN:
            click.echo(f"... and {len(tally.refused) - _SHOWN} more; see `eventserver quarantine list`", err=True)
        click.echo(tally)
    if tally.refused:
        msg = f"files not taken: {len(tally.refused)}"
        raise CommandFailed(msg)


def find_events(directory: Path) -> Iterator[Path]:
    """Run through the files ``<smrtLinkId>/<uuid>.json`` below a directory, in the order of their names."""
    for system in sorted(directory.iterdir()):
        if is_uuid(system.name) and system.is_dir():
            yield from sorted(path for path in system.glob("*.json") if path.is_file())


async def _import(settings: Settings, directory: Path, tally: Tally, advance: Advance) -> None:
    files = await asyncio.to_thread(find_events, directory)
    async with _way_in(settings) as take:

        async def work() -> None:
            for path in files:
                tally.add(path, await _take_file(path, take))
                advance()

        workers = [asyncio.ensure_future(work()) for _ in range(IN_FLIGHT)]
        try:
            await asyncio.gather(*workers)
        except StoreError as error:
            msg = f"stopped: {error}. Run it again to go on; what is stored is not stored twice"
            raise CommandFailed(msg) from error
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)


@asynccontextmanager
async def _way_in(settings: Settings) -> AsyncIterator[Take]:
    """Find the way in: through the running server, or else with the directory as our own."""
    async with running_server(settings) as server:
        if server is not None:
            yield lambda body, received: _post(server, body, received)
            return
    async with own_directory(settings, "eventserver import") as own:
        yield lambda body, received: _accept(own.intake, body, received)


async def _take_file(path: Path, take: Take) -> Verdict:
    try:
        body, received = await asyncio.to_thread(_read_file, path)
    except OSError as error:
        return Verdict("unreadable", error.strerror or str(error))
    return await take(body, received)


def _read_file(path: Path) -> tuple[bytes, str]:
    """Return a file's content, and its time as a moment with six digits."""
    with path.open("rb") as file:
        moment = _EPOCH + timedelta(microseconds=path.stat().st_mtime_ns // 1000)
        return file.read(), f"{moment.replace(tzinfo=None).isoformat(timespec='microseconds')}Z"


async def _accept(intake: Intake, body: bytes, received: str) -> Verdict:
    try:
        return Verdict((await intake.accept(body, peer="import", received=received)).status)
    except Refusal as refusal:
        return Verdict(refusal.code, refusal.detail)


async def _post(server: RunningServer, body: bytes, received: str) -> Verdict:
    headers = {"Content-Type": "application/json", "Event-Received": received}
    answer = await server.ask("POST", "/api/v1/events", body=body, headers=headers)
    if answer.status in _STOPPING:
        msg = f"stopped: {answer.problem}. Run it again to go on; what is stored is not stored twice"
        raise CommandFailed(msg)
    if answer.status in {200, 201}:
        return Verdict(answer.headers.get("Event-Status", "stored"))
    return Verdict(json.loads(answer.body).get("code", str(answer.status)), answer.problem)
