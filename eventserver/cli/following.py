"""``eventserver copy --follow``: pass after pass, and how far it is behind the senders meanwhile."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Final

from backends.errors import StorageFull, StoreUnavailable
from eventserver.cli.copier import Copier, Pass, Say, rest

CLOSE_SECONDS: Final = 1.0
CLOSE_EVENTS: Final = 1000
TELL_SECONDS: Final = 15.0
_POLL_SECONDS: Final = 1.0


class Follower:
    """Copies what is there and what arrives, until it is stopped; stores that are away are waited for.

    It says that it has caught up when it is close, and how far it is behind when it is not: once and again.

    Args:
        copier: with patience without end.
        stop: when set, what is on its way is finished, and nothing else begun.
        say: tells the operator what must be known.
        tell_seconds: how often it is said how far it is behind.

    """

    def __init__(self, copier: Copier, *, stop: asyncio.Event, say: Say, tell_seconds: float = TELL_SECONDS) -> None:
        self._copier = copier
        self._stop = stop
        self._say = say
        self._tell_seconds = tell_seconds
        self._began: float | None = None
        """When the pass that is under way began."""
        self._last: Pass | None = None
        self._is_close = False
        self._is_said = False
        """Whether the last word was that it has caught up."""
        self._is_away = False

    async def run(self) -> None:
        """Follow; what is done is kept in the copier's state."""
        telling = asyncio.create_task(self._tell_again_and_again(), name="copy-lag")
        try:
            while not self._stop.is_set():
                await rest(self._stop, await self._next_pass())
        finally:
            telling.cancel()
            await asyncio.gather(telling, return_exceptions=True)

    async def _next_pass(self) -> float:
        """Make a pass; return how many seconds there are until the next one."""
        self._began = time.monotonic()
        outages = self._copier.outages
        try:
            found = await self._copier.copy()
        except (StoreUnavailable, StorageFull) as error:
            if not self._is_away and not self._stop.is_set():
                self._say(f"{error}: trying again")
            self._last, self._is_away, self._is_close, self._is_said = None, True, False, False
            return _POLL_SECONDS
        finally:
            self._began = None
        self._is_close = is_close(self._last, found)
        self._last, self._is_away = found, False
        self._is_said = self._is_said and self._copier.outages == outages
        if not self._is_close:
            return 0
        if not self._is_said and not self._stop.is_set():
            self._say(f"caught up after {self._copier.statuses.total()} events; copying what arrives")
            self._is_said = True
        # A large store takes time to open: that is done half of the time at most.
        return max(_POLL_SECONDS, found.opened - found.began)

    async def _tell_again_and_again(self) -> None:
        while True:
            await asyncio.sleep(self._tell_seconds)
            is_late = self._began is not None and time.monotonic() - self._began > self._tell_seconds
            if self._is_close and not is_late:
                continue
            self._is_said = False
            if not self._is_away and not self._copier.is_held_up:
                self._say(f"behind: {self._copier.statuses.total()} events copied{self._age()}")

    def _age(self) -> str:
        if self._copier.received is None:
            return ""
        age = datetime.now(UTC) - datetime.fromisoformat(self._copier.received)
        return f", the last one received {timedelta(seconds=max(0, round(age.total_seconds())))} ago"


def is_close(before: Pass | None, last: Pass) -> bool:
    """Tell whether little is left after a pass: what arrived while it ran, which only the next one will see.

    Args:
        before: the pass before; None where there was none, or it failed.
        last: the one that has just ended.

    """
    if last.seconds < CLOSE_SECONDS:
        return True
    if before is None:
        return False
    # What it found arrived since the one before began; as much a second, most likely, has arrived since.
    return last.events * last.seconds / (last.began - before.began) < CLOSE_EVENTS
