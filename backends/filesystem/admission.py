"""Identity: which of the events that are put go into the log, and what the others are."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from backends.base import Event, Outcome, Status
from backends.equality import same_content
from backends.errors import StoreClosed, StoreUnavailable
from backends.filesystem.flight import Flight
from backends.filesystem.index import Index
from backends.log import AppendLog, LogPosition, Place, translate_os_error
from backends.record import original_of

_LARGE_RECORD: Final = 64 * 1024
_SLICE_SECONDS: Final = 0.005
_STORED: Final = Outcome(Status.STORED)

ReadFirst = Callable[[str, Sequence[Place]], Awaitable[bytes | None]]


class Admission:
    """Lets each uuid into the log once.

    Args:
        log: open.
        index: open, and complete up to the log's end.
        read_first: returns the record of a uuid from the first of some places that has it whole.
        timeout: seconds after which a put fails that the disk has not answered.

    """

    def __init__(self, log: AppendLog, index: Index, read_first: ReadFirst, timeout: float) -> None:
        self._log = log
        self._index = index
        self._read_first = read_first
        self._timeout = timeout
        self._in_flight: dict[str, Flight] = {}
        self._is_late = False
        """The disk does not answer: whatever else joined a flight would stay with it, in memory."""
        self._answered = asyncio.Event()
        self._boarding = Flight(self._landed, 0)
        """Where single events of this turn of the loop go together: that costs each a third of a flight of its own."""
        self._under_way: set[asyncio.Task[list[Outcome]]] = set()

    async def put(self, events: Sequence[Event]) -> list[Outcome]:
        """Do what ``EventStore.put`` promises."""
        if self._is_late:
            await self._wait_for_disk()
        if self._boarding.taken and self._index.is_behind:
            await self.wait_for_index()
        if len(events) == 1 and (flight := self._join_flight(events[0])):
            # Nearly every put is one new event: it needs none of what follows.
            if error := await flight.landing():
                raise type(error)(str(error))
            return [_STORED]
        # A task of its own, so that closing can wait for it, and a caller that is cancelled leaves nothing half done.
        task = asyncio.create_task(self._put_all(events))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return await asyncio.shield(task)

    @property
    def is_idle(self) -> bool:
        """Whether nothing is on its way into the log, and no put of which that may become true is left."""
        return not self._in_flight and not self._under_way

    def is_in_flight(self, uuid: str) -> bool:
        """Tell whether an event with this uuid is on its way into the log."""
        return uuid in self._in_flight

    async def finish(self) -> None:
        """Return when every put that has begun is judged."""
        while self._under_way:
            await asyncio.wait(self._under_way)

    async def give_up_when_late(self) -> None:
        """Look after all flights at once, for ever: a timer for each put would cost as much as the put."""
        while True:
            await asyncio.sleep(self._timeout / 4)
            for flight in set(self._in_flight.values()):
                if flight.deadline < time.monotonic():
                    self._is_late = True
                    self._answered.clear()
                    flight.give_up()

    async def _put_all(self, events: Sequence[Event]) -> list[Outcome]:
        outcomes: list[Outcome] = [_STORED] * len(events)
        undecided: Sequence[int] = range(len(events))
        examined: dict[int, Sequence[Place]] = {}
        while undecided:
            flight, others, known = self._take_off(events, undecided, examined)
            if flight.events and (error := await flight.landing()):
                raise type(error)(str(error))
            undecided = [number for number, _ in others]
            started = time.monotonic()
            for number in known:
                if time.monotonic() - started > _SLICE_SECONDS:
                    await asyncio.sleep(0)
                    started = time.monotonic()
                record = await self._read_first(events[number].uuid, examined[number])
                if record is None:
                    undecided.append(number)
                else:
                    outcomes[number] = await judge(events[number], record)
            for _, other in others:
                if (error := await other.landing()) and not other.landed:
                    raise type(error)(str(error))
            undecided.sort()
        return outcomes

    def _take_off(
        self, events: Sequence[Event], undecided: Sequence[int], examined: dict[int, Sequence[Place]]
    ) -> tuple[Flight, list[tuple[int, Flight]], list[int]]:
        """Send what is new into the log; tell which numbers wait for a flight, and which have places to be examined.

        No await in here: what the look-ups found to be new still is when it takes off.
        """
        flight = Flight(self._landed, time.monotonic() + self._timeout)
        others: list[tuple[int, Flight]] = []
        known: list[int] = []
        in_flight = self._in_flight
        uuids = [events[number].uuid for number in undecided]
        digests = self._index.digests(uuids)
        found = self._index.find_all_places(uuids, digests)
        for number, uuid, digest in zip(undecided, uuids, digests, strict=True):
            if uuid in in_flight:
                others.append((number, in_flight[uuid]))
            elif (places := found.get(uuid)) and examined.get(number) != places:
                examined[number] = places
                known.append(number)
            else:
                in_flight[uuid] = flight
                flight.board(events[number], digest)
        if flight.events:
            try:
                flight.take_off(self._log)
            except StoreClosed:
                self._landed(flight, ())
                raise
        return flight, others, known

    def _join_flight(self, event: Event) -> Flight | None:
        """Send one event into the log, if nothing is known of its uuid, with the others of this turn of the loop."""
        uuid = event.uuid
        [digest] = self._index.digests((uuid,))
        if uuid in self._in_flight or self._index.find_places(uuid, digest):
            return None
        flight = self._boarding
        if flight.taken:
            flight = Flight(self._landed, time.monotonic() + self._timeout)
            flight.take_off(self._log)
            self._boarding = flight
        flight.board(event, digest)
        self._in_flight[uuid] = flight
        return flight

    def _landed(self, flight: Flight, places: Sequence[Place]) -> None:
        """Take what is synced into the index (no places: it failed), so that everybody sees it."""
        if self._is_late:
            self._is_late = False
            self._answered.set()
        if places:
            self._index.add_all(flight.events, places, flight.digests)
            segment, offset, length = places[-1]
            self._index.mark_complete(LogPosition(segment, offset + length + 1))
        in_flight = self._in_flight
        for event in flight.events:
            del in_flight[event.uuid]

    async def _wait_for_disk(self) -> None:
        try:
            async with asyncio.timeout(self._timeout):
                await self._answered.wait()
        except TimeoutError:
            msg = "the disk has not answered in time"
            raise StoreUnavailable(msg) from None

    async def wait_for_index(self) -> None:
        """Return when the index takes more events; what it keeps in memory is bounded.

        Raises:
            StorageFull, StoreUnavailable: it can't be written.

        """
        try:
            async with asyncio.timeout(self._timeout):
                await self._index.wait_until_caught_up()
        except TimeoutError:
            msg = f"the index can't be written: {self._index.problem or 'it is behind'}"
            raise StoreUnavailable(msg) from None
        except OSError as error:
            raise translate_os_error(error) from error


async def judge(event: Event, record: bytes) -> Outcome:
    """Return the outcome for an event whose uuid has that record already; a large one is compared in a thread."""
    sent, stored = original_of(event.record), original_of(record)
    if len(sent) <= _LARGE_RECORD or sent == stored:
        same = same_content(sent, stored)
    else:
        same = await asyncio.to_thread(same_content, sent, stored)
    return Outcome(Status.DUPLICATE if same else Status.CONFLICT, record)
