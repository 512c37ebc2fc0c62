"""Which server tests run against: that of a URL, else one in a container, else one of our own on Java."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from servers.errors import NoServer

Server = TypeVar("Server")
Make = Callable[[Path], Server]
"""Makes the server, not started; what it keeps is under the given folder, an empty one."""


def choose(ways: Sequence[Callable[[], Make[Server]]], needed: str) -> Make[Server]:
    """Return the first way that works on this machine; each may take minutes, since it fetches what it needs.

    Args:
        ways: each returns what makes the server, or raises NoServer.
        needed: what to install, and for what, in a sentence.

    Raises:
        NoServer: none works; the text is that sentence, and why each of them does not.

    """
    reasons = []
    for way in ways:
        try:
            return way()
        except NoServer as reason:
            reasons.append(str(reason))
    raise NoServer(f"{needed} Not so here: {'; '.join(reasons)}.")
