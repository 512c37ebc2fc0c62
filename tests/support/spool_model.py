"""A spool on the fake disk, a backend with whims, another server on that backend, and what was acknowledged."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from random import Random

from backends.base import Event, Outcome, Query, Status
from backends.errors import StoreError
from backends.spool import Sizes, Spool
from support.events import make_event
from support.fake_disk import FakeDisk
from support.paging import find_all
from support.spool import Quarantine, make_spool, until_empty
from support.wayward_store import WaywardStore

DIRECTORY = Path("/data/spool")
UUIDS = [f"{number:08x}-f46c-11e6-9f9b-3c15c2cc8f88" for number in range(40)]
SIZES = Sizes(segment_bytes=1500, memory_rows=6, renew_rows=30)


class SpoolModel:
    """The promises of the spool.

    Attributes:
        acknowledged: by uuid what was acknowledged by us: mostly one event; more when the backend could not be asked.
        possible: by uuid the records of all that was ever put, by us or by the other server.

    """

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.disk = FakeDisk(seed)
        self.store = WaywardStore()
        self.quarantine = Quarantine()
        self.acknowledged: dict[str, list[Event]] = {}
        self.possible: dict[str, set[bytes]] = {}
        self.spool = self._new_spool()
        self._count = 0

    def any_events(self, count: int) -> list[Event]:
        """Return events of few uuids, some of them for a second time."""
        events = []
        for _ in range(count):
            self._count += 1
            uuid = self.random.choice(UUIDS)
            known = self.acknowledged.get(uuid)
            if known and self.random.random() < 0.3:
                event = self.random.choice(known)
            else:
                event = make_event(
                    uuid,
                    at=f"2017-02-16T16:36:{self.random.randrange(60):02}.082000000Z",
                    message={"n": self._count, "p": "x" * self.random.randrange(100)},
                )
            self.possible.setdefault(uuid, set()).add(event.record)
            events.append(event)
        return events

    async def put(self, *batches: Sequence[Event]) -> None:
        """Put batches, all at once, and take note of the answers."""
        answers = await asyncio.gather(*(self.spool.put(batch) for batch in batches), return_exceptions=True)
        for batch, answer in zip(batches, answers, strict=True):
            if isinstance(answer, BaseException):
                if not isinstance(answer, StoreError):
                    raise answer
                continue
            for event, outcome in zip(batch, answer, strict=True):
                self._judge(event, outcome)

    def _judge(self, event: Event, outcome: Outcome) -> None:
        if outcome.status in {Status.STORED, Status.SPOOLED}:
            known = self.acknowledged.setdefault(event.uuid, [])
            assert outcome.status is Status.SPOOLED or not known, "stored, though it was acknowledged before"
            known.append(event)
        elif outcome.status is not Status.UNAVAILABLE:
            assert outcome.record in self.possible[event.uuid], "judged against something that nobody ever put"
            assert (outcome.record == event.record) == (outcome.status is Status.DUPLICATE)

    async def put_elsewhere(self, count: int) -> None:
        """Let another server put events into the same backend, if that takes them."""
        for event in self.any_events(count):
            self.store._put(event)

    async def check(self) -> None:
        """What was acknowledged is found, and in each list once."""
        found = {}
        for uuid in UUIDS:
            with suppress(StoreError):
                found[uuid] = record = await self.spool.get(uuid)
                assert record is None or record in self.possible[uuid]
                assert record is not None or uuid not in self.acknowledged, "something acknowledged is not found"
        for query in (Query(), Query(descending=True)):
            try:
                records = await find_all(self.spool, query)
            except StoreError:
                continue
            uuids = [record[record.index(b'"uuid":"') + 8 :][:36].decode() for record in records]
            assert len(set(uuids)) == len(uuids), "a list shows an event twice"
            assert set(uuids) >= set(self.acknowledged), "a list is not whole"

    async def hurry(self) -> None:
        """Let the backend be looked after now."""
        with suppress(StoreError):
            await self.spool.ping()

    async def drain(self) -> None:
        """Let all be well; then what was acknowledged is in the backend, or in quarantine."""
        self.store.mend()
        self.disk.mend()
        self.quarantine.error = None
        self.spool._wake()
        await until_empty(self.spool)
        kept = {event.record for event in self.quarantine.events}
        for uuid, events in self.acknowledged.items():
            there = self.store._events[uuid].record
            assert all(event.record == there or event.record in kept for event in events), "something is lost"
            assert await self.spool.get(uuid) == there
        acknowledged = {event.record for events in self.acknowledged.values() for event in events}
        lost = {event.record for event in self.store._events.values()}
        assert not kept & lost, "what is in the backend is no conflict"
        assert {record for uuid in UUIDS for record in self.possible.get(uuid, ())} >= kept
        assert acknowledged <= kept | lost
        await self.check()

    async def open(self) -> None:
        """Open the spool; on a disk that fails it may stay closed, with an error of the contract."""
        with suppress(StoreError):
            await self.spool.__aenter__()

    async def close(self) -> None:
        """Close the spool."""
        await self.spool.__aexit__(None, None, None)

    async def restart(self, disk: FakeDisk | None = None) -> None:
        """Close the spool, and open it on a disk that works."""
        await self.close()
        self.disk = disk or self.disk
        self.disk.mend()
        self.spool = self._new_spool()
        await self.spool.__aenter__()
        await self.check()

    async def lose_power(self) -> None:
        """Go on with what a power cut has left."""
        self.disk.cut_power()
        await self.close()
        await self.restart(self.disk.after_power_cut(self.random))

    async def be_killed(self) -> None:
        """Go on as after kill -9."""
        self.disk.cut_power()
        await self.close()
        await self.restart(self.disk.after_kill(self.random))

    def _new_spool(self) -> Spool:
        return make_spool(
            self.store,
            DIRECTORY,
            disk=self.disk,
            sizes=SIZES,
            timeout=0.5,
            bulk_events=self.random.choice([2, 5, 100]),
            on_conflict=self.quarantine.keep,
        )
