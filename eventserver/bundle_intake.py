"""The rules of intake for bundles: an archive in, its event out. No HTTP, no driver.

An archive goes one way: received -> inspected -> its event judged as any other is -> kept -> the event stored ->
settled. Nothing is acknowledged before both are durable. The event's uuid is made of the archive's content, so the same
archive is the same event on every store, and whatever a crash leaves in between is finished by going the way again.
"""

import asyncio
from collections.abc import Callable
from contextlib import closing, suppress
from functools import partial
from time import perf_counter
from typing import Final, NamedTuple, ParamSpec, Self, TypeVar
from uuid import NAMESPACE_OID, uuid5

import structlog

from backends.base import Event, EventStore, Status
from backends.bundles import BundlePath, BundleStore, Incoming
from backends.errors import StorageFull, StoreError, StoreUnavailable
from backends.quarantine import Refused
from backends.record import original_of
from backends.threads import DaemonThreads
from eventserver.bundle import DEFAULT_LIMITS, Limits, check_listed_files, inspect
from eventserver.bundle_check import check_jobs
from eventserver.bundle_event import path_in, path_of_same_bundle, write_event
from eventserver.intake import Intake, Receipt, conflict
from eventserver.message import received_now
from eventserver.refusal import Code, Refusal
from eventserver.schemas import SchemaRegistry
from eventserver.turns import Turns

KEPT_CODES: Final = frozenset({Code.INVALID_EVENT, Code.UNKNOWN_EVENT_TYPE, Code.SCHEMA_VIOLATION, Code.EVENT_CONFLICT})
"""Refusals of sound archives: a mended schema may take them, so they are kept."""
_INSPECTORS: Final = 2
FINISH_SECONDS: Final = 60.0
"""Until those bundles are tried again that could not be finished, as a store was away."""
_TURNS: Final = 4
_NICENESS: Final = 10
_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")
_log = structlog.get_logger("eventserver")


class BundleIntake:
    """Takes bundles; opened with ``async with``, within the life of all that it works with.

    Args:
        intake: judges the events, and stores them.
        registry: the schemas in force.
        bundles: where the archives go.
        limits: of an archive.

    """

    def __init__(
        self, *, intake: Intake, registry: SchemaRegistry, bundles: BundleStore, limits: Limits = DEFAULT_LIMITS
    ) -> None:
        self.bundles = bundles
        self._intake = intake
        self._registry = registry
        self._limits = limits
        self.turns = asyncio.Semaphore(_TURNS)
        """For whoever works on pieces of uploads: so many at a time; the others wait, and hold one piece each."""
        self._threads: DaemonThreads | None = None
        self._turns = Turns()
        self._unsettled: dict[str, BundlePath] = {}
        self._keeping = asyncio.Lock()
        self._finishing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Begin, and finish what a crash left between an archive and its event; later, while a store is away."""
        self._threads = DaemonThreads(_INSPECTORS, "bundle-inspector", niceness=_NICENESS)
        left = await self.bundles.unsettled()
        self._unsettled = {path.uuid: path for path in left}
        if left := await self._finish_all(left):
            self._finishing = asyncio.create_task(self._finish_later(left), name="bundle-finishing")
        return self

    async def __aexit__(self, *_: object) -> None:
        """End. Idempotent."""
        if self._finishing is not None:
            self._finishing.cancel()
            await asyncio.wait([self._finishing])
        threads, self._threads = self._threads, None
        if threads is not None:
            threads.shutdown(wait=False)

    async def accept(self, incoming: Incoming, *, name: str, peer: str, received: str | None = None) -> Receipt:
        """Take one archive; when this returns it is durable, and its event is.

        Args:
            incoming: the whole archive.
            name: as the sender called it; any text.
            peer: who sent it.
            received: the moment of arrival; now when left out.

        Raises:
            Refusal: it is no bundle (a code that begins with ``bundle_``); or it is one whose manifest has no known
                type or violates its schema, or whose uuid names another event: then it is in quarantine.
            StoreError: it could not be stored; nothing is acknowledged.

        """
        received = received or received_now()
        try:
            return await self.take(incoming, name=name, received=received)
        except Refusal as refusal:
            if refusal.code in KEPT_CODES:
                await self._quarantine(incoming, refusal, peer, received)
            self._intake.count_refusal(refusal)
            raise

    async def take(self, incoming: Incoming, *, name: str, received: str) -> Receipt:
        """Do what ``accept`` does, but keep nothing of what is refused: as for what is in quarantine already."""
        judged = await self._judge(incoming, name, received)
        async with self._turns.of(judged.event.uuid):
            return await self._store(incoming, judged)

    async def _judge(self, incoming: Incoming, name: str, received: str) -> "_Judged":
        """Inspect an archive, and judge the event that it makes."""
        uuid = str(uuid5(NAMESPACE_OID, await incoming.digest()))
        path = self._unsettled.get(uuid) or self.bundles.new_path(uuid, name)
        return await self.in_thread(self._judge_file, incoming, path, received)

    def _judge_file(self, incoming: Incoming, path: BundlePath, received: str) -> "_Judged":
        started = perf_counter()
        with incoming.open() as file:
            inspection = inspect(file, self._limits)
            event = self._intake.judge(write_event(inspection, path), received)
            check_listed_files(file, inspection, self._limits)
            check_jobs(file, inspection, self._registry, self._limits)
        self._intake.counters.inspect_seconds.observe(perf_counter() - started)
        return _Judged(event, path)

    async def _store(self, incoming: Incoming, judged: "_Judged") -> Receipt:
        """Keep an archive and store its event, unless both are there."""
        event, path = judged
        store = self._intake.store
        first = await _get(store, event.uuid)
        if first is not None:
            return await self._again(incoming, event, first)
        self._unsettled[event.uuid] = path
        await self.bundles.keep(incoming, path)
        try:
            [(status, record)] = await store.put((event,))
        except StorageFull:
            await self._forget(path)  # nothing of it is stored
            raise
        if status is Status.UNAVAILABLE:
            raise StoreUnavailable("the store could not take this event now")
        if status is Status.CONFLICT:
            return await self._lost(event, path, record or b"")
        await self._settle(path)
        self._intake.counters.outcomes[status, event.event_type_id] += 1
        return Receipt(status, event.uuid, original_of(record or event.record))

    async def _again(self, incoming: Incoming, event: Event, first: bytes) -> Receipt:
        """Answer with the first upload's event; where its archive is missing, this one takes its place."""
        path = path_of_same_bundle(event, first)
        if path is None:
            raise conflict(event)
        file = await self.bundles.open(path)
        if file is None:
            await self.bundles.keep(incoming, path)
        else:
            file.close()
        await self._settle(path)
        return self._duplicate(event, first)

    async def _lost(self, event: Event, path: BundlePath, first: bytes) -> Receipt:
        """Give way to whoever stored this uuid meanwhile: mostly the same archive, under another path."""
        theirs = path_of_same_bundle(event, first)
        if theirs is None:
            await self._forget(path)
            raise conflict(event)
        file = await self.bundles.open(theirs)
        if file is None:
            # The other server has an archive of its own there; so it is found on this one, too.
            await self._settle(path)
        else:
            file.close()
            await (self._settle(path) if theirs == path else self._forget(path))
        return self._duplicate(event, first)

    def _duplicate(self, event: Event, first: bytes) -> Receipt:
        self._intake.counters.outcomes[Status.DUPLICATE, event.event_type_id] += 1
        return Receipt(Status.DUPLICATE, event.uuid, original_of(first))

    async def _settle(self, path: BundlePath) -> None:
        """Say that the event is durable; a mark that can't be removed is looked at again at the next start."""
        with suppress(StoreError):
            await self.bundles.settle(path)
        self._unsettled.pop(path.uuid, None)

    async def _forget(self, path: BundlePath) -> None:
        with suppress(StoreError):
            await self.bundles.remove(path)
        self._unsettled.pop(path.uuid, None)

    async def _quarantine(self, incoming: Incoming, refusal: Refusal, peer: str, received: str) -> None:
        """Keep an archive that is refused for what it says; one after the other, for each takes memory."""
        event_type_id, event_type_version = refusal.event_type or (None, None)
        async with self._keeping:
            body = await self.in_thread(_read, incoming)
            refused = Refused(
                body=body,
                code=refusal.code.value,
                detail=refusal.detail,
                event_type_id=event_type_id,
                event_type_version=event_type_version,
                peer=peer,
                received=received,
            )
            await self._intake.keep([refused])

    async def _finish_later(self, left: list[BundlePath]) -> None:
        while left:
            await asyncio.sleep(FINISH_SECONDS)
            left = await self._finish_all(left)

    async def _finish_all(self, paths: list[BundlePath]) -> list[BundlePath]:
        """Put the events of archives that have none, or remove what can't have one; return what is left.

        The first one that can't be finished now is the last one that is tried: a store that is away takes its time.
        """
        for number, path in enumerate(paths):
            try:
                await self._finish(path)
            except StoreError as error:
                _log.warning("bundles without events", count=len(paths) - number, first=str(path), reason=str(error))
                return paths[number:]
        return []

    async def _finish(self, path: BundlePath) -> None:
        async with self._turns.of(path.uuid):
            if self._unsettled.get(path.uuid) != path:
                return  # the same archive has come again
            record = await self._intake.store.get(path.uuid)
            if record is not None and path_in(record) == path:
                await self._settle(path)
                return
        file = await self.bundles.open(path)
        if file is None:
            await self._forget(path)
            return
        with closing(file):
            async with self.bundles.receive() as incoming:
                while data := await asyncio.to_thread(file.read, 1024 * 1024):
                    await incoming.write(data)
                try:
                    await self.take(incoming, name=path.name, received=received_now())
                except Refusal as refusal:
                    _log.warning("bundle refused after a crash", path=str(path), code=str(refusal.code))
                    await self._forget(path)
                else:
                    _log.info("bundle finished after a crash", path=str(path))

    async def in_thread(
        self, work: Callable[_Arguments, _Result], *arguments: _Arguments.args, **named: _Arguments.kwargs
    ) -> _Result:
        """Read an archive in one of a few threads: no more are read at a time than there are processors for."""
        assert self._threads is not None, "the intake of bundles is not open"
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, partial(work, *arguments, **named))


class _Judged(NamedTuple):
    event: Event
    path: BundlePath


async def _get(store: EventStore, uuid: str) -> bytes | None:
    """Return the record of an event, if it is known; while the store is away it may turn out to be only later."""
    try:
        return await store.get(uuid)
    except StoreUnavailable:
        return None


def _read(incoming: Incoming) -> bytes:
    with incoming.open() as file:
        return file.read()
