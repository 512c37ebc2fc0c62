"""Trying again what was refused: after a schema was mended, or simply to see what would be said now.

A replay is harmless: an event that is there already is a duplicate, and stays as it is. What is taken leaves the
quarantine only after that; a replay that is broken off in between is repaired by the next one.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Final, NamedTuple

from backends.base import Event, Status
from backends.errors import StoreUnavailable
from backends.quarantine import Entry, Filter, Kept, Quarantine
from eventserver.bundle import is_archive
from eventserver.bundle_intake import BundleIntake
from eventserver.intake import Intake, conflict, refused_body
from eventserver.refusal import Refusal

GONE: Final = "gone"
"""The result for an entry that is not there."""
_TAKEN: Final = frozenset({Status.STORED, Status.SPOOLED, Status.DUPLICATE})
_STEP_ENTRIES: Final = 100
_STEP_BYTES: Final = 4 * 1024 * 1024


class Replayed(NamedTuple):
    """What became of one entry."""

    result: str
    """``stored``, ``spooled`` or ``duplicate``: it has left the quarantine. The code of a refusal: it stays, with that
    reason. ``unavailable``: it stays as it is; it can't be read or stored now. ``gone``: there is no such entry."""
    id: str | None
    """The entry's id from now on (another reason may mean another id); None when it has left."""


class ReplayReport(NamedTuple):
    """What became of many entries."""

    results: Counter[str]
    """How many had each result."""
    next: str | None
    """The cursor to go on with, or None when all were tried."""


class QuarantineReplay:
    """Hands entries of the quarantine to the intake's rules and to the store, with their first moment of arrival."""

    def __init__(self, quarantine: Quarantine, intake: Intake, bundles: BundleIntake) -> None:
        """Take all, open."""
        self._quarantine = quarantine
        self._intake = intake
        self._bundles = bundles

    async def replay(self, id_: str) -> Replayed:
        """Try one entry.

        Raises:
            StoreError: the store or the quarantine can't serve; the entry is there.

        """
        found = await self._read(id_)
        if isinstance(found, Replayed):
            return found
        [replayed] = await self._replay([found])
        return replayed

    async def replay_all(self, condition: Filter, *, limit: int, cursor: str | None = None) -> ReplayReport:
        """Try the entries that fit a filter, oldest first, as they once came: of two in conflict the first one wins.

        Args:
            condition: which.
            limit: so many at most; 1 or more.
            cursor: ``next`` of the report before.

        Raises:
            InvalidCursor: it is no cursor.
            StoreError: the store or the quarantine can't serve; what was not taken before that is there.

        """
        results: Counter[str] = Counter()
        while True:
            room = min(_STEP_ENTRIES, limit - results.total())
            page = await self._quarantine.find(condition, limit=room, cursor=cursor, oldest_first=True)
            for step in _steps(page.entries):
                found = [await self._read(entry.id) for entry in step]
                results.update(one.result for one in found if isinstance(one, Replayed))
                replayed = await self._replay([one for one in found if isinstance(one, Kept)])
                results.update(one.result for one in replayed)
            cursor = page.next
            if cursor is None or results.total() >= limit:
                return ReplayReport(results, cursor)

    async def _read(self, id_: str) -> Kept | Replayed:
        """Return an entry, or why it can't be tried; one that is damaged does not keep others from being tried."""
        try:
            kept = await self._quarantine.get(id_)
        except StoreUnavailable:
            return Replayed(Status.UNAVAILABLE, id_)
        return Replayed(GONE, None) if kept is None else kept

    async def _replay(self, kept: Sequence[Kept]) -> list[Replayed]:
        archives = [one for one in kept if is_archive(one.body)]
        kept = [one for one in kept if not is_archive(one.body)]
        replayed = [await self._replay_archive(one) for one in archives]
        return [*replayed, *await self._replay_events(kept)]

    async def _replay_archive(self, kept: Kept) -> Replayed:
        """Take a bundle; what it was called is not known any more."""
        entry = kept.entry
        async with self._bundles.bundles.receive() as incoming:
            await incoming.write(kept.body)
            try:
                receipt = await self._bundles.take(incoming, name="", received=entry.received)
            except Refusal as refusal:
                return await self._refuse_again(kept, refusal)
            except StoreUnavailable:
                return Replayed(Status.UNAVAILABLE, entry.id)
        await self._quarantine.drop([entry.id])
        return Replayed(receipt.status, None)

    async def _replay_events(self, kept: Sequence[Kept]) -> list[Replayed]:
        verdicts = await asyncio.to_thread(self._judge_all, kept)
        events = [verdict for verdict in verdicts if isinstance(verdict, Event)]
        outcomes = iter(await self._intake.store.put(events) if events else ())
        replayed: list[Replayed] = []
        taken: list[str] = []
        for one, verdict in zip(kept, verdicts, strict=True):
            refusal = verdict
            if isinstance(verdict, Event):
                status = next(outcomes).status
                if status in _TAKEN:
                    self._intake.counters.outcomes[status, verdict.event_type_id] += 1
                    taken.append(one.entry.id)
                    replayed.append(Replayed(status, None))
                    continue
                if status is not Status.CONFLICT:
                    replayed.append(Replayed(status, one.entry.id))
                    continue
                refusal = conflict(verdict)
            assert isinstance(refusal, Refusal)
            replayed.append(await self._refuse_again(one, refusal))
        await self._quarantine.drop(taken)
        return replayed

    def _judge_all(self, kept: Sequence[Kept]) -> list[Event | Refusal]:
        return [self._judge(one) for one in kept]

    def _judge(self, kept: Kept) -> Event | Refusal:
        try:
            return self._intake.judge(kept.body, kept.entry.received)
        except Refusal as refusal:
            return refusal

    async def _refuse_again(self, kept: Kept, refusal: Refusal) -> Replayed:
        entry = kept.entry
        refused = refused_body(kept.body, refusal, entry.peer or "", entry.received)
        return Replayed(refusal.code, await self._quarantine.refuse_again(entry.id, refused))


def _steps(entries: Sequence[Entry]) -> list[list[Entry]]:
    """Cut a list so that the bodies of each part fit well into memory."""
    steps: list[list[Entry]] = []
    room = 0
    for entry in entries:
        if not steps or entry.size > room:
            steps.append([])
            room = _STEP_BYTES
        steps[-1].append(entry)
        room -= entry.size
    return steps
