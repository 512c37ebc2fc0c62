"""The limits of the quarantine: a flood pushes out itself, what was acknowledged stays, and memory stays small."""

import random
import struct
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backends.errors import StorageFull
from backends.log import Place
from backends.quarantine import Filter, Quarantine, Refused
from backends.quarantine.directory import Directory
from backends.quarantine.eviction import choose_victims
from backends.quarantine.key_table import KeyTable
from backends.quarantine.names import OTHER, Names
from support.fake_disk import FakeDisk

DIRECTORY = Path("/data/quarantine")
RECEIVED = "2026-11-24T11:22:33.123456Z"
NOW = 1_795_519_353.123456
DAY = 24 * 60 * 60


def many(count: int, peer: str, *, code: str = "malformed_json", size: int = 300, start: int = 0) -> list[Refused]:
    """Return different bodies of one sender."""
    return [Refused(f"{number:0{size}}".encode(), code, "", RECEIVED, peer) for number in range(start, start + count)]


def limited(disk: FakeDisk, *, max_bytes: int = 300_000, max_entries: int = 1000, now: float = NOW) -> Quarantine:
    """Return a small quarantine."""
    return Quarantine(
        DIRECTORY, disk=disk, max_bytes=max_bytes, max_entries=max_entries, segment_bytes=8000, clock=lambda: now
    )


async def peers(quarantine: Quarantine) -> Counter[str | None]:
    """Count the entries of each sender."""
    return Counter(entry.peer for entry in (await quarantine.find(limit=2000)).entries)


async def tidy(quarantine: Quarantine) -> None:
    """Do now what is done in the background."""
    await quarantine._open.tidier.tidy()


async def test_a_flood_pushes_out_itself_and_nobody_else() -> None:
    """The largest group gives way, its oldest first; each eviction is counted, and a restart changes nothing."""
    disk = FakeDisk()
    async with limited(disk) as quarantine:
        await quarantine.keep_many(many(20, "quiet", start=5000))
        for start in range(0, 600, 50):
            await quarantine.keep_many(many(50, "flood", start=start))
            assert quarantine.bytes <= 225_000
        await tidy(quarantine)
        found = await peers(quarantine)
        assert found["quiet"] == 20
        assert found["flood"] == 600 - quarantine.statistics.evicted["malformed_json"]
        assert quarantine.file_bytes <= 300_000 + 8000
        newest = (await quarantine.find(Filter(peer="flood"), limit=1)).entries[0]
        assert (await quarantine.get(newest.id)).body == many(1, "", start=599)[0].body  # type: ignore[union-attr]
    async with limited(disk) as quarantine:
        assert await peers(quarantine) == found


async def test_the_number_of_entries_is_bounded_too() -> None:
    """Small bodies fill memory before they fill the disk."""
    async with limited(FakeDisk(), max_bytes=1 << 30, max_entries=160) as quarantine:
        await quarantine.keep_many(many(20, "quiet", size=9, start=5000))
        for start in range(0, 600, 40):
            await quarantine.keep_many(many(40, "flood", size=9, start=start))
            assert quarantine.entries <= 160
        assert (await peers(quarantine))["quiet"] == 20


async def test_what_was_acknowledged_is_never_evicted() -> None:
    """Not for room, not for age; when it fills all, nothing more is taken, and an operator can drop it."""
    disk = FakeDisk()
    async with limited(disk) as quarantine:
        kept = many(100, "us", code="conflict_after_ack")
        await quarantine.keep_many(kept)
        await quarantine.keep_many(many(150, "flood"))
        await quarantine.keep_many(many(30, "us", code="conflict_after_ack", start=100))
        assert (await peers(quarantine))["us"] == 130
        with pytest.raises(StorageFull):
            await quarantine.keep_many(many(200, "us", code="conflict_after_ack", start=200))
        assert (await peers(quarantine))["us"] == 130
    async with limited(disk, now=NOW + 1000 * DAY) as quarantine:
        await tidy(quarantine)
        assert await peers(quarantine) == {"us": 130}
        assert await quarantine.drop_all(Filter(code="conflict_after_ack")) == 130


async def test_what_is_larger_than_all_is_refused_and_evicts_nothing() -> None:
    """One body can't empty the quarantine."""
    async with limited(FakeDisk()) as quarantine:
        await quarantine.keep_many(many(20, "quiet", start=5000))
        with pytest.raises(StorageFull):
            await quarantine.keep_many(many(1, "big", size=190_000))
        assert quarantine.entries == 20


async def test_what_came_last_too_long_ago_goes() -> None:
    """Ninety days after its last arrival, not its first."""
    disk = FakeDisk()
    async with limited(disk) as quarantine:
        await quarantine.keep_many(many(2, "a"))
        [again] = many(1, "a", start=1)
        await quarantine.keep(again._replace(received="2026-12-24T11:22:33.123456Z"))
    async with limited(disk, now=NOW + 89 * DAY) as quarantine:
        await tidy(quarantine)
        assert quarantine.entries == 2
    async with limited(disk, now=NOW + 91 * DAY) as quarantine:
        await tidy(quarantine)
        assert [entry.arrivals for entry in (await quarantine.find()).entries] == [2]
        assert quarantine.statistics.evicted == {"malformed_json": 1}
    async with limited(disk, now=NOW + 121 * DAY) as quarantine:
        await tidy(quarantine)
        assert quarantine.entries == 0


async def test_the_same_bytes_for_ever_do_not_fill_the_disk() -> None:
    """Of the lines that raise a count, only the newest is carried along."""
    disk = FakeDisk()
    async with limited(disk) as quarantine:
        [refused] = many(1, "a")
        for _ in range(500):
            await quarantine.keep(refused)
        await tidy(quarantine)
        assert quarantine.file_bytes < 20_000
    async with limited(disk) as quarantine:
        assert [entry.arrivals for entry in (await quarantine.find()).entries] == [500]


async def test_a_start_takes_in_what_is_dropped_only_further_on() -> None:
    """A drop may stand behind newer entries, so for a while there are more of them than the limit."""
    disk = FakeDisk()
    async with Quarantine(DIRECTORY, disk=disk, max_entries=160, segment_bytes=3000) as quarantine:
        old = [
            id_ for start in range(0, 153, 9) for id_ in await quarantine.keep_many(many(9, "a", size=9, start=start))
        ]
        await quarantine.drop(old[2::9])
        # The drop shares its file with entries that go, and so is written anew at the end.
        beside = await quarantine.keep_many(many(4, "a", size=9, start=1000))
        await quarantine.keep_many(many(9, "a", size=9, start=2000))
        await quarantine.drop(beside)
        await tidy(quarantine)
        await quarantine.keep_many(many(160 - quarantine.entries, "a", size=9, start=3000))
        before = await quarantine.groups()
    async with Quarantine(DIRECTORY, disk=disk, max_entries=160, segment_bytes=3000) as quarantine:
        assert quarantine.entries == 160
        assert await quarantine.groups() == before


async def test_names_without_end_cost_no_more_than_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sender may make up event types; it is looked for free names only when many uses of names have ended."""
    looked: list[int] = []
    recycle = Names.recycle

    def counted(names: Names, used: Iterable[int]) -> None:
        looked.append(1)
        recycle(names, used)

    monkeypatch.setattr(Names, "recycle", counted)
    async with limited(FakeDisk(), max_entries=100) as quarantine:
        quarantine._open.ledger.directory.event_types = Names(max_names=32)
        await quarantine.keep_many([one._replace(event_type_id=f"t{n}") for n, one in enumerate(many(90, "a"))])
        assert not looked
        await quarantine.drop([entry.id for entry in (await quarantine.find(limit=40, oldest_first=True)).entries])
        await quarantine.keep_many(
            [one._replace(event_type_id=f"u{n}") for n, one in enumerate(many(10, "a", start=500))]
        )
        assert len(looked) == 1
        assert len((await quarantine.find(Filter(event_type_id="u9"))).entries) == 1


# which entries give way

ENTRIES = st.lists(st.tuples(st.integers(0, 4), st.integers(1, 50)), max_size=30)


@settings(deadline=None)
@given(ENTRIES, st.integers(-5, 500))
def test_victims_come_from_the_largest_groups(entries: list[tuple[int, int]], excess: int) -> None:
    """Enough goes, or all; no group that lost something was smaller than one that did not; the oldest go first."""
    groups, weights = ([entry[part] for entry in entries] for part in (0, 1))
    sequences = list(range(len(entries)))
    random.Random(excess).shuffle(sequences)
    arrays = (np.array(column, np.int64) for column in (groups, sequences, weights))
    victims = set(choose_victims(*arrays, excess).tolist())
    lost = sum(weights[victim] for victim in victims)
    assert lost >= min(excess, sum(weights))
    before, after = Counter[int](), Counter[int]()
    for number, (group, weight) in enumerate(entries):
        before[group] += weight
        after[group] += 0 if number in victims else weight
    touched = [group for group in before if after[group] < before[group]]
    untouched = [group for group in before if after[group] == before[group]]
    assert all(before[large] >= before[small] for large in touched for small in untouched)
    # Without its newest victim a group would still be above the common level, and the level is as high as can be.
    for group in touched:
        mine = sorted(
            (sequences[number], number in victims) for number in range(len(entries)) if groups[number] == group
        )
        assert [gone for _, gone in mine] == sorted((gone for _, gone in mine), reverse=True)
    if victims:
        assert lost < excess + 50 * max(1, len(touched))


# the directory

KEYS = [bytes([number % 7]) * 8 + number.to_bytes(8) for number in range(40)]


@settings(deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 39)), max_size=200))
def test_the_directory_is_a_dictionary(changes: Sequence[tuple[bool, int]]) -> None:
    """Whatever is inserted and removed, each entry that is here is found, and no other."""
    directory, model = Directory(40), dict[bytes, int]()
    directory._keys._factor = 1  # the worst: all keys begin their search at the same slot
    for sequence, (insert, number) in enumerate(changes, 1):
        key = KEYS[number]
        if insert and key not in model:
            directory.insert(key, sequence, Place(1, 0, 9), arrivals=1, last=0)
            model[key] = sequence
        elif not insert and model.pop(key, None):
            directory.remove(directory.find(key))
        assert directory.entries == len(model)
        assert directory.bytes == 10 * len(model)
    for key in KEYS:
        row = directory.find(key)
        assert bool(row) == (key in model)
        assert not row or directory.locate(row)[:2] == (key, model[key])
    assert sorted(directory.sequence[directory.rows()].tolist()) == sorted(model.values())


@settings(deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.sets(st.integers(0, 39), min_size=1)), max_size=30))
def test_many_keys_can_be_added_at_once(changes: list[tuple[bool, set[int]]]) -> None:
    """A table that is given many keys, and grows, is the dictionary that it would be one by one."""
    table, model, top = KeyTable(2), dict[int, int](), 0
    table._factor = 1
    for insert, numbers in changes:
        keys = np.array([list(struct.unpack(">2Q", KEYS[number])) for number in sorted(numbers)], np.uint64)
        assert table.has_any(keys[:, 0], keys[:, 1]) == bool(numbers & model.keys())
        if insert and not numbers & model.keys():
            rows = range(top + 1, top + 1 + len(numbers))
            table.grow(top := top + len(numbers) + 1)
            table.add_many(keys[:, 0], keys[:, 1], np.array(rows))
            model.update(zip(sorted(numbers), rows, strict=True))
        elif not insert:
            for number in numbers & model.keys():
                table.remove(KEYS[number])
                del model[number]
        assert {number: table.find(key) for number, key in enumerate(KEYS)} == {n: model.get(n, 0) for n in range(40)}


def test_names_are_bounded_and_recycled() -> None:
    """Too many names at the same time are one; those no longer in use make room."""
    names = Names(max_names=3)
    assert [names.intern(name) for name in ("a", None, "b", "a")] == [1, 2, 3, 1]
    assert names.name(names.intern("c")) == OTHER
    assert not names.should_recycle(["c"])
    names.uses_ended = 1
    assert names.should_recycle(["c"])
    assert not names.should_recycle(["a", "b"])
    names.recycle(used=[1, 3])
    assert names.intern("c") == 2
    assert [names.name(number) for number in (1, 2, 3)] == ["a", "c", "b"]
    assert names.find("d") is None
