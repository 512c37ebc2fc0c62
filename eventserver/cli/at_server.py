"""What the commands share that ask a server: which one, with which credentials, and errors into messages."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import click

from eventserver.cli.invocation import CommandFailed
from eventserver.cli.running import address_of_owner
from eventserver.client import EventServerClient, EventServerError
from eventserver.config import Settings

Result = TypeVar("Result")

with_url: Final[Callable[[Callable[..., Any]], Callable[..., Any]]] = click.option(
    "--url", help="The server. [default: the one on the data directory, or the one on this machine's port]"
)


def address_of(settings: Settings, url: str | None) -> str:
    """Return the server that is meant."""
    return url or address_of_owner(settings.event_root_dir) or f"http://127.0.0.1:{settings.server_port}"


def client_of(settings: Settings, url: str | None) -> EventServerClient:
    """Return a client of the server that is meant, not opened, with the credentials of the settings.

    Raises:
        ValueError: the URL is none of http or https.

    """
    token, secret = settings.event_admin_token, settings.event_api_secret
    return EventServerClient(
        address_of(settings, url),
        token=token.get_secret_value() if token else None,
        secret=secret.get_secret_value() if secret else None,
    )


def ask(settings: Settings, url: str | None, question: Callable[[EventServerClient], Awaitable[Result]]) -> Result:
    """Ask a server, and return the answer.

    Raises:
        CommandFailed: it did not answer, or not well.

    """

    async def run() -> Result:
        async with client_of(settings, url) as client:
            return await question(client)

    with server_errors_as_messages():
        return asyncio.run(run())


@contextmanager
def server_errors_as_messages() -> Iterator[None]:
    """Turn what a server refuses, or a file that can't be read, into a message.

    Raises:
        CommandFailed: says what was wrong.

    """
    try:
        yield
    except EventServerError as error:
        code = f" ({error.code})" if error.code else ""
        where = "".join(f"\n  {violation.pointer}: {violation.message}" for violation in error.violations)
        raise CommandFailed(f"{error}{code}{where}") from error
    except (OSError, ValueError) as error:
        raise CommandFailed(str(error)) from error
