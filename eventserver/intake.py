"""The rules of intake: bytes in, verdict out. No HTTP, no driver.

An event goes one way: ``parse`` (strict JSON, envelope) -> its schema -> ``store.put``. Whatever is refused for its
content is in quarantine, durably, before the refusal leaves.
"""

import asyncio
from collections.abc import Sequence
from functools import partial
from time import perf_counter
from typing import Final, NamedTuple

from backends.base import Event, EventStore, Status
from backends.errors import StoreUnavailable
from backends.quarantine import Quarantine, Refused
from backends.record import finish_record, original_of
from eventserver.counters import OTHER_TYPE, Counters
from eventserver.message import parse, received_now
from eventserver.refusal import Code, Refusal
from eventserver.schemas import SchemaRegistry

LARGE_BODY: Final = 64 * 1024
"""Bytes; what is larger is parsed and judged off the event loop."""

KEPT_CODES: Final = frozenset(
    {
        Code.MALFORMED_JSON,
        Code.INVALID_EVENT,
        Code.UNKNOWN_EVENT_TYPE,
        Code.SCHEMA_VIOLATION,
        Code.EVENT_CONFLICT,
    }
)
"""Refusals for content: senders do not come back, so these bodies are kept."""


class Receipt(NamedTuple):
    """What is told about an event that was taken."""

    status: Status
    """``STORED``, ``SPOOLED`` or ``DUPLICATE``."""
    uuid: str
    original: bytes
    """The stored event as sent: of a duplicate, the first one's spelling."""


_make_event: Final = partial(tuple.__new__, Event)
_make_receipt: Final = partial(tuple.__new__, Receipt)
"""A third of what the named tuples' own constructors cost."""


class Intake:
    """Takes events.

    Args:
        store: where they go; open.
        registry: the schemas in force; asked anew for each event, so a reload takes force at once.
        quarantine: where refused bodies go; open.
        counters: counts every outcome.
        timeout: seconds that the quarantine may take.

    """

    def __init__(
        self,
        *,
        store: EventStore,
        registry: SchemaRegistry,
        quarantine: Quarantine,
        counters: Counters,
        timeout: float,
    ) -> None:
        self.store = store
        self.counters = counters
        self._registry = registry
        self._quarantine = quarantine
        self._timeout = timeout

    async def accept(self, body: bytes, *, peer: str, received: str | None = None) -> Receipt:
        """Take one event; when this returns it is durable.

        Args:
            body: the bytes as received.
            peer: who sent it, for the quarantine.
            received: the moment of arrival (``message.received_now``); now when left out.

        Raises:
            Refusal: it is not valid, or another event has its uuid; the body is in quarantine.
            StoreError: it could not be stored, or what was refused not be kept; nothing is acknowledged.

        """
        counters = self.counters
        started = perf_counter()
        try:
            if len(body) <= LARGE_BODY:
                event = self.judge(body, received)
            else:
                event = await asyncio.to_thread(self.judge, body, received)
        except Refusal as refusal:
            await self.refuse(body, refusal, peer=peer, received=received)
            raise
        judged = perf_counter()
        counters.validate_seconds.observe(judged - started)
        status, record = (await self.store.put((event,)))[0]
        counters.store_seconds.observe(perf_counter() - judged)
        if status is Status.CONFLICT:
            conflicting = conflict(event)
            await self.refuse(body, conflicting, peer=peer, received=received)
            raise conflicting
        if status is Status.UNAVAILABLE:
            raise StoreUnavailable("the store could not take this event now")
        counters.outcomes[status, event.event_type_id] += 1
        return _make_receipt((status, event.uuid, original_of(record or event.record)))

    def judge(self, body: bytes, received: str | None = None) -> Event:
        """Judge an event by its envelope and its schema, storing nothing.

        Returns:
            The event with its finished record.

        Raises:
            Refusal: it is not valid.

        """
        uuid, smrtlink_id, event_type_id, event_type_version, at, message, original = parse(body)
        event_type = (event_type_id, event_type_version)
        is_valid = self._registry.validators.get(event_type)
        if is_valid is None or not is_valid(message):
            refusal = self._registry.explain(*event_type, message)
            refusal.event_type = event_type
            raise refusal
        record = finish_record(original, at, received or received_now())
        return _make_event((uuid, smrtlink_id, event_type_id, event_type_version, at, record))

    async def refuse(self, body: bytes, refusal: Refusal, *, peer: str, received: str | None = None) -> None:
        """Keep and count what is refused for its content, and nothing else; then the refusal may be sent.

        Raises:
            StoreError: it could not be kept, so it must not be refused either.

        """
        if refusal.code in KEPT_CODES:
            await self.keep([refused_body(body, refusal, peer, received)])
            self.count_refusal(refusal)

    async def keep(self, bodies: Sequence[Refused]) -> None:
        """Keep refused bodies; returns when they are durable.

        Raises:
            StoreError: they could not be kept, so they must not be refused either.

        """
        try:
            async with asyncio.timeout(self._timeout):
                await self._quarantine.keep_many(bodies)
        except TimeoutError:
            msg = "the quarantine has not answered in time"
            raise StoreUnavailable(msg) from None

    def count_refusal(self, refusal: Refusal) -> None:
        """Count one event that was not taken."""
        known = refusal.event_type is not None and refusal.event_type in self._registry.validators
        event_type_id = refusal.event_type[0] if known and refusal.event_type else OTHER_TYPE
        self.counters.outcomes[refusal.code, event_type_id] += 1


def conflict(event: Event) -> Refusal:
    """Return the refusal of an event whose uuid names another one."""
    detail = f"Another event with uuid {event.uuid} is stored, with other content; the first stays. Send a new uuid."
    refusal = Refusal(Code.EVENT_CONFLICT, detail)
    refusal.event_type = (event.event_type_id, event.event_type_version)
    return refusal


def refused_body(body: bytes, refusal: Refusal, peer: str, received: str | None) -> Refused:
    """Return what the quarantine keeps of a refusal."""
    event_type_id, event_type_version = refusal.event_type or (None, None)
    return Refused(
        body=body,
        code=refusal.code.value,
        detail=refusal.detail,
        event_type_id=event_type_id,
        event_type_version=event_type_version,
        peer=peer,
        received=received or received_now(),
    )
