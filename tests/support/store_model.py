"""The filesystem store on the fake disk, and beside it what was acknowledged."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from random import Random

from backends.base import Event, Outcome, Query, Status
from backends.errors import StoreError
from backends.filesystem import FilesystemStore
from support.events import make_event, position_of, records_of
from support.fake_disk import FakeDisk
from support.paging import find_all, tail_all

ROOT = Path("/data/root")
UUIDS = [f"{number:08x}-f46c-11e6-9f9b-3c15c2cc8f88" for number in range(60)]
SYSTEMS = [f"{number:08x}-f46e-11e6-a35c-3c15c2cc8f88" for number in range(3)]


class StoreModel:
    """The promises of the store, as one dictionary.

    Attributes:
        acknowledged: by uuid the event that is there, because an outcome or a read said so.
        unknown: by uuid what failed to be put since, and may be found after a restart.

    """

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.disk = FakeDisk(seed)
        self.acknowledged: dict[str, Event] = {}
        self.unknown: dict[str, list[Event]] = {}
        self._count = 0
        self.store = self._new_store()

    def any_events(self, count: int) -> list[Event]:
        """Return events of few uuids, mostly with other content than those before."""
        events = []
        for _ in range(count):
            self._count += 1
            uuid = self.random.choice(UUIDS)
            if uuid in self.acknowledged and self.random.random() < 0.3:
                events.append(self.acknowledged[uuid])
                continue
            events.append(
                make_event(
                    uuid,
                    smrtlink_id=self.random.choice(SYSTEMS),
                    at=f"2017-02-16T16:36:{self.random.randrange(60):02}.082000000Z",
                    message={"n": self._count, "p": "x" * self.random.randrange(100)},
                )
            )
        return events

    async def put(self, *batches: Sequence[Event]) -> None:
        """Put batches, all at once, and hold the store to its outcomes."""
        answers = await asyncio.gather(*(self.store.put(batch) for batch in batches), return_exceptions=True)
        judged: list[tuple[Event, Outcome]] = []
        for batch, answer in zip(batches, answers, strict=True):
            if isinstance(answer, StoreError):
                for event in batch:
                    self.unknown.setdefault(event.uuid, []).append(event)
            elif isinstance(answer, BaseException):
                raise answer
            else:
                judged += zip(batch, answer, strict=True)
        for event, outcome in judged:
            if outcome.status is Status.STORED:
                assert event.uuid not in self.acknowledged, "stored twice"
                self.acknowledged[event.uuid] = event
        for event, outcome in judged:
            self._judge(event, outcome)

    def _judge(self, event: Event, outcome: Outcome) -> None:
        if outcome.status is Status.STORED:
            return
        if event.uuid not in self.acknowledged:
            # Of a batch that failed a part may have been stored (by an earlier flight of the same put).
            (found,) = [each for each in self.unknown[event.uuid] if each.record == outcome.record][:1]
            self.acknowledged[event.uuid] = found
        present = self.acknowledged[event.uuid]
        same = present.record == event.record
        assert outcome == Outcome(Status.DUPLICATE if same else Status.CONFLICT, present.record)

    async def check(self) -> None:
        """Every way of reading shows what was acknowledged, once; what is unknown may be there, and then stays."""
        for uuid in UUIDS:
            record = await self.store.get(uuid)
            if uuid in self.acknowledged:
                assert record == self.acknowledged[uuid].record, "something acknowledged is lost or changed"
            elif record is not None:
                (found,) = [event for event in self.unknown.get(uuid, []) if event.record == record][:1]
                self.acknowledged[uuid] = found
        ordered = sorted(self.acknowledged.values(), key=position_of)
        assert await find_all(self.store) == records_of(ordered)
        for system in SYSTEMS:
            expected = records_of([event for event in ordered if event.smrtlink_id == system])
            assert await find_all(self.store, Query(smrtlink_id=system)) == expected
        assert sorted(records_of(await tail_all(self.store))) == sorted(records_of(ordered))

    async def open(self) -> None:
        """Open the store; on a disk that fails it may stay closed, with an error of the contract."""
        with suppress(StoreError):
            await self.store.__aenter__()

    async def restart(self, disk: FakeDisk | None = None) -> None:
        """Close the store, and open it on a disk that works; what is unknown shows itself."""
        await self.store.__aexit__(None, None, None)
        self.disk = disk or self.disk
        self.disk.mend()
        self.store = self._new_store()
        await self.store.__aenter__()
        await self.check()
        self.unknown.clear()

    async def lose_power(self) -> None:
        """Go on with what a power cut has left."""
        self.disk.cut_power()
        await self.store.__aexit__(None, None, None)
        await self.restart(self.disk.after_power_cut(self.random))

    async def be_killed(self) -> None:
        """Go on as after kill -9."""
        self.disk.cut_power()
        await self.store.__aexit__(None, None, None)
        await self.restart(self.disk.after_kill(self.random))

    async def close(self) -> None:
        """Close the store."""
        await self.store.__aexit__(None, None, None)

    def _new_store(self) -> FilesystemStore:
        return FilesystemStore(ROOT, disk=self.disk, segment_bytes=3000, memory_rows=6)
