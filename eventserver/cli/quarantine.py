"""``eventserver quarantine``: what was refused for its content, seen, tried again, or dropped."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import wraps
from http import HTTPStatus
from typing import Final, NamedTuple
from urllib.parse import quote

import click

from backends.quarantine import Entry, Filter, Group, Kept, Quarantine
from eventserver.cli.invocation import CommandFailed, with_settings
from eventserver.cli.owning import OwnDirectory, own_directory
from eventserver.cli.running import RunningServer, running_server
from eventserver.cli.terminal import plain, progress_bar
from eventserver.config import Settings
from eventserver.quarantine_replay import GONE, QuarantineReplay

_PAGE: Final = 1000
_PATH: Final = "/api/v1/quarantine"
_EVERYTHING: Final = Filter()


class Change(NamedTuple):
    """What can be done to entries, by the running server or by ourselves."""

    replay: Callable[[str], Awaitable[str]]
    """Tries one entry again; returns a result of ``eventserver.quarantine_replay``."""
    drop: Callable[[str], Awaitable[bool]]
    """Drops one entry; tells whether it was there."""
    drop_all: Callable[[Filter], Awaitable[int]]
    """Drops all that fit; returns how many there were."""


def _with_selection(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the conditions of ``Filter`` as options."""

    @click.option("--code", help="Only what was refused for this reason, such as schema_violation.")
    @click.option("--type", "event_type_id", help="Only events of this type (eventTypeId).")
    @click.option("--peer", help="Only what came from this address.")
    @wraps(command)
    def run(
        *arguments: object, code: str | None, event_type_id: str | None, peer: str | None, **options: object
    ) -> None:
        command(*arguments, condition=Filter(code, event_type_id, peer), **options)

    return run


@click.group()
def quarantine() -> None:
    """See what was refused for its content, and try it again or drop it."""


@quarantine.command("list")
@click.option("--entries", is_flag=True, help="Every entry, also without a condition.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="Print at most so many entries.")
@_with_selection
@with_settings
def list_entries(settings: Settings, condition: Filter, *, entries: bool, limit: int) -> None:
    """List how much there is for each reason and event type; with a condition or --entries the entries, newest first.

    Works beside a running server.
    """
    if entries or condition != _EVERYTHING:
        for entry in asyncio.run(_find(settings, condition, limit)):
            name, detail = plain(entry.event_type_id or "-"), plain(entry.detail)
            kind = f"{entry.code:18}  {name}  {entry.arrivals}x  {entry.size} bytes"
            click.echo(f"{entry.id}  {entry.last_received}  {kind}  {detail}")
        return
    groups = asyncio.run(_groups(settings))
    for group in groups:
        name = plain(group.event_type_id or "-")
        click.echo(
            f"{group.code:18}  {name:32}  {group.entries} entries, {group.bytes} bytes, arrived {group.arrivals}x"
        )
    if not groups:
        click.echo("The quarantine is empty.", err=True)


@quarantine.command("show")
@click.argument("entry_id", metavar="ID")
@with_settings
def show_entry(settings: Settings, entry_id: str) -> None:
    """Print why ID was refused (to standard error), and its bytes as they came (to standard output).

    Works beside a running server.
    """
    kept = asyncio.run(_get(settings, entry_id))
    if kept is None:
        raise CommandFailed(_unknown(entry_id))
    for name, value in kept.entry._asdict().items():
        click.echo(f"{name}: {'-' if value is None else plain(value)}", err=True)
    click.echo(kept.body, nl=not kept.body.endswith(b"\n"))


@quarantine.command("replay")
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option("--all", "everything", is_flag=True, help="Everything there is.")
@_with_selection
@with_settings
def replay_entries(settings: Settings, ids: Sequence[str], condition: Filter, *, everything: bool) -> None:
    """Hand entries to the intake again, oldest first: those with the IDs, or all that fit the conditions.

    What is taken, or is there already, leaves the quarantine; what is refused again stays. So a replay may be repeated
    at will. Exit code 1 when something was refused again.
    """
    chosen = _choose(settings, ids, condition, everything=everything)
    verdicts = asyncio.run(_replay(settings, chosen))
    counts = ", ".join(f"{count} {status}" for status, count in verdicts.most_common())
    click.echo(f"{len(chosen)} replayed: {counts or 'nothing to do'}")
    if refused := len(chosen) - sum(verdicts[status] for status in ("stored", "spooled", "duplicate")):
        msg = f"not taken: {refused}"
        raise CommandFailed(msg)


@quarantine.command("drop")
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option("--all", "everything", is_flag=True, help="Everything there is.")
@click.option("--yes", is_flag=True, help="Don't ask.")
@_with_selection
@with_settings
def drop_entries(settings: Settings, ids: Sequence[str], condition: Filter, *, everything: bool, yes: bool) -> None:
    """Drop entries for good: those with the IDs, or all that fit the conditions.

    Asks first, unless IDs were given or --yes.
    """
    chosen = _choose(settings, ids, condition, everything=everything)
    if not ids and not yes and chosen:
        click.confirm(f"Drop {len(chosen)} entries for good?", abort=True, err=True)
    dropped = asyncio.run(_drop(settings, ids, condition))
    click.echo(f"{dropped} dropped")
    if dropped < len(ids):
        msg = f"there was nothing under {len(ids) - dropped} of the ids"
        raise CommandFailed(msg)


def _choose(settings: Settings, ids: Sequence[str], condition: Filter, *, everything: bool) -> Sequence[str]:
    """Return the ids that are meant, oldest first.

    Raises:
        UsageError: nothing, or two ways of saying it, were given.

    """
    if [bool(ids), condition != _EVERYTHING, everything].count(True) != 1:
        msg = "give either IDs, or conditions (--code, --type, --peer), or --all"
        raise click.UsageError(msg)
    return ids or [entry.id for entry in asyncio.run(_find(settings, condition, None, oldest_first=True))]


def _open(settings: Settings) -> Quarantine:
    """Return the quarantine for reading."""
    return Quarantine(settings.event_root_dir / "quarantine", read_only=True)


async def _groups(settings: Settings) -> list[Group]:
    async with _open(settings) as opened:
        return await opened.groups()


async def _get(settings: Settings, entry_id: str) -> Kept | None:
    async with _open(settings) as opened:
        return await opened.get(entry_id)


async def _find(settings: Settings, condition: Filter, limit: int | None, *, oldest_first: bool = False) -> list[Entry]:
    found: list[Entry] = []
    async with _open(settings) as opened:
        cursor = None
        while limit is None or len(found) < limit:
            room = _PAGE if limit is None else min(_PAGE, limit - len(found))
            page = await opened.find(condition, limit=room, cursor=cursor, oldest_first=oldest_first)
            found += page.entries
            cursor = page.next
            if cursor is None:
                break
    return found


async def _replay(settings: Settings, ids: Sequence[str]) -> Counter[str]:
    verdicts: Counter[str] = Counter()
    async with _changing(settings, "eventserver quarantine replay") as change:
        with progress_bar("replaying", len(ids)) as advance:
            for entry_id in ids:
                verdicts[await change.replay(entry_id)] += 1
                advance()
    return verdicts


async def _drop(settings: Settings, ids: Sequence[str], condition: Filter) -> int:
    """Drop those with the ids, or all that fit when there are none; return how many there were."""
    async with _changing(settings, "eventserver quarantine drop") as change:
        if not ids:
            return await change.drop_all(condition)
        return sum([await change.drop(entry_id) for entry_id in ids])


@asynccontextmanager
async def _changing(settings: Settings, purpose: str) -> AsyncIterator[Change]:
    """Find who can change the quarantine: the running server, or else we ourselves."""
    async with running_server(settings) as server:
        if server is not None:
            yield _changes_of(server)
            return
    async with own_directory(settings, purpose) as own:
        yield _own_changes(own)


def _changes_of(server: RunningServer) -> Change:
    """Ask the server to do it."""

    async def replay(entry_id: str) -> str:
        answer = await server.ask("POST", f"{_PATH}/{quote(entry_id, safe='')}/replay")
        return GONE if answer.status == HTTPStatus.NOT_FOUND else str(answer.value["code"] or answer.value["status"])

    async def drop(entry_id: str) -> bool:
        answer = await server.ask("DELETE", f"{_PATH}/{quote(entry_id, safe='')}")
        return answer.status != HTTPStatus.NOT_FOUND and bool(answer.value["dropped"])

    async def drop_all(condition: Filter) -> int:
        names = {"code": condition.code, "eventTypeId": condition.event_type_id, "peer": condition.peer}
        parameters = {name: value for name, value in names.items() if value is not None} or {"all": "true"}
        answer = await server.ask("DELETE", _PATH, parameters=parameters)
        return int(answer.value["dropped"])

    return Change(replay, drop, drop_all)


def _own_changes(own: OwnDirectory) -> Change:
    """Do it ourselves."""
    replaying = QuarantineReplay(own.quarantine, own.intake, own.bundles)

    async def replay(entry_id: str) -> str:
        return (await replaying.replay(entry_id)).result

    async def drop(entry_id: str) -> bool:
        return await own.quarantine.drop([entry_id]) == 1

    return Change(replay, drop, own.quarantine.drop_all)


def _unknown(entry_id: str) -> str:
    return f"there is nothing under {entry_id} in the quarantine"
