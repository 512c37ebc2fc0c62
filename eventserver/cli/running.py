"""The running server, as commands that change something find it: through the lock file, then over its HTTP."""

import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final, NamedTuple

from aiohttp import ClientError, ClientSession, ClientTimeout

from backends.lock import holder_of
from eventserver.cli.invocation import AskedWrongly, CommandFailed
from eventserver.config import Settings

_ANSWER_SECONDS: Final = 60
_CONNECT_SECONDS: Final = 5


class Answer(NamedTuple):
    """What the server answered."""

    status: int
    headers: Mapping[str, str]
    """Looked up without regard to case."""
    body: bytes

    @property
    def value(self) -> Any:
        """The JSON value of a success.

        Raises:
            CommandFailed: it is a refusal.

        """
        if self.status >= HTTPStatus.BAD_REQUEST:
            raise CommandFailed(self.problem)
        return json.loads(self.body)

    @property
    def problem(self) -> str:
        """The sentence of a refusal, or what there is of one."""
        try:
            return str(json.loads(self.body)["detail"])
        except (ValueError, KeyError, TypeError):
            return f"the server answered {self.status}"


class RunningServer:
    """A server that owns the data directory, spoken to as an operator."""

    def __init__(self, session: ClientSession, address: str) -> None:
        self.address = address
        self._session = session

    async def ask(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        parameters: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send a request and return the answer, whatever its status.

        Raises:
            CommandFailed: no answer.

        """
        request = self._session.request(method, path, data=body, headers=headers, params=parameters)
        try:
            async with request as response:
                return Answer(response.status, response.headers, await response.read())
        except (ClientError, TimeoutError, OSError) as error:
            msg = f"the server at {self.address} does not answer: {error or type(error).__name__}"
            raise CommandFailed(msg) from error


@asynccontextmanager
async def running_server(settings: Settings) -> AsyncIterator[RunningServer | None]:
    """Find the server that owns the data directory; None when nobody owns it.

    Raises:
        AskedWrongly: it is owned by something that is no server.

    """
    address = address_of_owner(settings.event_root_dir)
    if address is None:
        yield None
        return
    token = settings.event_admin_token
    headers = {"Authorization": f"Bearer {token.get_secret_value()}"} if token else None
    timeout = ClientTimeout(_ANSWER_SECONDS, sock_connect=_CONNECT_SECONDS)
    async with ClientSession(address, headers=headers, timeout=timeout) as session:
        yield RunningServer(session, address)


def address_of_owner(root: Path) -> str | None:
    """Return the address of the server that owns a data directory; None when nobody does.

    Raises:
        AskedWrongly: the owner told no address.

    """
    holder = holder_of(root)
    if holder is None:
        return None
    address = re.search(r"https?://\S+", holder)
    if address is None:
        msg = f"{root} is in use by {holder}"
        raise AskedWrongly(msg)
    return address[0]
