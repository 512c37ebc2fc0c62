"""Identity: which of the events that are put become stored, and what the others are.

Two documents are created for an event in one ``_bulk`` call: a *claim*, which says for its uuid which index it is in,
and the event itself, under its uuid in the index of its type. Within an index, creating decides which content is
there; between indices, the claim does. An event is *there* when its claim names the index that it is in.

An event is acknowledged when

- claim and event were both created for it, within ``LEASE`` seconds from the sending of the claim to the answer, or
- the event is there, by a claim that was read *after* the event was known to exist.

A claim can be left without an event (a writer that died; an overloaded shard). The next writer of that index creates
the event and writes the claim again, so that it is a new arrival. A writer of another index takes the claim over, but
only one that it has seen unchanged and without an event for ``PATIENCE`` seconds: whoever made it acknowledges by it no
more. Then it looks again for the other event, and gives the claim back if it came after all. No clock is compared with
another machine's.
"""

import asyncio
import time
from collections.abc import Sequence
from typing import Final

from backends.base import Outcome, Status
from backends.boarding import Group, judge
from backends.elasticsearch.bulk import Bulk, Item
from backends.elasticsearch.claims import PATIENCE, Claims
from backends.elasticsearch.connection import ATTEMPTS, CLOSED, ConnectionFailed, Pauses, Transient, problem
from backends.elasticsearch.counts import Counts
from backends.elasticsearch.documents import Document, Documents, Place
from backends.elasticsearch.layout import Layout
from backends.elasticsearch.mapping.flattening import SMALL
from backends.elasticsearch.pending import Pending
from backends.elasticsearch.records import Claim, claim_of, read_record
from backends.errors import StoreError

LEASE: Final = 5.0
_STORED: Final = Outcome(Status.STORED)
_CREATED: Final = 201
_REFUSED: Final = 400
_MISSING: Final = 404
_THERE: Final = frozenset({_CREATED, 409})


class Identity:
    """Settles groups of events.

    Args:
        bulk: sends.
        documents: reads.
        layout: names, and creates what is missing.
        counts: of what happened.
        patience: see the module.

    """

    def __init__(
        self, bulk: Bulk, documents: Documents, layout: Layout, counts: Counts, patience: float = PATIENCE
    ) -> None:
        self._bulk = bulk
        self._documents = documents
        self._layout = layout
        self._counts = counts
        self._claims = Claims(bulk, documents, layout.claims, counts, patience)
        self._lease = min(LEASE, patience)

    async def settle(self, group: Group) -> None:
        """Settle each event of a group, whose uuids differ, by its deadline.

        Raises:
            StoreError: what is not settled failed for this.

        """
        pending: list[Pending] = []
        pauses, failures = Pauses(group.deadline), 0
        while pending or not group.is_closed:
            error: StoreError | None = None
            try:
                async with self._bulk.call(group.deadline):
                    if not group.is_closed:
                        pending = await self._begin(group)
                    sent = time.monotonic()
                    items = await self._send(pending, group.deadline)
            except Transient as failure:
                failures += isinstance(failure, ConnectionFailed)
                if not group.is_closed or failures >= ATTEMPTS:
                    raise
                error = failure
                for each in pending:
                    each.is_uncertain = True
            else:
                await self._sort_out(pending, items, sent, group.deadline)
                pending = [each for each in pending if not each.is_settled]
                error = next((each.problem for each in pending if each.problem), None)
            if pending and error is not None:
                self._counts.retries += len(pending)
                await pauses.wait(error)

    async def _begin(self, group: Group) -> list[Pending]:
        pending = []
        for passenger in group.close():
            event = passenger.event
            each = Pending(passenger, self._layout.index_of(event.event_type_id, event.event_type_version))
            if len(event.record) > SMALL:
                event_type = (event.event_type_id, event.event_type_version)
                each.as_is = await self._layout.guards.is_excessive(event_type, event.record, group.deadline)
            pending.append(each)
        return pending

    async def _send(self, pending: Sequence[Pending], deadline: float) -> list[list[Item]]:
        claims = self._layout.claims.encode()
        units = [
            b'{"create":{"_index":"%b","_id":"%b"}}\n%b\n%b'
            % (claims, each.event.uuid.encode(), claim_of(each.event, each.index), each.unit())
            for each in pending
        ]
        return await self._bulk.send(units, 2, deadline=deadline)

    async def _sort_out(
        self, pending: Sequence[Pending], items: Sequence[Sequence[Item]], sent: float, deadline: float
    ) -> None:
        """Settle what the answer decides, and look into the rest."""
        now = time.monotonic()
        unclear = []
        missing: dict[str, tuple[str, int]] = {}
        are_claims_missing = False
        for each, (claim, event) in zip(pending, items, strict=True):
            if claim.status == _CREATED:
                each.claimed_at = sent
            each.problem = None
            if event.status == _CREATED and claim.status in _THERE and now - each.claimed_at < self._lease:
                self._store(each)
                continue
            are_claims_missing |= claim.status == _MISSING
            if event.status == _MISSING:
                missing[each.index] = (each.event.event_type_id, each.event.event_type_version)
            if _take_note(each, claim, event):
                unclear.append(each)
        if are_claims_missing:
            # First: where there are events and no claims, these were deleted.
            self._claims.forget()
            if not await self._create(self._layout.claims, None, pending, deadline):
                missing.clear()
        await asyncio.gather(*(self._create(*each, pending, deadline) for each in missing.items()))
        if unclear:
            await self._look_into(unclear, deadline)

    async def _create(
        self, name: str, event_type: tuple[str, int] | None, pending: Sequence[Pending], deadline: float
    ) -> bool:
        """Create what is missing; tell whether it is there now. If not, the events that need it have a problem."""
        try:
            await self._layout.create(name, event_type, deadline=deadline)
        except StoreError as failure:
            error = failure
        else:
            return True
        for each in pending:
            if event_type is None or each.index == name:
                each.problem = error
                if not isinstance(error, Transient):
                    each.settle(error)
        return False

    async def _look_into(self, unclear: Sequence[Pending], deadline: float) -> None:
        try:
            await self._decide(unclear, deadline)
        except Transient as error:
            for each in unclear:
                each.problem = error

    async def _decide(self, unclear: Sequence[Pending], deadline: float) -> None:
        """Decide by what is there: the events are known to exist, so now their claims are read."""
        own: list[tuple[Pending, Claim]] = []
        orphaned: list[tuple[Pending, Claim]] = []
        for each, claim, found in await self._what_is_there(unclear, deadline):
            if found is None and claim.name != each.index:
                orphaned.append((each, claim))
            elif found is None:
                each.problem = Transient("Elasticsearch has lost an event just made")
            elif claim.name == each.index and each.is_own(found.source):
                own.append((each, claim))
            else:
                each.winner = found
                each.is_beaten = claim.name != each.index
        await self._claims.remove([each for each in unclear if each.is_beaten and each.is_late], deadline)
        for each, claim in orphaned:
            await self._claims.take_over(each, claim, deadline)
        # Whoever follows the claims has passed these while they had no event.
        await self._claims.renew([pair for pair in own if pair[0].is_late], deadline)
        for each, _ in own:
            if each.problem is None:
                self._store(each)
        await self._judge(unclear)

    async def _what_is_there(
        self, unclear: Sequence[Pending], deadline: float
    ) -> list[tuple[Pending, Claim, Document | None]]:
        """Return the claim on each uuid, and the event that it leads to."""
        claimed: list[tuple[Pending, Claim]] = []
        claims = await self._documents.read_claims([each.event.uuid for each in unclear], deadline=deadline)
        for each, claim in zip(unclear, claims or [None] * len(unclear), strict=True):
            if claim is None:
                each.problem = Transient("Elasticsearch has lost a claim just made")
            else:
                claimed.append((each, claim))
        found = await self._documents.read(
            [Place(claim.name, each.event.uuid) for each, claim in claimed],
            sizes=[claim.bytes for _, claim in claimed],
            deadline=deadline,
        )
        return [(each, claim, event) for (each, claim), event in zip(claimed, found, strict=True)]

    async def _judge(self, pending: Sequence[Pending]) -> None:
        judged: list[tuple[Pending, Document]] = [(each, each.winner) for each in pending if each.winner is not None]
        records = [(each.event.record, read_record(winner.source)) for each, winner in judged]
        async for number, outcome in judge(records):
            self._counts.conflicts += outcome.status is Status.CONFLICT
            judged[number][0].settle(outcome)

    def _store(self, each: Pending) -> None:
        self._counts.as_is += each.as_is
        each.settle(_STORED)


def _take_note(each: Pending, claim: Item, event: Item) -> bool:
    """Note why an event was not stored; what time does not mend settles it. Tell whether it is to be looked into."""
    each.is_late |= event.status == _CREATED
    if event.status == _REFUSED and not each.as_is and event.kind != CLOSED:
        each.as_is = True
        return False
    for item in (claim, event):
        if item.status not in _THERE:
            error = problem(item.status, item.kind, item.reason)
            each.problem = Transient(str(error)) if item.status == _MISSING else error
            if not isinstance(each.problem, Transient):
                each.settle(error)
    each.is_uncertain |= event.status not in _THERE and event.status != _MISSING
    return claim.status in _THERE and event.status in _THERE
