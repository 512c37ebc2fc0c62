"""A start reads the lines of many entries at once: what it makes of them is what each line says by itself."""

import asyncio
import struct
from contextlib import suppress
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backends.errors import StoreError
from backends.log import AppendLog
from backends.quarantine import Entry, Quarantine, Refused, recovery
from backends.quarantine.columns import EntryColumns, read_entries
from backends.quarantine.entries import tidy, to_moment
from backends.quarantine.lines import EntryLine, make_again_line, make_entry_line, read_line, recount
from support.fake_disk import FakeDisk

DIRECTORY = Path("/data/quarantine")
RECEIVED = "2026-11-24T11:22:33.123456Z"
NOW = 1_795_519_353_123_456

TEXTS = st.text() | st.sampled_from(['","detail":"', '","eventTypeId":', ',"size":', ',"body', "\\", '"', "\n", "\x00"])
REFUSED = st.builds(
    Refused,
    st.binary() | TEXTS.map(str.encode),
    TEXTS,
    TEXTS,
    st.just(RECEIVED),
    st.none() | TEXTS,
    st.none() | TEXTS,
    st.none() | st.integers(1, 2**31 - 1),
).map(tidy)
ENTRIES = st.builds(
    lambda refused, key, sequence, arrivals, last: (
        refused,
        EntryLine(key, sequence, arrivals, last, refused.code, refused.event_type_id, refused.peer),
    ),
    REFUSED,
    st.binary(min_size=16, max_size=16),
    st.integers(10**15, 10**16 - 1),
    st.integers(1, 2**32 - 1),
    st.integers(-62_135_596_800_000_000, 253_402_300_799_999_999),
)


def lines_of(count: int) -> list[bytes]:
    """Return the lines of some entries."""
    return [
        make_entry_line(
            Refused(b"", "c", f"number {number}", RECEIVED),
            EntryLine(struct.pack(">2Q", number, number), NOW + number, 1, NOW, "c", None, None),
        )
        for number in range(count)
    ]


def rows_of(columns: EntryColumns) -> list[EntryLine]:
    """Return columns as what single lines say."""
    return [
        EntryLine(struct.pack(">2Q", int(high), int(low)), int(sequence), int(arrivals), int(last), *names)
        for high, low, sequence, arrivals, last, *names in zip(
            *columns[:5],
            *([names.values[position] for position in names.positions] for names in columns[6:]),
            strict=True,
        )
    ]


@settings(deadline=None)
@given(st.lists(ENTRIES, min_size=1, max_size=8))
def test_many_lines_say_what_each_of_them_says(entries: list[tuple[Refused, EntryLine]]) -> None:
    """Whatever texts are in them."""
    lines = [make_entry_line(*entry) for entry in entries]
    columns = read_entries(lines)
    assert columns is not None
    assert rows_of(columns) == [read_line(line) for line in lines] == [entry for _, entry in entries]
    assert columns.length.tolist() == list(map(len, lines))


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_one_damaged_byte_is_noticed(place: int, change: int) -> None:
    """Each line is verified, as it is when it is read alone."""
    lines = lines_of(3)
    place %= len(lines[1])
    lines[1] = lines[1][:place] + bytes([lines[1][place] ^ change]) + lines[1][place + 1 :]
    assert read_line(lines[1]) is None
    assert read_entries(lines) is None


@pytest.mark.parametrize(
    "line", [b"", b"{}", make_again_line(bytes(16), NOW, 2, to_moment(NOW)), b'{"id":' + b"0" * 200]
)
def test_other_lines_are_not_read_so(line: bytes) -> None:
    """They are for ``read_line``."""
    assert read_entries([*lines_of(1), line]) is None


async def state(disk: FakeDisk) -> tuple[list[Entry], list[Any]]:
    """Return all that a start makes of the files."""
    async with Quarantine(DIRECTORY, disk=disk, read_only=True) as quarantine:
        parts = quarantine._open
        parts.ledger.space.live_bytes()
        found = await quarantine.find(limit=1000)
        others = [quarantine.bytes, parts.ledger.space.live_bytes(), parts.ledger.space.unclean]
        return found.entries, [*others, parts.ledger.last_sequence, quarantine.statistics.damaged_lines]


@pytest.mark.parametrize("few", [1, 100])
async def test_a_count_that_was_carried_along_is_not_lowered_by_an_older_one(few: int) -> None:
    """A compaction may leave the line that once raised a count before the entry's own line, which then says it all."""
    disk, lines = FakeDisk(), lines_of(3)
    again = make_again_line(struct.pack(">2Q", 1, 1), NOW + 1, 2, RECEIVED)
    lines[1] = recount(lines[1], 3, "2026-11-25T00:00:00.000000Z")
    async with AppendLog(DIRECTORY, disk=disk) as log:
        await log.append([again, *lines])
    with patch.object(recovery, "_FEW", few):
        found, others = await state(disk)
    assert [(entry.arrivals, entry.last_received[:10]) for entry in found] == [
        (1, "2026-11-24"),
        (3, "2026-11-25"),
        (1, "2026-11-24"),
    ]
    size = sum(len(line) + 1 for line in lines)
    assert others[:2] == [size, {1: size}]


@pytest.mark.parametrize("few", [1, 100])
async def test_second_lines_and_the_log_s_own_lines_are_known(few: int) -> None:
    """A compaction that was broken off leaves an entry's line twice, a failed write a marker; neither is damage."""
    disk, lines = FakeDisk(), lines_of(8)
    async with AppendLog(DIRECTORY, disk=disk) as log:
        await log.append(lines[:6])
        disk.fail({"sync"}, times=1)
        with pytest.raises(StoreError):
            await log.append(lines[:1])
        await log.append([*lines[6:], lines[6]])
    with patch.object(recovery, "_FEW", few):
        found, (size, live, unclean, last, damaged) = await state(disk)
    assert [entry.detail for entry in found] == [f"number {number}" for number in range(7, -1, -1)]
    assert (size, damaged) == (sum(len(line) + 1 for line in lines), 0)
    assert live == {1: size - sum(len(lines[number]) + 1 for number in (6, 7)), 2: size - live[1]}
    assert (unclean, last) == ({2}, NOW + 7)


STEPS = st.lists(
    st.tuples(st.sampled_from(["keep", "keep", "drop", "damage", "fail"]), st.lists(st.integers(0, 12), min_size=1)),
    max_size=12,
)


@settings(deadline=None)
@given(STEPS, st.sampled_from([1, 2, 5]), st.integers(1, 3000))
def test_a_start_in_large_steps_finds_what_one_in_small_steps_finds(
    steps: list[tuple[str, list[int]]], few: int, block: int
) -> None:
    """New entries, repeated, dropped, kept anew and damaged ones, and segments that begin with a marker."""
    disk = FakeDisk()
    asyncio.run(live(disk, steps))
    with patch.object(recovery, "_FEW", 1 << 30):
        expected = asyncio.run(state(disk))
    with patch.object(recovery, "_FEW", few), patch.object(recovery, "_BLOCK_BYTES", block):
        assert asyncio.run(state(disk)) == expected


async def live(disk: FakeDisk, steps: list[tuple[str, list[int]]]) -> None:
    """Do what the steps say."""
    async with Quarantine(DIRECTORY, disk=disk, segment_bytes=3000) as quarantine:
        ids: dict[int, str] = {}
        for what, numbers in steps:
            refused = [Refused(b"%d" % number * 40, "c", "", RECEIVED, f"p{number % 3}") for number in numbers]
            match what:
                case "keep":
                    ids.update(zip(numbers, await quarantine.keep_many(refused), strict=True))
                case "drop":
                    await quarantine.drop([ids[number] for number in numbers if number in ids])
                case "fail":
                    disk.fail({"sync"}, times=1)
                    with suppress(StoreError):  # the compaction in the background may have met it
                        await quarantine.keep_many(refused)
                    disk.mend()
                case "damage":
                    for path, text in disk.contents().items():
                        disk.overwrite(Path(path), numbers[0] % len(text) if text else 0, b"?" if text else b"")
