"""What the filesystem store makes of a log that was damaged."""

from pathlib import Path

import pytest

from backends.base import Outcome, Query, Status
from support.events import make_event, position_of, records_of
from support.filesystem import assert_holds, figure, files, opened, overwrite, remove_index, segments, some
from support.paging import tail_all


async def test_a_torn_tail_is_left_out_and_counted(root: Path) -> None:
    """Half a record at the end of the log is nobody's; putting the event again stores it."""
    events = some(4)
    async with opened(root) as store:
        await store.put(events[:3])
    torn = events[3].record[:100]
    with segments(root)[-1].open("ab") as file:
        file.write(torn)
    async with opened(root) as store:
        await assert_holds(store, events[:3])
        assert figure(store, "log_torn_bytes") == len(torn)
        assert (await store.put([events[3]]))[0].status is Status.STORED
    for _ in range(2):
        async with opened(root) as store:
            await assert_holds(store, events)


DAMAGES = {
    "a digit": (30, b"#"),
    "the uuid": (60, b"00"),
    "a line end in the middle": (100, b"\n"),
    "zeros": (0, bytes(200)),
    "the checksum": (-3, b"z"),
    "the start": (0, b"x"),
}


@pytest.mark.parametrize("index", [True, False], ids=["with index", "without"])
@pytest.mark.parametrize(("offset", "data"), DAMAGES.values(), ids=DAMAGES.keys())
async def test_a_damaged_line_is_reported_and_healed(
    root: Path, caplog: pytest.LogCaptureFixture, offset: int, data: bytes, *, index: bool
) -> None:
    """The rest is served, the line is kept as it was found, and putting the event again heals it for good."""
    events = some(9)
    async with opened(root) as store:
        await store.put(events[:3])
        await store.put(events[3:])
    path = segments(root)[0]
    start = len(events[0].record) + 1
    overwrite(path, start + offset % len(events[1].record), data)
    damaged = path.read_bytes()[start : start + len(events[1].record)]
    if not index:
        remove_index(root)
    rest = [event for event in events if event is not events[1]]
    async with opened(root) as store:
        assert await store.get(events[1].uuid) is None
        await assert_holds(store, rest)
        assert "damaged record in segment 1" in caplog.text
        assert figure(store, "damaged_records") > 0
        kept = [content for name, content in files(root).items() if name.startswith("damaged/")]
        assert damaged in kept or set(damaged.split(b"\n")) <= set(kept)
        assert await store.put([events[1]]) == [Outcome(Status.STORED)]
        await assert_holds(store, events)
    for again in range(2):
        async with opened(root) as store:
            await assert_holds(store, events)
            assert [outcome.status for outcome in await store.put(events)] == [Status.DUPLICATE] * 9
        if not again:
            remove_index(root)


async def test_a_line_that_is_damaged_while_the_store_is_open(root: Path) -> None:
    """It is found out when it is read; the event can be put again at once, other content under its uuid too."""
    events = some(5)
    async with opened(root) as store:
        await store.put(events)
        overwrite(segments(root)[0], len(events[0].record) + 1 + 30, b"#")
        rest = [event for event in events if event is not events[1]]
        await assert_holds(store, rest)
        other = make_event(events[1].uuid, message="other", at="2020-01-01T00:00:00.000000000Z")
        assert await store.put([other]) == [Outcome(Status.STORED)]
        await assert_holds(store, [*rest, other])
    for again in range(2):
        async with opened(root) as store:
            await assert_holds(store, [*rest, other])
        if not again:
            remove_index(root)


async def test_two_lines_that_became_one(root: Path) -> None:
    """Where a line end is gone, both records are damaged; both can be put again."""
    events = some(5)
    async with opened(root) as store:
        await store.put(events)
    overwrite(segments(root)[0], len(events[0].record), b" ")
    remove_index(root)
    async with opened(root) as store:
        await assert_holds(store, events[2:])
        assert [outcome.status for outcome in await store.put(events)] == [Status.STORED] * 2 + [Status.DUPLICATE] * 3
        await assert_holds(store, events)


async def test_pages_step_over_damaged_records(root: Path) -> None:
    """Where records are damaged a page is filled with the next ones, and the list goes on to its end."""
    events = sorted(some(30), key=position_of)
    async with opened(root) as store:
        for event in events:
            await store.put([event])
        places = {place.offset: place for place, _ in store.log.scan()}
        assert places
        good = []
        for number, event in enumerate(events):
            if number % 3 == 1 or number > 26:
                (place,) = [place for place, line in store.log.scan() if line == event.record]
                overwrite(segments(root)[place.segment - 1], place.offset + 30, b"#")
            else:
                good.append(event)
        for limit in (1, 2, 7, 30):
            found, query = [], Query()
            while True:
                page = await store.find(query, limit=limit, max_bytes=1 << 20)
                found += page.records
                assert len(page.records) == limit or page.next is None
                if page.next is None:
                    break
                query = query._replace(after=page.next)
            assert found == records_of(good)


@pytest.mark.parametrize("token", ["0-1", "1-5", "1-0005", "2-0", "1-99999", "7-0", "1-", "-1-5", "1-5-5"])
async def test_a_token_from_nowhere_is_refused(root: Path, token: str) -> None:
    """Only the ends of lines are tokens: anything else would show parts of records."""
    async with opened(root) as store:
        await store.put(some(3))
        with pytest.raises(ValueError, match="token"):
            await tail_all(store, token)
    assert not any(name.startswith("damaged") for name in files(root))
