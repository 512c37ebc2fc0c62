"""``eventserver listeners dead-letters``: what a listener gave up, seen, tried again, dropped."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import quote, urlencode

import click

from backends.lock import DirectoryLock
from backends.outbox import DeadLetters
from eventserver.cli.invocation import AskedWrongly, CommandFailed, with_settings
from eventserver.cli.running import RunningServer, running_server
from eventserver.cli.terminal import plain
from eventserver.config import Settings
from eventserver.manager.configuration import is_name
from eventserver.web.listeners import MAX_LIMIT, PATH, letter_value

_OWN: Final = "eventserver listeners dead-letters"


@click.group("dead-letters")
def dead_letters() -> None:
    """See, retry and drop what a listener gave up: events that were refused for good, or tried too often."""


@dead_letters.command("list")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="As NDJSON, with the events.")
@with_settings
def list_letters(settings: Settings, name: str, *, as_json: bool) -> None:
    """List the oldest dead letters of the listener NAME."""
    letters = asyncio.run(_list(settings, _checked(name)))
    for letter in letters:
        if as_json:
            click.echo(json.dumps(letter, ensure_ascii=False))
        else:
            text = f"{letter['number']}  {letter['givenUp']}  {letter['uuid']}  {letter['code']}  {letter['detail']}"
            click.echo(plain(text))
    click.echo(f"{len(letters)} dead letters{' or more' if len(letters) == MAX_LIMIT else ''}", err=True)


@dead_letters.command()
@click.argument("name")
@click.argument("numbers", nargs=-1, metavar="[NUMBER]...")
@click.option("--all", "everything", is_flag=True, help="All there are.")
@with_settings
def retry(settings: Settings, name: str, numbers: Sequence[str], *, everything: bool) -> None:
    """Let the running server deliver dead letters of the listener NAME again."""
    query = _which(numbers, everything=everything)

    async def ask() -> int:
        async with running_server(settings) as server:
            if server is None:
                raise CommandFailed("no server is running, and it is the server that delivers")
            return int((await server.ask("POST", f"{_path(name)}/retry?{query}")).value["retried"])

    click.echo(f"{asyncio.run(ask())} will be delivered again")


@dead_letters.command()
@click.argument("name")
@click.argument("numbers", nargs=-1, metavar="[NUMBER]...")
@click.option("--all", "everything", is_flag=True, help="All there are.")
@with_settings
def drop(settings: Settings, name: str, numbers: Sequence[str], *, everything: bool) -> None:
    """Drop dead letters of the listener NAME for good. The events themselves stay in the store."""
    query = _which(numbers, everything=everything)

    async def ask() -> int:
        async with running_server(settings) as server:
            if server is not None:
                return int((await server.ask("DELETE", f"{_path(name)}?{query}")).value["dropped"])
        with DirectoryLock(settings.event_root_dir, _OWN):
            async with _opened(settings, name) as own:
                return await own.drop(own.numbers if everything else numbers)

    click.echo(f"{asyncio.run(ask())} dropped")


def _checked(name: str) -> str:
    if not is_name(name):
        raise AskedWrongly(f"{name!r} can't be the name of a listener")
    return name


def _path(name: str) -> str:
    return f"{PATH}/{quote(_checked(name), safe='')}/dead-letters"


def _which(numbers: Sequence[str], *, everything: bool) -> str:
    if bool(numbers) == everything:
        raise click.UsageError("give either NUMBERs, or --all")
    return "all=true" if everything else urlencode([("number", number) for number in numbers])


def _opened(settings: Settings, name: str) -> DeadLetters:
    directory = settings.event_root_dir / "listeners" / _checked(name) / "dead-letters"
    if not directory.is_dir():
        raise CommandFailed(f"the listener {name} has never given anything up")
    return DeadLetters(directory)


async def _list(settings: Settings, name: str) -> list[dict[str, Any]]:
    async with running_server(settings) as server:
        if server is not None:
            return await _ask(server, name)
    with DirectoryLock(settings.event_root_dir, _OWN):
        async with _opened(settings, name) as own:
            return [letter_value(letter) for letter in await own.letters(own.numbers[:MAX_LIMIT])]


async def _ask(server: RunningServer, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await server.ask("GET", _path(name))).value
    return found
