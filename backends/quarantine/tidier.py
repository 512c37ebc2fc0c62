"""Housekeeping: what is too old goes, and the room of what is gone is freed."""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Final

from backends.errors import StoreError
from backends.log import LogPosition
from backends.quarantine.ledger import Ledger
from backends.quarantine.limits import Limits

_SECONDS: Final = 600

_LOGGER: Final = logging.getLogger(__name__)


class Tidier:
    """Tidies up when it is told to, and every ten minutes.

    Args:
        ledger: what is tidied.
        limits: knows what is too old.
        turn: held while the ledger changes; between two steps others have their turn.
        now: microseconds since 1970.

    """

    def __init__(self, ledger: Ledger, limits: Limits, turn: asyncio.Lock, now: Callable[[], int]) -> None:
        self._ledger = ledger
        self._limits = limits
        self._turn = turn
        self._now = now
        self._wake = asyncio.Event()
        self._one_at_a_time = asyncio.Lock()
        self._ending = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to work in the background."""
        self._task = asyncio.create_task(self._run(), name="quarantine-tidier")

    def wake(self) -> None:
        """Say that there may be something to do."""
        self._wake.set()

    async def finish(self, seconds: float) -> None:
        """Stop after the step that is under way, or after so long; what was begun is taken up at the next start."""
        self._ending = True
        self._wake.set()
        if self._task is not None:
            await asyncio.wait([self._task], timeout=seconds)

    async def tidy(self) -> None:
        """Evict what is too old, and free what is worth it.

        Raises:
            StorageFull, StoreUnavailable: it could not go on; nothing is lost, and the next time it is taken up again.

        """
        async with self._one_at_a_time:
            async with self._turn:
                await self._limits.expire(self._now())
            while not self._ending:
                async with self._turn:
                    segment = await self._ledger.space.find_wasteful()
                if segment is None or not await self._compact(segment):
                    return

    async def _compact(self, segment: int) -> bool:
        """Free a segment; tell whether it is gone."""
        position: LogPosition | None = LogPosition(segment, 0)
        while position is not None:
            if self._ending:
                return False
            async with self._turn:
                position = await self._ledger.carry(position)
                if position is None:
                    return await self._ledger.space.remove(segment)
        return False

    async def _run(self) -> None:
        while not self._ending:
            self._wake.clear()
            try:
                await self.tidy()
            except StoreError as error:
                _LOGGER.warning("the quarantine can't be tidied now: %s", error)
            except Exception:
                _LOGGER.exception("the quarantine can't be tidied")
            if not self._ending:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_SECONDS):
                        await self._wake.wait()
