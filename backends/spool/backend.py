"""The backend as the spool sees it: every call under a time limit, and whether it is up.

Up: what is put goes to the backend. One call that fails to store ends that, and from then on nobody tries but the one
who finds out when it is back (``backends.spool.drainer``). A backend that is only *full* can still be read.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

from backends.base import Event, EventStore, Outcome
from backends.errors import StorageFull, StoreError, StoreUnavailable
from backends.spool.deadlines import Deadlines

_SEND_SHARE: Final = 0.6
_LOGGER: Final = logging.getLogger(__name__)

Result = TypeVar("Result")
Schemas = Mapping[tuple[str, int], Mapping[str, Any]]


class Backend:
    """See the module.

    Args:
        store: not opened.
        schemas: to prepare it for when it is opened.
        timeout: seconds that a call may take.
        wake: called when the backend should be looked after.

    """

    def __init__(self, store: EventStore, *, schemas: Schemas | None, timeout: float, wake: Callable[[], None]) -> None:
        self.store = store
        self.is_up = False
        self.is_suspected = False
        """A read has failed: it should be asked whether it is still there."""
        self.problem: StoreError | None = None
        """Why it is not up."""
        self.failures = 0
        """How often it went away."""
        self._timeout = timeout
        self._deadlines = Deadlines(timeout * _SEND_SHARE)
        self._wake = wake
        self._is_open = False
        self._schemas = schemas
        self._changes = 0
        self._since = time.monotonic()

    @property
    def away_seconds(self) -> float:
        """For how long it has not been up."""
        return 0.0 if self.is_up else time.monotonic() - self._since

    def require_readable(self) -> None:
        """Raise ``StoreUnavailable`` while the backend can't be read."""
        if not self.is_up and not (self._is_open and isinstance(self.problem, StorageFull)):
            raise StoreUnavailable("the event store is away; what is acknowledged waits in the spool")

    async def open(self) -> None:
        """Open it; that it is away now is no error.

        Raises:
            DirectoryInUse, UnsupportedLayout: time alone will not mend it.

        """
        try:
            await self._open()
            await self._prepare()
        except (StoreUnavailable, StorageFull) as error:
            self.fail(error)
        else:
            self.recover()

    async def close(self) -> None:
        """Close it, within the time limit. Idempotent."""
        if self._is_open:
            self._is_open = self.is_up = False
            try:
                await self.within(self._timeout, self.store.__aexit__(None, None, None))
            except StoreError as error:
                _LOGGER.warning("the event store did not close: %s", error)

    async def reach(self) -> None:
        """Find out whether it takes events now, and prepare it for those that it does not know yet.

        Raises:
            StoreError: it does not.

        """
        self.is_suspected = False
        if not self._is_open:
            await self._open()
        await self.within(self._timeout, self.store.ping())
        await self._prepare()

    async def prepare(self, schemas: Schemas) -> None:
        """Prepare it, now or as soon as it is back."""
        self._schemas = schemas
        if not self.is_up:
            return
        changes = self._changes
        try:
            await self._prepare()
        except (StoreUnavailable, StorageFull) as error:
            self._fail_since(changes, error)

    async def put(self, events: Sequence[Event]) -> list[Outcome]:
        """Hand over events for which somebody waits: it has six tenths of the time limit.

        Raises:
            StorageFull, StoreUnavailable: it is not up any more; some of the events may have been stored all the same.

        """
        changes = self._changes
        try:
            return await self._deadlines.within(self.store.put(events))
        except TimeoutError:
            error: StoreError = StoreUnavailable("the event store has not answered in time")
        except (StorageFull, StoreUnavailable) as failure:
            error = failure
        self._fail_since(changes, error)
        raise error

    async def put_bulk(self, events: Sequence[Event]) -> list[Outcome]:
        """Hand over events for which nobody waits: it has twice the time limit; else as ``put``."""
        changes = self._changes
        try:
            return await self.within(self._timeout * 2, self.store.put(events))
        except (StorageFull, StoreUnavailable) as error:
            self._fail_since(changes, error)
            raise

    async def check(self) -> None:
        """Ask it whether it takes events; if not, it is not up any more."""
        changes = self._changes
        try:
            await self.within(self._timeout / 2, self.store.ping())
        except (StorageFull, StoreUnavailable) as error:
            self._fail_since(changes, error)

    async def read(self, call: Awaitable[Result]) -> Result:
        """Await a reading call; when it fails the backend is soon asked whether it is still there."""
        try:
            return await self.within(self._timeout, call)
        except StoreUnavailable:
            self.is_suspected = True
            self._wake()
            raise

    def fail(self, error: StoreError) -> None:
        """Let it be away, for this reason."""
        before, self.problem = self.problem, error
        if before is not None:
            if str(before) != str(error):
                _LOGGER.warning("the event store is still away: %s", error)
        else:
            self._changes += 1
            self.failures += 1
            self.is_up = False
            self._since = time.monotonic()
            _LOGGER.warning("the event store is away, events go to the spool: %s", error)
        self._wake()

    def recover(self) -> None:
        """Let it be up."""
        if not self.is_up:
            self._changes += 1
            self.is_up = True
            if self.problem is not None:
                _LOGGER.warning("the event store is back after %.1f s", time.monotonic() - self._since)
            self.problem = None

    async def within(self, seconds: float, call: Awaitable[Result]) -> Result:
        """Await a call.

        Raises:
            StoreUnavailable: it takes longer.

        """
        try:
            async with asyncio.timeout(seconds):
                return await call
        except TimeoutError:
            raise StoreUnavailable("the event store has not answered in time") from None

    def _fail_since(self, changes: int, error: StoreError) -> None:
        """Let it be away, unless it has come back since the call began that failed."""
        if changes == self._changes:
            self.fail(error)

    async def _open(self) -> None:
        await self.within(self._timeout, self.store.__aenter__())
        self._is_open = True

    async def _prepare(self) -> None:
        if (schemas := self._schemas) is not None:
            await self.within(self._timeout, self.store.prepare(schemas))
            if self._schemas is schemas:
                self._schemas = None
