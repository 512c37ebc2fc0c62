"""A spool over restarts: of the process, of the backend, of both."""

import asyncio
import shutil
from pathlib import Path
from typing import Any, Self

import pytest

from backends.base import Outcome, Query, Status
from backends.disk import Disk
from backends.errors import DirectoryInUse, StoreError, StoreUnavailable, UnsupportedLayout
from backends.spool.progress import read_progress
from support.events import make_event, new_uuid, records_of
from support.killed import copy_as_killed
from support.paging import find_all
from support.spool import SPOOLED, STORED, Quarantine, figure, make_spool, opened, some, until, until_empty
from support.wayward_store import AWAY, FULL, WaywardStore

SCHEMAS: dict[tuple[str, int], dict[str, Any]] = {("sl_test_event", 1): {"type": "object"}}


async def filled(directory: Path, count: int = 25) -> tuple[WaywardStore, list[bytes]]:
    """Leave events in a spool that is closed; the backend is away."""
    store = WaywardStore()
    events = some(count)
    async with opened(store, directory) as spool:
        store.error = AWAY
        for event in events:
            assert await spool.put([event]) == [SPOOLED]
    return store, records_of(events)


async def test_a_restart_drains_what_was_left(tmp_path: Path) -> None:
    """By itself, as soon as the backend takes it."""
    store, records = await filled(tmp_path)
    store.mend()
    async with opened(store, tmp_path) as spool:
        assert figure(spool, "spool_events") == 25
        await until_empty(spool)
    assert store.all_records() == records


async def test_what_waits_is_known_after_a_restart(tmp_path: Path) -> None:
    """Depth, size and age are what they were, it is read and judged by, and no event comes twice."""
    store, records = await filled(tmp_path)
    async with opened(store, tmp_path) as spool:
        state = spool.state()
        assert (state.events, state.bytes) == (25, sum(map(len, records)) + 25)
        assert state.oldest == "2026-11-24T11:22:33.123456Z"
        for number, event in enumerate(some(25)):
            uuid = records[number][records[number].index(b'"uuid":"') + 8 :][:36].decode()
            assert await spool.get(uuid) == records[number]
            other = make_event(uuid, message="other")
            assert await spool.put([other, event]) == [Outcome(Status.CONFLICT, records[number]), SPOOLED]
        assert spool.state().events == 50


async def test_another_store_gets_what_is_in_the_spool(tmp_path: Path) -> None:
    """A spool belongs to the directory, not to the backend that was away."""
    _, records = await filled(tmp_path)
    async with opened(other := WaywardStore(), tmp_path) as spool:
        await until_empty(spool)
    assert other.all_records() == records


async def test_it_opens_while_the_backend_is_away(tmp_path: Path) -> None:
    """And opens the backend when that is there."""
    store = WaywardStore()
    store.error = AWAY
    async with opened(store, tmp_path) as spool:
        assert await spool.put(events := some(3)) == [SPOOLED] * 3
        await spool.ping()
        with pytest.raises(StoreUnavailable):
            await spool.get(new_uuid())
        store.mend()
        await until_empty(spool)
        assert await find_all(spool) == records_of(events[::-1])
        assert await spool.put([make_event()]) == [STORED]


async def test_it_opens_while_the_backend_hangs(tmp_path: Path) -> None:
    """Within the time limit."""
    store = WaywardStore()
    store.hangs = True
    async with opened(store, tmp_path, timeout=0.3) as spool:
        assert await spool.put(events := some(3)) == [SPOOLED] * 3
        store.mend()
        await until_empty(spool)
    assert store.all_records() == records_of(events)


@pytest.mark.parametrize("error", [DirectoryInUse("/data", "pid 1"), UnsupportedLayout("newer")])
async def test_what_time_does_not_mend_is_told_at_once(tmp_path: Path, error: StoreError) -> None:
    """The store is not opened as one that is away."""

    class Wrong(WaywardStore):
        async def __aenter__(self) -> Self:
            raise error

    spool = make_spool(Wrong(), tmp_path)
    with pytest.raises(type(error)):
        await spool.__aenter__()
    await spool.__aexit__(None, None, None)
    async with opened(WaywardStore(), tmp_path) as spool:
        assert await spool.put([make_event()]) == [STORED]


async def test_a_backend_that_was_away_is_prepared_before_anything_is_drained(tmp_path: Path) -> None:
    """Preparing is remembered, of several times the last one."""
    store, records = await filled(tmp_path)
    async with opened(store, tmp_path) as spool:
        await spool.prepare({})
        await spool.prepare(SCHEMAS)
        store.calls.clear()
        store.mend()
        await until_empty(spool)
        assert store.prepared == set(SCHEMAS)
        assert [call for call in store.calls if call in {"prepare", "put"}][:2] == ["prepare", "put"]
        assert store.calls.count("prepare") == 1
        await spool.prepare(SCHEMAS)
        assert store.calls.count("prepare") == 2
    assert store.all_records() == records


async def test_what_is_left_is_drained_into_a_backend_that_is_prepared(tmp_path: Path) -> None:
    """At the start nothing goes there before it knows the schemas in force."""
    store, _ = await filled(tmp_path)
    store.mend()
    store.calls.clear()
    async with opened(store, tmp_path, schemas=SCHEMAS) as spool:
        await until_empty(spool)
    assert store.calls[:3] == ["open", "prepare", "put"]


async def test_a_backend_that_can_not_be_prepared_is_away(tmp_path: Path) -> None:
    """Until it can."""
    async with opened(store := WaywardStore(), tmp_path) as spool:
        store.error = AWAY
        await spool.prepare(SCHEMAS)
        assert await spool.put([event := make_event()]) == [SPOOLED]
        store.mend()
        await until_empty(spool)
    assert store.prepared == set(SCHEMAS)
    assert store.all_records() == [event.record]


async def test_what_is_drained_is_not_drained_again(tmp_path: Path) -> None:
    """How far it is survives a kill: of a spool that was drained to its end nothing is handed over again."""
    store, records = await filled(tmp_path / "a")
    store.mend()
    async with opened(store, tmp_path / "a", bulk_events=5) as spool:
        await until_empty(spool)
        await until(lambda: b'events\\":0' in (tmp_path / "a" / "progress.json").read_bytes())
        copy_as_killed(tmp_path / "a", tmp_path / "killed")
    puts = len(store.puts)
    async with opened(store, tmp_path / "killed") as spool:
        assert spool.state().events == 0
        assert await spool.put([make_event()]) == [STORED]
        await asyncio.sleep(0.1)
        assert len(store.puts) == puts + 1
    assert store.all_records()[:25] == records


async def test_how_many_wait_is_written_down_now_and_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the backend is away, so that a start after a kill need not count them all."""
    monkeypatch.setattr("backends.spool.ledger._UNSAVED_EVENTS", 10)
    async with opened(store := WaywardStore(), tmp_path) as spool:
        store.error = AWAY
        for event in some(30):
            await spool.put([event])

        def written_down() -> int:
            progress = read_progress(Disk(), tmp_path)
            return 0 if progress is None else progress.events

        await until(lambda: written_down() >= 20)
        assert spool.state().events == 30


@pytest.mark.parametrize("bulks", [1, 2, 3])
async def test_it_goes_on_where_it_was_killed(tmp_path: Path, bulks: int) -> None:
    """After some bulks, at most one is handed over a second time."""
    store, records = await filled(tmp_path / "a")
    store.mend()
    spool = await make_spool(store, tmp_path / "a", bulk_events=5).__aenter__()
    await spool._drainer.stop()
    before = len(store.puts)
    for _ in range(bulks):
        await spool._drain.step()
    await spool._drain.forget()
    copy_as_killed(tmp_path / "a", tmp_path / "killed")
    await spool.__aexit__(None, None, None)
    async with opened(store, tmp_path / "killed", bulk_events=5) as spool:
        await until_empty(spool)
    handed = [event.record for put in store.puts[before:] for event in put]
    assert store.all_records() == records
    assert len(handed) <= 30


@pytest.mark.parametrize("lost", ["index-0", "progress.json", "index-0 progress.json", "damage"])
async def test_all_but_the_log_may_be_lost(tmp_path: Path, lost: str) -> None:
    """Index and progress are derived: without them each event is still known, and drained."""
    store, records = await filled(tmp_path)
    for name in lost.split():
        path = tmp_path / name
        if name == "damage":
            (tmp_path / "progress.json").write_bytes(b'{"crc32": 0, "content": "{}"}')
        elif path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    async with opened(store, tmp_path) as spool:
        assert spool.state().events == 25
        uuid = records[7][records[7].index(b'"uuid":"') + 8 :][:36].decode()
        assert await spool.get(uuid) == records[7]
        store.mend()
        await until_empty(spool)
    assert store.all_records() == records


async def test_a_lost_log_takes_nothing_that_comes_later_with_it(tmp_path: Path) -> None:
    """Its numbers begin anew; what is then spooled is not taken for drained because an older log was."""
    store, records = await filled(tmp_path, 50)
    store.mend()
    async with opened(store, tmp_path) as spool:
        await until_empty(spool)
    shutil.rmtree(tmp_path / "events")
    store.error = AWAY
    async with opened(store, tmp_path) as spool:
        await spool.put(events := some(4))
    store.mend()
    async with opened(store, tmp_path) as spool:
        await until_empty(spool)
    assert store.all_records() == [*records, *records_of(events)]


async def test_lists_and_identity_after_a_restart_with_a_full_backend(tmp_path: Path) -> None:
    """A spool that can't be drained serves what it has together with the backend."""
    store = WaywardStore()
    events = some(30)
    async with opened(store, tmp_path) as spool:
        await spool.put(events[::2])
        store.error = FULL
        await spool.put(events[1::2])
    async with opened(store, tmp_path) as spool:
        assert await find_all(spool, Query(descending=True)) == records_of(events)
        assert await spool.put([make_event(at="2018-02-16T16:36:21.082000000Z")]) == [SPOOLED]
        assert await find_all(spool, Query(to_at=events[0].at)) == records_of(events[:0:-1])


async def test_many_outages_in_a_row(tmp_path: Path) -> None:
    """Restarts, outages and conflicts mixed: at the end each event is there once, or in quarantine."""
    store, quarantine = WaywardStore(), Quarantine()
    taken = []
    for round_ in range(12):
        async with opened(store, tmp_path, on_conflict=quarantine.keep) as spool:
            for number in range(10):
                store.error = [None, AWAY, FULL][(round_ + number // 3) % 3]
                event = make_event(message={"n": number})
                taken.append(event)
                assert (await spool.put([event]))[0].status in {Status.STORED, Status.SPOOLED}
            if round_ % 4 == 3:
                store.mend()
                await until_empty(spool)
    assert sorted(store.all_records()) == sorted(records_of(taken))
    assert quarantine.events == []
