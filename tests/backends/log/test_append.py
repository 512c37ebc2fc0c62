"""The append-only log: what it writes, and how it finds that again."""

import asyncio
from pathlib import Path

import pytest

from backends.errors import StoreUnavailable
from backends.log import AppendLog, LogPosition, Place
from support.logs import DAY, Clock, files, lines, reopened, shown


async def test_lines_are_files_of_lines(log: AppendLog, directory: Path) -> None:
    """A segment is the lines, each with a line end, and nothing else."""
    await log.append([b'{"a":1}', b'{"b":2}'])
    await log.append([b'{"c":3}'])
    assert files(directory) == {f"{DAY}/00000001.ndjson": b'{"a":1}\n{"b":2}\n{"c":3}\n'}


async def test_a_place_leads_to_its_line(log: AppendLog) -> None:
    """Append gives the places of its lines, in order; reading one gives the line."""
    assert await log.append([b'{"a":1}', b'{"bb":2}']) == [Place(1, 0, 7), Place(1, 8, 8)]
    (place,) = await log.append([b'{"c":3}'])
    assert place == Place(1, 17, 7)
    assert log.read(place) == b'{"c":3}'
    assert log.read_cached(place) in (b'{"c":3}', None)


async def test_a_place_stays_over_restarts(log: AppendLog, clock: Clock) -> None:
    """Places and the order of a scan are the same after the log was opened again."""
    appended = lines(30)
    places = await log.append(appended[:20]) + await log.append(appended[20:])
    async with reopened(log, clock) as again:
        assert [again.read(place) for place in places] == appended
        assert list(again.scan()) == list(zip(places, appended, strict=True))


async def test_a_place_of_no_segment_can_not_be_read(log: AppendLog) -> None:
    """It is an error of the contract."""
    with pytest.raises(StoreUnavailable):
        log.read(Place(7, 0, 1))
    assert log.read_cached(Place(7, 0, 1)) is None


async def test_nothing_is_written_before_the_first_line(log: AppendLog, directory: Path) -> None:
    """A log that is opened and closed leaves no segment, nor does an append of nothing leave a line."""
    assert files(directory) == {}
    assert await log.append([]) == []
    assert shown(log) == []


async def test_a_segment_is_sealed_by_size(log: AppendLog, directory: Path) -> None:
    """No segment grows over its limit; it may reach it exactly."""
    for text in lines(25):
        await log.append([text])
    sizes = [len(content) for _, content in sorted(files(directory).items())]
    assert sizes == [1000, 1000, 500]
    assert [segment.valid for segment in log.segments()] == sizes
    assert [segment.number for segment in log.segments()] == [1, 2, 3]
    assert shown(log) == lines(25)


async def test_a_segment_may_be_filled_to_its_last_byte(log: AppendLog) -> None:
    """What fits exactly goes in, the next byte does not."""
    await log.append([b"x" * 499])
    await log.append([b"y" * 499])
    await log.append([b""])
    assert [segment.valid for segment in log.segments()] == [1000, 1]


async def test_a_group_that_is_larger_than_a_segment_has_one_of_its_own(log: AppendLog) -> None:
    """Lines of one append are never torn apart."""
    await log.append(lines(1))
    places = await log.append(lines(30, first=2))
    await log.append(lines(1, first=32))
    assert {place.segment for place in places} == {2}
    assert shown(log) == lines(32)


async def test_a_segment_is_sealed_at_the_end_of_its_day(log: AppendLog, clock: Clock, directory: Path) -> None:
    """Each day has its directory; numbers grow over all of them, whatever a clock does."""
    for number, day in enumerate(["2026-11-24", "2026-11-25", "2026-12-01", "2026-11-30", "2026-11-30"], 1):
        clock.day = day
        await log.append(lines(1, first=number))
    assert sorted(files(directory)) == [
        "2026-11-24/00000001.ndjson",
        "2026-11-25/00000002.ndjson",
        "2026-11-30/00000004.ndjson",
        "2026-12-01/00000003.ndjson",
    ]
    assert shown(log) == lines(5)
    async with reopened(log, clock) as again:
        assert shown(again) == lines(5)


async def test_each_start_begins_a_segment(log: AppendLog, clock: Clock) -> None:
    """What an earlier process wrote is never written again."""
    await log.append(lines(1))
    async with reopened(log, clock) as again:
        (place,) = await again.append(lines(1, first=2))
        assert place == Place(2, 0, len(lines(1)[0]))
        assert shown(again) == lines(2)


async def test_a_scan_begins_anywhere(log: AppendLog) -> None:
    """From the position of a line it yields that line and all behind it; from the end, nothing."""
    places = [place for text in lines(25) for place in await log.append([text])]
    for number, place in enumerate(places):
        found = list(log.scan(LogPosition(place.segment, place.offset)))
        assert [at for at, _ in found] == places[number:]
    assert list(log.scan(log.end)) == []
    assert log.end == LogPosition(3, places[-1].offset + places[-1].length + 1)


async def test_the_end_of_an_empty_log_is_its_beginning(log: AppendLog) -> None:
    """Nothing is before it."""
    assert log.end == LogPosition(0, 0)


async def test_other_files_are_left_alone(directory: Path, clock: Clock) -> None:
    """Only what is named as a segment is one."""
    strangers = {
        f"{DAY}/00000001.ndjson.tmp": b"x",
        f"{DAY}/1.ndjson": b"x",
        "not-a-day/00000001.ndjson": b"x",
        "README": b"x",
    }
    for name, content in strangers.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_bytes(content)
    async with AppendLog(directory, today=clock) as log:
        await log.append(lines(1))
        assert shown(log) == lines(1)
    assert files(directory) == {**strangers, f"{DAY}/00000001.ndjson": lines(1)[0] + b"\n"}


async def test_old_segments_can_be_removed(log: AppendLog, directory: Path, clock: Clock) -> None:
    """Those that are asked for go, the one that is written stays, places of the others stay good."""
    places = [place for text in lines(25) for place in await log.append([text])]
    await log.remove_segments([1, 3, 9])
    assert sorted(files(directory)) == [f"{DAY}/00000002.ndjson", f"{DAY}/00000003.ndjson"]
    assert shown(log) == lines(25)[10:]
    assert log.read(places[10]) == lines(25)[10]
    async with reopened(log, clock) as again:
        (place,) = await again.append([b"{}"])
        assert place.segment == 4


async def test_who_was_just_answered_shares_the_next_group_with_who_came_too_late(log: AppendLog) -> None:
    """One straggler does not make two groups of each further round."""

    async def send(rounds: int) -> None:
        for _ in range(rounds):
            await log.append([b"{}"])
            for _ in range(3):  # the answer goes out, and the next event comes in
                await asyncio.sleep(0)

    senders = [asyncio.create_task(send(30)) for _ in range(40)]
    for _ in range(3):
        await asyncio.sleep(0)
    senders.append(asyncio.create_task(send(30)))
    await asyncio.gather(*senders)
    assert log.statistics.lines == 41 * 30
    assert log.statistics.groups < 40


async def test_a_lone_line_after_a_large_group_is_written(log: AppendLog) -> None:
    """It waits for the others of that group for a moment only."""
    await asyncio.gather(*(log.append([b"{}"]) for _ in range(100)))
    async with asyncio.timeout(1):
        await log.append([b"{}"])
    assert log.statistics.lines == 101
