"""Many events in one request: judged in order, stored in blocks, a verdict for each."""

import asyncio
from collections.abc import Iterable, Sequence
from functools import partial
from time import perf_counter
from typing import Final, NamedTuple

from jiter import from_json

from backends.base import Event, Outcome, Status
from backends.errors import StorageFull, StoreError
from backends.record import original_of, received_of
from eventserver.intake import KEPT_CODES, LARGE_BODY, Intake, conflict, refused_body
from eventserver.message import is_uuid, received_now
from eventserver.refusal import Code, Refusal, Violation
from eventserver.strict_json import decode

SLICE_SECONDS: Final = 0.005
"""The event loop is given back after this long."""
BLOCK_EVENTS: Final = 1000
"""A sender that is faster than the disk waits for its block, so that memory stays flat."""
INVALID: Final = "invalid"


class Verdict(NamedTuple):
    """What became of one event of a batch."""

    status: str
    """A ``Status``, or ``INVALID``."""
    uuid: str | None = None
    """The event's own, lower case; None where none could be read."""
    code: Code | None = None
    detail: str | None = None
    errors: Sequence[Violation] = ()

    @property
    def retryable(self) -> bool:
        """Whether sending the same bytes again may succeed."""
        return self.status == Status.UNAVAILABLE


class _Refused(NamedTuple):
    number: int
    body: bytes
    refusal: Refusal
    received: str
    uuid: str | None


_PENDING: Final = Verdict("pending")
_make_verdict: Final = partial(tuple.__new__, Verdict)
"""A third of what the named tuple's own constructor costs."""


class Batch:
    """One request's events, in order.

    Events of one uuid are judged as if they had been sent one after the other. Each good event goes in, whatever the
    others are.

    Args:
        intake: judges and stores.
        peer: who sent them.
        max_event_bytes: a larger event is refused, alone.

    """

    def __init__(self, intake: Intake, *, peer: str, max_event_bytes: int) -> None:
        self.verdicts: list[Verdict] = []
        self._intake = intake
        self._peer = peer
        self._max_event_bytes = max_event_bytes
        self._numbers: list[int] = []
        self._events: list[Event] = []
        self._refused: list[_Refused] = []
        self._turn_began = perf_counter()

    async def add(self, bodies: Iterable[bytes]) -> None:
        """Judge further events, and store them when they fill a block."""
        judge, verdicts, numbers, events = self._intake.judge, self.verdicts, self._numbers, self._events
        received, small = received_now(), min(LARGE_BODY, self._max_event_bytes)
        for body in bodies:
            try:
                event = judge(body, received) if len(body) <= small else await self._judge_large(body, received)
            except Refusal as refusal:
                _forget_its_way(refusal)
                uuid = await self._uuid_of(body, refusal)
                self._refused.append(_Refused(len(verdicts), body, refusal, received, uuid))
            else:
                numbers.append(len(verdicts))
                events.append(event)
            verdicts.append(_PENDING)
            if perf_counter() - self._turn_began > SLICE_SECONDS:
                await asyncio.sleep(0)
                self._turn_began = perf_counter()
            if len(events) + len(self._refused) >= BLOCK_EVENTS:
                await self._store()

    async def finish(self) -> list[Verdict]:
        """Return all verdicts, once each event has got its own."""
        await self._store()
        return self.verdicts

    async def _judge_large(self, body: bytes, received: str) -> Event:
        if len(body) > self._max_event_bytes:
            detail = f"The event has {len(body)} bytes; at most {self._max_event_bytes} are taken."
            raise Refusal(Code.PAYLOAD_TOO_LARGE, detail)
        return await asyncio.to_thread(self._intake.judge, body, received)

    async def _uuid_of(self, body: bytes, refusal: Refusal) -> str | None:
        if refusal.code is Code.MALFORMED_JSON:
            return None
        if len(body) <= LARGE_BODY:
            return _uuid_in(body, self._max_event_bytes)
        return await asyncio.to_thread(_uuid_in, body, self._max_event_bytes)

    async def _store(self) -> None:
        """Store what was judged good and keep what was not; then both have their verdicts."""
        numbers, events = self._numbers, self._events
        started = perf_counter()
        try:
            outcomes = await self._intake.store.put(events) if events else []
        except StoreError as error:
            self._unavailable(zip(numbers, [event.uuid for event in events], strict=True), _code_of(error))
        else:
            self._intake.counters.store_seconds.observe(perf_counter() - started)
            for number, event, outcome in zip(numbers, events, outcomes, strict=True):
                self._told(number, event, outcome)
        if self._refused:
            await self._refuse()
        numbers.clear()
        events.clear()
        self._refused.clear()

    def _told(self, number: int, event: Event, outcome: Outcome) -> None:
        if outcome.status is Status.CONFLICT:
            original, received = original_of(event.record), received_of(event.record)
            self._refused.append(_Refused(number, original, conflict(event), received, event.uuid))
            return
        if outcome.status is Status.UNAVAILABLE:
            self._unavailable([(number, event.uuid)], Code.STORAGE_UNAVAILABLE)
            return
        self.verdicts[number] = _make_verdict((outcome.status, event.uuid, None, None, ()))
        self._intake.counters.outcomes[outcome.status, event.event_type_id] += 1

    async def _refuse(self) -> None:
        """Keep what is refused for its content, and only then say so."""
        told = self._refused
        kept = [refused for refused in told if refused.refusal.code in KEPT_CODES]
        try:
            if kept:
                await self._intake.keep([refused_body(one.body, one.refusal, self._peer, one.received) for one in kept])
        except StoreError as error:
            self._unavailable(((refused.number, refused.uuid) for refused in kept), _code_of(error))
            told = [refused for refused in told if refused.refusal.code not in KEPT_CODES]
        for number, _, refusal, _, uuid in told:
            status = Status.CONFLICT if refusal.code is Code.EVENT_CONFLICT else INVALID
            self.verdicts[number] = Verdict(status, uuid, refusal.code, refusal.detail, refusal.errors)
            self._intake.count_refusal(refusal)

    def _unavailable(self, numbers: Iterable[tuple[int, str | None]], code: Code) -> None:
        for number, uuid in numbers:
            self.verdicts[number] = Verdict(Status.UNAVAILABLE, uuid, code)
            self._intake.counters.outcomes[code, "other"] += 1


def _forget_its_way(refusal: Refusal) -> None:
    """Let go of the frames that an error remembers: they hold the event as it was read, many times its size."""
    refusal.__traceback__ = refusal.__cause__ = refusal.__context__ = None


def _uuid_in(body: bytes, most: int) -> str | None:
    """Return the uuid of a refused event; of one that is too large only the beginning is read."""
    try:
        is_whole = len(body) <= most
        event = decode(body) if is_whole else from_json(body[:most], partial_mode=True)
    except ValueError:
        return None
    uuid = event.get("uuid") if type(event) is dict else None
    return uuid.lower() if type(uuid) is str and is_uuid(uuid) else None


def _code_of(error: StoreError) -> Code:
    return Code.STORAGE_FULL if isinstance(error, StorageFull) else Code.STORAGE_UNAVAILABLE
