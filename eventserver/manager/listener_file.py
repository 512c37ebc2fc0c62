"""The file of the listeners, looked at again and again: a change takes force without a restart."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

import structlog

from backends.errors import StoreError
from eventserver.config import ConfigurationError
from eventserver.manager.configuration import Configured, load_listeners
from eventserver.manager.listeners import Listeners

_log = structlog.get_logger("eventserver.listeners")


class ListenerFile:
    """A file, what it last said, and whether that is in force.

    Its content is compared, not its time, and so are the secrets: a changed secret takes force too.

    Args:
        path: of the file.

    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.problem: str | None = None
        """Why what it says is not in force; None when it is."""
        self.adopted = 0
        self.refused = 0
        self._last: Mapping[str, Configured] | None = None

    async def load(self) -> Mapping[str, Configured]:
        """Read it for the first time.

        Raises:
            ConfigurationError: it can't be used.

        """
        self._last = await asyncio.to_thread(load_listeners, self.path)
        return self._last

    async def refresh(self, listeners: Listeners) -> None:
        """Let it take force where it has changed; one that can't be used leaves what there is in force."""
        try:
            found = await asyncio.to_thread(load_listeners, self.path)
            if found != self._last or self.problem is not None:
                await listeners.change(found)
                self._last, self.problem = found, None
                self.adopted += 1
                _log.info("listeners", names=sorted(found), adopted=True)
        except (ConfigurationError, StoreError) as error:
            if self.problem != str(error):
                self.refused += 1
                _log.error("listeners", problem=str(error), adopted=False)
            self.problem = str(error)

    async def watch(self, listeners: Listeners, seconds: float, hangup: asyncio.Event) -> None:
        """Look at it every so many seconds, and at once when told to; never returns."""
        while True:
            try:
                async with asyncio.timeout(seconds):
                    await hangup.wait()
            except TimeoutError:
                pass
            hangup.clear()
            await self.refresh(listeners)
