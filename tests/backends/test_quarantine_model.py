"""The quarantine against a model of it, on a disk that fails and loses power at every point.

Whatever happens, compaction in the background included: what was kept is there with its bytes until it is dropped, what
was dropped never comes back, and a restart changes nothing of what was seen.
"""

import asyncio
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest

from backends.errors import StoreError
from backends.log import LogPosition
from backends.quarantine import Filter, Quarantine, Refused, ledger, recovery
from backends.quarantine.tidier import Tidier
from support.fake_disk import CHANGES, FakeDisk

DIRECTORY = Path("/data/quarantine")
MOMENT = "2026-11-24T11:22:33.123456Z"
SEGMENT_BYTES = 5000


class Model:
    """A quarantine, and beside it what must be in it.

    Attributes:
        there: for each entry that is there, how often it came at least.
        unknown: entries of which a change failed, so that the next start decides whether they are there.

    """

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.disk = FakeDisk(seed)
        self.bodies = [bytes([65 + number]) * self.random.randint(1, 600) for number in range(25)]
        self.ids: dict[int, str] = {}
        self.there: dict[int, int] = {}
        self.unknown: set[int] = set()
        self.quarantine = self.new()

    def new(self) -> Quarantine:
        """Return a quarantine on the disk as it is."""
        return Quarantine(DIRECTORY, disk=self.disk, segment_bytes=SEGMENT_BYTES)

    def choose(self) -> list[int]:
        """Return some numbers of bodies."""
        return self.random.choices(range(len(self.bodies)), k=self.random.randint(1, 5))

    async def keep(self) -> None:
        """Keep some, among them such as are there already."""
        chosen = self.choose()
        refused = [Refused(self.bodies[number], "code", "", MOMENT) for number in chosen]
        try:
            ids = await self.quarantine.keep_many(refused)
        except StoreError:
            self.unknown.update(chosen)
            return
        assert ids == [self.ids[number] for number in chosen]
        for number in self.unknown.intersection(chosen):
            self.there.pop(number, None)
        for number in chosen:
            self.there[number] = self.there.get(number, 0) + 1
        self.unknown.difference_update(chosen)

    async def drop(self) -> None:
        """Drop some, among them such as are not there."""
        # Of an entry that could not be kept nothing is known here, so there is nothing to drop either; but until
        # something else is written its line may still turn up.
        chosen = [number for number in self.choose() if self.quarantine._open.reader.row_of(self.ids[number])]
        try:
            assert await self.quarantine.drop([self.ids[number] for number in chosen]) == len(set(chosen))
        except StoreError:
            self.unknown.update(number for number in chosen if number in self.there)
            return
        for number in chosen:
            self.there.pop(number, None)
        self.unknown.difference_update(chosen)

    async def tidy(self) -> None:
        """Free what is worth it, now."""
        with suppress(StoreError):
            await self.quarantine._open.tidier.tidy()

    async def break_the_disk(self) -> None:
        """Let some of the next changes fail, for a while or until the next restart."""
        operations = self.random.sample(sorted(CHANGES), self.random.randint(1, 4))
        self.disk.fail(operations, after=self.random.randint(0, 5), times=self.random.choice([1, 2, 3, None]))

    async def restart(self) -> None:
        """Close and open again."""
        self.disk.mend()
        await self.quarantine.__aexit__(None, None, None)
        self.quarantine = self.new()
        await self.open()

    async def lose_power(self) -> None:
        """Cut the power soon, go on as if nothing were, and open what is left."""
        self.disk.cut_power(self.random.randint(0, 12))
        for _ in range(self.random.randint(1, 4)):
            await self.random.choice([self.keep, self.drop, self.tidy])()
        disk = self.disk.after_power_cut(self.random)
        await self.quarantine.__aexit__(None, None, None)
        self.disk = disk
        self.quarantine = self.new()
        await self.open()

    async def open(self) -> None:
        """Open, see what became of what was unknown, and check all else."""
        await self.quarantine.__aenter__()
        for number in self.unknown:
            kept = await self.quarantine.get(self.ids[number])
            if kept is None:
                self.there.pop(number, None)
            else:
                self.there[number] = min(kept.entry.arrivals, self.there.get(number, kept.entry.arrivals))
        self.unknown.clear()
        await self.check()

    async def check(self) -> None:
        """What must be there is there, what must not is not."""
        for number, id_ in self.ids.items():
            if number in self.unknown:
                continue
            kept = await self.quarantine.get(id_)
            assert (kept is not None) == (number in self.there), (number, id_)
            if kept is not None:
                assert kept.body == self.bodies[number]
                assert kept.entry.arrivals >= self.there[number]


@pytest.mark.seeds(30)
async def test_nothing_is_lost_and_nothing_comes_back(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep, drop, compact, break the disk, restart and cut the power, in any order."""
    # Small steps, so that a compaction is often broken off in the middle of a segment.
    monkeypatch.setattr(ledger, "_COPY_BYTES", 300)
    # A start reads many lines at once, and a few one by one: here either all at once, or some.
    monkeypatch.setattr(recovery, "_FEW", 1 + seed % 3 * 3)
    monkeypatch.setattr(recovery, "_BLOCK_BYTES", (300, 2000, 1 << 20)[seed % 3])
    model = Model(seed)
    # An id is made of code and body, so it is known even if the first attempt to keep it fails.
    async with Quarantine(DIRECTORY, disk=FakeDisk()) as quarantine:
        for number, body in enumerate(model.bodies):
            model.ids[number] = await quarantine.keep(Refused(body, "code", "", MOMENT))
    await model.open()
    works = [model.keep, model.drop, model.tidy, model.break_the_disk, model.restart, model.lose_power]
    for work in model.random.choices(works, [8, 6, 4, 1, 1, 2], k=60):
        await work()
        await model.check()
    await model.restart()
    await model.quarantine.__aexit__(None, None, None)


@pytest.mark.parametrize("restarts", [False, True])
async def test_a_compaction_that_was_broken_off_brings_nothing_back(
    restarts: bool,  # noqa: FBT001 - a case of the test
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An entry has two lines then, and stays dropped when the newer one and the drop itself are compacted away."""
    monkeypatch.setattr(ledger, "_COPY_BYTES", 1)
    monkeypatch.setattr(Tidier, "start", lambda _: None)
    disk = FakeDisk()
    quarantine = await Quarantine(DIRECTORY, disk=disk, segment_bytes=5000).__aenter__()
    first, *_ = await quarantine.keep_many([Refused(b"%d" % number, "code", "", MOMENT) for number in range(9)])
    await quarantine.keep(Refused(b"a" * 4500, "full", "", MOMENT))
    await quarantine._open.ledger.carry(LogPosition(1, 0))
    assert segment_of(quarantine, first) == 3
    if restarts:
        await quarantine.__aexit__(None, None, None)
        quarantine = await Quarantine(DIRECTORY, disk=disk, segment_bytes=5000).__aenter__()
    await quarantine.keep(Refused(b"b" * 4500, "full", "", MOMENT))
    assert await quarantine.drop([first]) == 1
    await quarantine.keep(Refused(b"c" * 4500, "full", "", MOMENT))
    for number in (3, 4):
        position: LogPosition | None = LogPosition(number, 0)
        while position is not None:
            position = await quarantine._open.ledger.carry(position)
        assert await quarantine._open.ledger.space.remove(number)
    await quarantine.__aexit__(None, None, None)
    async with Quarantine(DIRECTORY, disk=disk) as quarantine:
        assert await quarantine.get(first) is None
        assert len((await quarantine.find(Filter(code="code"))).entries) == 8


async def test_dropping_frees_the_disk() -> None:
    """When all is dropped, what is left is one small file; when half is dropped, the files shrink too."""
    disk = FakeDisk()
    async with Quarantine(DIRECTORY, disk=disk, segment_bytes=10_000) as quarantine:
        ids = await quarantine.keep_many(
            [Refused(b"x" * 500 + b"%d" % number, "code", "", MOMENT) for number in range(200)]
        )
        # One group goes into one segment; the next one begins another.
        full = sum(len(text) for text in disk.contents().values())
        assert full > 100_000
        await quarantine.keep(Refused(b"y", "code", "", MOMENT))
        await quarantine.drop(ids[::2])
        await tidy_up(quarantine)
        half = sum(len(text) for text in disk.contents().values())
        assert half < full * 0.6
        await quarantine.drop_all(Filter())
        await quarantine.keep(Refused(b"z", "code", "", MOMENT))
        await tidy_up(quarantine)
        assert sum(len(text) for text in disk.contents().values()) < 12_000


def segment_of(quarantine: Quarantine, id_: str) -> int:
    """Return the segment in which the line of an entry stands."""
    parts = quarantine._open
    return parts.ledger.directory.place(parts.reader.row_of(id_)).segment


async def tidy_up(quarantine: Quarantine) -> None:
    """Wait for the background to finish, and make sure that nothing is left to do."""
    await asyncio.sleep(0)
    await quarantine._open.tidier.tidy()
