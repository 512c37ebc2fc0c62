"""Changing claims that are there: renewing one, taking one over, and removing an event that another claim beats."""

import time
from collections.abc import Sequence
from typing import Final

from backends.elasticsearch.bulk import Bulk
from backends.elasticsearch.connection import Transient, problem
from backends.elasticsearch.counts import Counts
from backends.elasticsearch.documents import Documents, Place
from backends.elasticsearch.pending import Pending
from backends.elasticsearch.records import Claim, claim_of
from backends.errors import StoreUnavailable

PATIENCE: Final = 7.5
REMEMBERED: Final = 10_000
_WRITTEN: Final = frozenset({200, 201})
_CONFLICT: Final = 409


class Claims:
    """See ``identity``.

    Args:
        bulk: sends.
        documents: reads.
        name: alias of the claims.
        counts: of what was taken over.
        patience: seconds that a claim must have been seen without an event.

    """

    def __init__(self, bulk: Bulk, documents: Documents, name: str, counts: Counts, patience: float) -> None:
        self._bulk = bulk
        self._documents = documents
        self._name = name
        self._counts = counts
        self._patience = patience
        self._seen: dict[str, tuple[str, float]] = {}

    def forget(self) -> None:
        """Forget which claims were seen without an event: those that are there now are others."""
        self._seen.clear()

    async def renew(self, pairs: Sequence[tuple[Pending, Claim]], deadline: float) -> None:
        """Write claims again, as they were when they were read, so that they count as new arrivals.

        Where one has changed since, or could not be written, its event has a problem.
        """
        if not pairs:
            return
        units = [self._unit(each, claim.version, claim_of(each.event, each.index)) for each, claim in pairs]
        async with self._bulk.call(deadline):
            items = await self._bulk.send(units, 1, deadline=deadline)
        for (each, _), (item,) in zip(pairs, items, strict=True):
            if item.status == _CONFLICT:
                each.problem = Transient("another server has changed the claim")
            elif item.status not in _WRITTEN:
                each.problem = problem(item.status, item.kind, item.reason)

    async def take_over(self, each: Pending, claim: Claim, deadline: float) -> None:
        """Take over a claim of another index that has no event; it is too early for that, the event is settled."""
        uuid, now = each.event.uuid, time.monotonic()
        version, since = self._seen.get(uuid, ("", now))
        if version != claim.version:
            self._seen[uuid] = (claim.version, now)
            if len(self._seen) > REMEMBERED:
                del self._seen[next(iter(self._seen))]
            since = now
        if now - since < self._patience:
            await self.remove([each] if each.is_late else [], deadline)
            each.settle(StoreUnavailable("the uuid is claimed by a writer that may still be at work; try again later"))
            return
        del self._seen[uuid]
        await self.renew([(each, claim)], deadline)
        if each.problem is None:
            self._counts.taken_over += 1
            await self._look_again(each, claim, deadline)
            each.problem = each.problem or Transient("the claim was just taken over")

    async def _look_again(self, each: Pending, claim: Claim, deadline: float) -> None:
        """Give the claim back if the other event came while it was being taken over."""
        (other,) = await self._documents.read([Place(claim.name, each.event.uuid)], deadline=deadline)
        if other is None:
            return
        claims = await self._documents.read_claims([each.event.uuid], deadline=deadline)
        mine = claims[0] if claims else None
        if mine is not None and mine.name == each.index:
            body = b'{"index":"%b","bytes":%d}' % (claim.name.encode(), len(other.source))
            async with self._bulk.call(deadline):
                await self._bulk.send([self._unit(each, mine.version, body)], 1, deadline=deadline)

    async def remove(self, pending: Sequence[Pending], deadline: float) -> None:
        """Remove the events that were just created in vain; one that stays is shown nowhere."""
        if not pending:
            return
        found = await self._documents.read(
            [Place(each.index, each.event.uuid) for each in pending],
            sizes=[len(each.event.record) for each in pending],
            deadline=deadline,
        )
        units = [
            b'{"delete":{"_index":"%b","_id":"%b",%b}}\n'
            % (each.index.encode(), each.event.uuid.encode(), document.version.encode())
            for each, document in zip(pending, found, strict=True)
            if document is not None and each.is_own(document.source)
        ]
        if units:
            async with self._bulk.call(deadline):
                await self._bulk.send(units, 1, deadline=deadline)

    def _unit(self, each: Pending, version: str, claim: bytes) -> bytes:
        return b'{"index":{"_index":"%b","_id":"%b",%b}}\n%b\n' % (
            self._name.encode(),
            each.event.uuid.encode(),
            version.encode(),
            claim,
        )
