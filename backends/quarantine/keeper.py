"""Keeping: one group after the other, each shared by all callers that wait meanwhile."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, ParamSpec, TypeVar

from backends.errors import StorageFull, StoreError, StoreUnavailable
from backends.quarantine.entries import Refused, key_of, tidy, to_microseconds
from backends.quarantine.ledger import Again, Fresh, Ledger
from backends.quarantine.limits import Limits
from backends.quarantine.lines import EntryLine, make_entry_line
from backends.quarantine.statistics import QuarantineStatistics

_HEAD_ESTIMATE: Final = 350
_INLINE_BYTES: Final = 128 * 1024
_GROUP_BYTES: Final = 64 * 1024 * 1024
_AGAIN_LINES: Final = 20_000

_LOGGER: Final = logging.getLogger(__name__)
_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


class _Request(NamedTuple):
    refused: Sequence[Refused]
    moments: list[int]
    size: int
    kept: asyncio.Future[list[str]]


class Keeper:
    """Takes in what is refused.

    Args:
        ledger: where to.
        limits: makes room.
        statistics: counts.
        turn: held while the ledger changes.
        untidy: called when there is something to free.
        now: microseconds since 1970.

    """

    def __init__(
        self,
        ledger: Ledger,
        limits: Limits,
        statistics: QuarantineStatistics,
        turn: asyncio.Lock,
        untidy: Callable[[], None],
        now: Callable[[], int],
    ) -> None:
        self._ledger = ledger
        self._limits = limits
        self._statistics = statistics
        self._turn = turn
        self._untidy = untidy
        self._now = now
        self._again_lines = 0
        self._waiting: list[_Request] = []
        self._task: asyncio.Task[None] | None = None

    async def keep(self, refused: Sequence[Refused]) -> list[str]:
        """Keep what was refused; see ``Quarantine.keep_many``."""
        refused = [tidy(one) for one in refused]
        size = sum(_estimate(one) for one in refused)
        if size > self._limits.max_live_bytes:
            msg = "it is larger than the whole quarantine may be"
            raise StorageFull(msg)
        moments = [to_microseconds(one.received) for one in refused]
        request = _Request(refused, moments, size, asyncio.get_running_loop().create_future())
        self._waiting.append(request)
        if self._task is None:
            self._task = asyncio.create_task(self._work_off(), name="quarantine-keeper")
        return await request.kept

    async def finish(self, seconds: float) -> None:
        """Return when all that was handed in is kept, or refused, or when the disk has not answered for so long."""
        if self._task is not None:
            await asyncio.wait([self._task], timeout=seconds)

    async def _work_off(self) -> None:
        while self._waiting:
            group = self._next_group()
            try:
                ids = await self._keep_group(group)
            except StoreError as error:
                _fail(group, error)
            except Exception:
                _LOGGER.exception("what was refused could not be kept")
                _fail(group, StoreUnavailable("the quarantine met a bug"))
            else:
                for request in group:
                    mine, ids = ids[: len(request.refused)], ids[len(request.refused) :]
                    if not request.kept.done():
                        request.kept.set_result(mine)
        self._task = None

    def _next_group(self) -> list[_Request]:
        most = min(_GROUP_BYTES, self._limits.max_live_bytes // 4)
        size, number = 0, 0
        while number < len(self._waiting) and (not number or size + self._waiting[number].size <= most):
            size += self._waiting[number].size
            number += 1
        group, self._waiting = self._waiting[:number], self._waiting[number:]
        return group

    async def _keep_group(self, group: Sequence[_Request]) -> list[str]:
        refused = [one for request in group for one in request.refused]
        moments = [moment for request in group for moment in request.moments]
        size = sum(request.size for request in group)
        keys = await _in_thread_if_large(size, _make_keys, refused)
        async with self._turn:
            evicted = await self._make_room(refused, keys)
            repeated, first, again = self._sort(refused, keys, moments)
            lines = await _in_thread_if_large(size, _make_lines, first)
            await self._ledger.add(lines, again)
        self._again_lines += len(again)
        if evicted or self._again_lines >= _AGAIN_LINES:
            self._again_lines = 0
            self._untidy()
        self._statistics.kept.update(one.code for one, _ in first)
        self._statistics.repeated.update(repeated)
        return [key.hex() for key in keys]

    async def _make_room(self, refused: Sequence[Refused], keys: Sequence[bytes]) -> bool:
        find = self._ledger.directory.find
        new = {key: _estimate(one) for one, key in zip(refused, keys, strict=True) if not find(key)}
        return await self._limits.make_room(sum(new.values()), len(new))

    def _sort(
        self, refused: Sequence[Refused], keys: Sequence[bytes], moments: Sequence[int]
    ) -> tuple[list[str], list[tuple[Refused, EntryLine]], dict[int, Again]]:
        """Tell the codes of repeated ones, the new ones, and the entries whose count rises."""
        directory, now = self._ledger.directory, self._now()
        repeated: list[str] = []
        first: dict[bytes, tuple[Refused, EntryLine]] = {}
        again: dict[int, Again] = {}
        for one, key, moment in zip(refused, keys, moments, strict=True):
            if row := directory.find(key):
                repeated.append(one.code)
                count, last = again.get(row) or (int(directory.arrivals[row]), int(directory.last[row]))
                again[row] = Again(count + 1, max(last, moment))
            elif key in first:
                repeated.append(one.code)
                earlier, entry = first[key]
                first[key] = earlier, entry._replace(arrivals=entry.arrivals + 1, last=max(entry.last, moment))
            else:
                sequence = self._ledger.next_sequence(now)
                first[key] = (
                    one,
                    EntryLine(key, sequence, 1, moment, one.code, one.event_type_id, one.peer),
                )
        return repeated, list(first.values()), again


def _estimate(refused: Refused) -> int:
    """Return about how long the line will be, rather too much."""
    names = len(refused.detail) + len(refused.peer or "") + len(refused.event_type_id or "")
    return len(refused.body) * 4 // 3 + names + _HEAD_ESTIMATE


def _make_keys(refused: Sequence[Refused]) -> list[bytes]:
    return [key_of(one.code, one.body) for one in refused]


def _make_lines(first: Sequence[tuple[Refused, EntryLine]]) -> list[Fresh]:
    return [Fresh(entry, make_entry_line(one, entry)) for one, entry in first]


def _fail(group: Sequence[_Request], error: StoreError) -> None:
    for request in group:
        if not request.kept.done():
            request.kept.set_exception(error)


async def _in_thread_if_large(
    size: int, work: Callable[_Arguments, _Result], *arguments: _Arguments.args, **named: _Arguments.kwargs
) -> _Result:
    """Do it here if it takes less than a millisecond or so, else in a thread."""
    if size <= _INLINE_BYTES:
        return work(*arguments, **named)
    return await asyncio.to_thread(work, *arguments, **named)
