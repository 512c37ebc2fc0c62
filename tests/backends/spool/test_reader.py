"""A spool that somebody else has open, or nobody: how much waits, and what."""

from pathlib import Path

import pytest

from backends.errors import StoreUnavailable
from backends.log import AppendLog
from backends.record import original_of
from backends.spool import SpoolReader, Waiting, is_empty
from support.events import make_event, records_of, respelt
from support.faulty_disk import FaultyDisk
from support.spool import SPOOLED, files, opened, some, until, until_empty
from support.wayward_store import AWAY, WaywardStore


async def read(directory: Path) -> list[bytes]:
    """Return the lines that wait."""
    async with SpoolReader(directory) as reader:
        return [line for _, line in reader.lines()]


async def test_where_no_spool_is_nothing_waits(tmp_path: Path) -> None:
    """A missing directory is an empty spool, and stays missing."""
    directory = tmp_path / "spool"
    assert is_empty(directory)
    assert await read(directory) == []
    async with SpoolReader(directory) as reader:
        assert reader.measure() == Waiting(0, 0, None)
    assert files(tmp_path, "*") == []


async def test_what_waits_is_read_beside_who_has_it_open(tmp_path: Path) -> None:
    """All that was acknowledged, in order; of what is drained nothing."""
    async with opened(store := WaywardStore(), tmp_path, bulk_events=4) as spool:
        assert is_empty(tmp_path)
        store.error = AWAY
        events = some(30)
        for event in events:
            await spool.put([event])
        assert not is_empty(tmp_path)
        assert await read(tmp_path) == records_of(events)
        async with SpoolReader(tmp_path) as reader:
            size = sum(len(event.record) + 1 for event in events)
            assert reader.measure() == Waiting(30, size, "2026-11-24T11:22:33.123456Z")
        late = {event.uuid for event in events[17:]}
        store.refuses = lambda event: event.uuid in late
        store.error = None
        await until(lambda: spool.state().events == 13)
        await until(lambda: b'events\\":13' in (tmp_path / "progress.json").read_bytes())
        assert await read(tmp_path) == records_of(events[17:])
        store.mend()
        await until_empty(spool)
        await until(lambda: is_empty(tmp_path))
        assert await read(tmp_path) == []
    assert is_empty(tmp_path)


async def test_what_is_drained_while_it_is_read_is_left_out(tmp_path: Path) -> None:
    """Its files are gone; the reader goes on with what waits."""
    async with opened(store := WaywardStore(), tmp_path, bulk_events=4) as spool:
        store.error = AWAY
        events = [make_event() for _ in range(60)]
        for event in events:
            await spool.put([event])
        async with SpoolReader(tmp_path) as reader:
            lines = reader.lines()
            assert next(lines)[1] == events[0].record
            late = {event.uuid for event in events[50:]}
            store.refuses = lambda event: event.uuid in late
            store.error = None
            await until(lambda: spool.state().events == 10)
            await until(lambda: b'events\\":10' in (tmp_path / "progress.json").read_bytes())
            await until(lambda: len(files(tmp_path, "*.ndjson")) < 5)
            rest = [line for _, line in lines]
        assert rest[-10:] == records_of(events[50:])
        assert len(rest) < 59


async def test_a_file_that_is_missing_and_was_not_drained_is_an_error(tmp_path: Path) -> None:
    """Nothing is left out unseen."""
    async with opened(store := WaywardStore(), tmp_path) as spool:
        store.error = AWAY
        for event in [make_event() for _ in range(30)]:
            await spool.put([event])
    async with SpoolReader(tmp_path) as reader:
        files(tmp_path, "*.ndjson")[2].unlink()
        with pytest.raises(StoreUnavailable):
            list(reader.lines())


async def test_a_log_without_lines_is_empty(tmp_path: Path) -> None:
    """Also one whose last file was begun in vain."""
    async with AppendLog(tmp_path / "events"):
        pass
    assert is_empty(tmp_path)
    disk = FaultyDisk()
    async with opened(store := WaywardStore(), tmp_path, disk=disk) as spool:
        store.error = AWAY
        disk.fail({"write"}, times=1)
        with pytest.raises(StoreUnavailable):
            await spool.put([make_event()])
        await spool.ping()
        store.mend()
        await spool.ping()
        await until_empty(spool)
        await until(lambda: spool._backlog.ledger.is_empty)
        assert not spool._drainer._wake.is_set()
    assert is_empty(tmp_path)


async def test_the_age_is_that_of_the_event_that_waits_longest(tmp_path: Path) -> None:
    """It falls while the spool drains, and is none when it is empty."""
    moments = [f"2020-11-{day:02}T11:22:33.123456Z" for day in range(1, 13)]
    events = [respelt(event := make_event(), original_of(event.record), moment) for moment in moments]
    async with opened(store := WaywardStore(), tmp_path, bulk_events=1) as spool:
        assert (spool.state().oldest, spool.state().age_seconds) == (None, 0.0)
        store.error = AWAY
        for event in events:
            assert await spool.put([event]) == [SPOOLED]
        assert spool.state().oldest == moments[0]
        late = {event.uuid for event in events[7:]}
        store.refuses = lambda event: event.uuid in late
        store.error = None
        await until(lambda: spool.state().events == 5)
        await until(lambda: spool.state().oldest == moments[7])
        assert spool.state().age_seconds > 0
        store.mend()
        await until_empty(spool)
        assert spool.state().oldest is None
