"""``eventserver copy``: events from one store to another."""

import asyncio
import math
import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, Final

import click

from backends.errors import StoreError
from backends.lock import DirectoryLock
from backends.spool import is_empty
from eventserver.cli.copier import PATIENCE_SECONDS, Copier
from eventserver.cli.copy_state import MOST_CONFLICTS, CopyState, default_path
from eventserver.cli.following import Follower
from eventserver.cli.invocation import AskedWrongly, CommandFailed
from eventserver.cli.terminal import progress_bar
from eventserver.cli.two_stores import StoreAddress, with_two_stores
from eventserver.config import Settings
from eventserver.schemas import SchemaError, SchemaRegistry
from eventserver.schemas.kept import KeptSchemas
from eventserver.storage import spool_directory

_SHOWN: Final = 20
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


@click.command()
@click.option("--follow", is_flag=True, help="Go on with what arrives, until SIGINT or SIGTERM.")
@click.option(
    "--state",
    "state_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File that keeps how far it has come; otherwise one under the data directory.",
)
@with_two_stores
def copy(
    settings: Settings, source: StoreAddress, target: StoreAddress, state_file: Path | None, *, follow: bool
) -> None:
    """Copy all events from one store to another.

    URLs are those of SMRTFLOW_EVENT_STORE; file: is the data directory, file:///path another one. The store that is
    read may belong to a running server; a data directory that is written must not. Events are copied as they are, with
    the time when they were received.

    With --follow it says how far it is behind, each 15 seconds, until it has caught up: until what is left is what
    arrived within a second, or fewer than 1000 events. A store that is away is waited for.

    Run it again at any time: it goes on where it was, and what is there is not stored twice. An event whose uuid has
    another event in the other store is left out, named, and makes the exit code 1.
    """
    path = state_file or default_path(settings.event_root_dir, str(source), str(target))
    state = CopyState.read(path, str(source), str(target))
    asyncio.run(_copy(settings, source, target, state, follow=follow))


async def _copy(
    settings: Settings, source: StoreAddress, target: StoreAddress, state: CopyState, *, follow: bool
) -> None:
    stop = asyncio.Event()
    await asyncio.to_thread(state.save)  # not after hours: it may be that it can't be written
    if not await asyncio.to_thread(is_empty, spool_directory(settings)):
        _say(f"events wait in {spool_directory(settings)}, and are not copied: see `eventserver spool drain`")
    with _stopped_by_signals(stop), _owned(settings, target), progress_bar("copying events") as advance:
        schemas = await asyncio.to_thread(_schemas, settings)
        async with target.open(settings, read_only=False) as opened:
            copier = Copier(
                lambda: source.open(settings, read_only=True),
                opened,
                state,
                stop=stop,
                say=_say,
                advance=advance,
                patience=math.inf if follow else PATIENCE_SECONDS,
            )
            try:
                await opened.prepare(schemas)
                await copier.resume()
                await (Follower(copier, stop=stop, say=_say).run() if follow else copier.copy())
            except StoreError as error:
                _report(copier, state)
                raise CommandFailed(f"stopped: {error}. Run it again to go on") from error
    if failures := _report(copier, state):
        raise CommandFailed(failures)
    if stop.is_set() and not follow:
        raise CommandFailed("stopped by a signal. Run it again to go on")


def _report(copier: Copier, state: CopyState) -> str:
    """Say what was done; return what was not, in a sentence."""
    for uuid in state.conflicts[:_SHOWN]:
        click.echo(f"{uuid}: conflict: the other store has another event with this uuid", err=True)
    if len(state.conflicts) > _SHOWN:
        click.echo("... and more; see `eventserver compare`", err=True)
    counts = [f"{count} {status}" for status, count in copier.statuses.most_common()]
    click.echo(f"{copier.statuses.total()} events: {', '.join(counts) or 'nothing to do'}")
    failures = []
    if conflicts := len(state.conflicts):
        number = f"over {MOST_CONFLICTS}" if conflicts > MOST_CONFLICTS else conflicts
        failures.append(f"events in conflict, not copied: {number}")
    if copier.damaged:
        failures.append(f"damaged records, not copied: {copier.damaged}; see `eventserver verify`")
    return "; ".join(failures)


def _schemas(settings: Settings) -> Mapping[tuple[str, int], Mapping[str, Any]]:
    """Return the schemas that a server would have in force here, without keeping any: it may be running."""
    registry = SchemaRegistry(settings.event_schema_dir)
    try:
        registry.load()
    except SchemaError as error:
        raise AskedWrongly(str(error)) from error
    kept = KeptSchemas(settings.event_root_dir / "schemas").read().versions
    return {**{key: version.schema for key, version in kept.items()}, **registry.schemas}


def _owned(settings: Settings, target: StoreAddress) -> DirectoryLock | nullcontext[None]:
    """Own the data directory of the settings where it is written; a store elsewhere takes its lock by itself."""
    if target.directory is None or target.directory != settings.event_root_dir.resolve():
        return nullcontext()
    return DirectoryLock(target.directory, f"pid {os.getpid()}, eventserver copy")


@contextmanager
def _stopped_by_signals(stop: asyncio.Event) -> Iterator[None]:
    """Let the first signal end the work in order; a second one ends the process."""
    loop = asyncio.get_running_loop()

    def end() -> None:
        stop.set()
        remove()

    def remove() -> None:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)

    for number in _SIGNALS:
        loop.add_signal_handler(number, end)
    try:
        yield
    finally:
        remove()


def _say(text: str) -> None:
    click.echo(text, err=True)
