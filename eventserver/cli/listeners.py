"""``eventserver listeners``: what is handed on, to whom, and how that goes."""

import asyncio
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from backends.base import Event
from backends.record import finish_record
from eventserver.cli.dead_letters import dead_letters
from eventserver.cli.invocation import AskedWrongly, CommandFailed, with_settings
from eventserver.cli.running import running_server
from eventserver.cli.terminal import plain
from eventserver.config import Settings
from eventserver.manager.configuration import SECRET_FIELDS, Listener, read_listeners
from eventserver.manager.secrets import SecretUnavailable, read_secret
from eventserver.message import parse, received_now
from eventserver.refusal import Refusal
from eventserver.web.listeners import PATH


@click.group()
def listeners() -> None:
    """See, check and steer what is handed on to listeners.

    SMRTFLOW_EVENT_LISTENERS names the TOML file that describes them.
    """


@listeners.command()
@click.argument("file", required=False, type=click.Path(dir_okay=False, path_type=Path))
@with_settings
def check(settings: Settings, file: Path | None) -> None:
    """Check FILE, or the one that is in force, and show who would get an event that is given on standard input.

    Nothing is sent. Exit code 1 when a secret can't be read.
    """
    found = read_listeners(file or file_of(settings))
    problems: list[str] = []
    for name, listener in found.items():
        click.echo(f"{name}: {listener.type}, {_about(listener)}")
        problems.extend(f"{name}: {problem}" for problem in _missing_secrets(listener))
    event = None if sys.stdin.isatty() else _read_event(sys.stdin.buffer.read())
    if event is not None:
        _show_takers(found, event)
    if problems:
        raise CommandFailed("\n".join(problems))
    click.echo(f"All is well: {len(found)} listeners.", err=True)


@listeners.command()
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@with_settings
def status(settings: Settings, *, as_json: bool) -> None:
    """Say how each listener of the running server is. Exit code 1 when one takes no events, or has dead letters."""
    told = asyncio.run(_status(settings))
    if as_json:
        click.echo(json.dumps(told))
    else:
        for listener in told["listeners"]:
            click.echo(plain(_line(listener)))
    problems = [listener["name"] for listener in told["listeners"] if listener["problem"] or listener["deadLetters"]]
    if told["problem"]:
        raise CommandFailed(f"the file has changed, and is not in force: {told['problem']}")
    if problems:
        raise CommandFailed(f"not well: {', '.join(problems)}")


listeners.add_command(dead_letters)


async def _status(settings: Settings) -> dict[str, Any]:
    async with running_server(settings) as server:
        if server is None:
            raise CommandFailed("no server is running, and nothing is delivered")
        told: dict[str, Any] = (await server.ask("GET", PATH)).value
        return told


def _line(listener: Mapping[str, Any]) -> str:
    parts = [f"{listener['delivered']} delivered", f"{listener['waiting']} waiting"]
    if listener["isBehind"]:
        parts.append("reads the log to catch up")
    if listener["deadLetters"]:
        parts.append(f"{listener['deadLetters']} dead letters")
    if listener["conditionErrors"]:
        parts.append(f"{listener['conditionErrors']} events not judged: {listener['conditionError']}")
    if listener["problem"]:
        parts.append(f"takes no events: {listener['problem']}")
    return f"{listener['name']} ({listener['type']}): {', '.join(parts)}"


def file_of(settings: Settings) -> Path:
    """Return the file of the listeners.

    Raises:
        AskedWrongly: there is none.

    """
    if settings.event_listeners is None:
        raise AskedWrongly("SMRTFLOW_EVENT_LISTENERS names no file; name one here")
    return settings.event_listeners


def _about(listener: Listener) -> str:
    types = ", ".join(listener.event_types)
    versions = f" of version {', '.join(map(str, listener.versions))}" if listener.versions else ""
    condition = f" where {listener.condition}" if listener.condition else ""
    target = ", ".join(listener.recipients) if listener.type == "email" else listener.url
    return f"{types}{versions}{condition} -> {target}"


def _missing_secrets(listener: Listener) -> list[str]:
    problems = []
    for name in SECRET_FIELDS:
        reference = getattr(listener, name, None)
        if reference is not None:
            try:
                read_secret(reference)
            except SecretUnavailable as error:
                problems.append(f"{name}: {error}")
    return problems


def _read_event(text: bytes) -> Event | None:
    if not text.strip():
        return None
    try:
        message = parse(text)
    except Refusal as refusal:
        raise CommandFailed(f"standard input is no event: {refusal.detail}") from None
    record = finish_record(message.original, message.at, received_now())
    return Event(
        message.uuid, message.smrtlink_id, message.event_type_id, message.event_type_version, message.at, record
    )


def _show_takers(found: dict[str, Listener], event: Event) -> None:
    for name, listener in found.items():
        filter_ = listener.make_filter()
        taken = filter_.takes(event)
        reason = ""
        if not filter_.takes_type(event.event_type_id, event.event_type_version):
            reason = ": another event type"
        elif not taken:
            error = filter_.condition.last_error if filter_.condition else None
            reason = f": the condition can't be evaluated: {error}" if error else ": the condition does not hold"
        click.echo(f"{name} {'gets' if taken else 'does not get'} event {event.uuid}{reason}")
