"""Lists over the backend and the spool are what they would be over one store."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backends.base import Event, Page, Query
from backends.disk import Disk
from support.events import NO_LIMIT, make_event, position_of, records_of
from support.fake_disk import FakeDisk
from support.paging import find_all, listed, walk
from support.spool import make_spool, opened, some, until
from support.strategies import event_lists, queries
from support.wayward_store import FULL, WaywardStore

DIRECTORY = Path("/data/spool")
PROPERTY = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


class Mixture:
    """Events, some of which are in the backend, some wait, and some do both."""

    def __init__(self, events: Sequence[Event], places: Sequence[str]) -> None:
        self.store = WaywardStore()
        self.events = {event.uuid: event for event in events}
        self.there = [event for event, place in zip(events, places, strict=True) if place in {"there", "both"}]
        self.here = [event for event, place in zip(events, places, strict=True) if place != "there"]
        self.others = [
            event._replace(record=make_event(event.uuid, at=event.at).record) if number % 2 else other_place(event)
            for number, (event, place) in enumerate(zip(events, places, strict=True))
            if place == "conflict"
        ]

    async def fill(self, disk: Disk) -> None:
        """Bring each to its place; the backend is full from then on."""
        spool = await make_spool(self.store, DIRECTORY, disk=disk).__aenter__()
        self.store.error = FULL
        for event in self.here:
            await spool.put([event])
        for event in (*self.there, *self.others):
            self.store._put(event)
        await spool.__aexit__(None, None, None)


def other_place(event: Event) -> Event:
    """Return another event with the same uuid, elsewhere in every list."""
    return make_event(event.uuid, at="2017-02-16T16:36:21.082000005Z", event_type_id="sl_test_event")


@st.composite
def mixtures(draw: st.DrawFn, places: Sequence[str] = ("here", "there", "both")) -> Mixture:
    """Return events with the place of each."""
    events = draw(event_lists())
    return Mixture(events, [draw(st.sampled_from(places)) for _ in events])


@PROPERTY
@given(mixture=mixtures(), query=queries(), limit=st.integers(1, 50), max_bytes=st.integers(0, 3000))
async def test_a_list_over_both_is_what_the_model_says(
    mixture: Mixture, query: Query, limit: int, max_bytes: int
) -> None:
    """Each event once, in order; a page ends only where its next record, or the backend's, is too large for it."""
    disk = FakeDisk()
    await mixture.fill(disk)
    async with opened(mixture.store, DIRECTORY, disk=disk) as spool:
        await spool.put([])
        spool._backend.fail(FULL)
        expected = records_of(listed(mixture.events.values(), query))
        pages = await walk(spool, query, limit=limit, max_bytes=max_bytes)
        assert [record for page in pages for record in page.records] == expected
        in_backend, rest = set(mixture.store.all_records()), list(expected)
        for page in pages:
            size = sum(map(len, page.records))
            assert len(page.records) <= limit
            assert len(page.records) == 1 or size <= max_bytes or not expected
            del rest[: len(page.records)]
            if rest and len(page.records) < limit:
                next_in_backend = next((record for record in rest if record in in_backend), b"")
                assert size + max(len(rest[0]), len(next_in_backend)) > max_bytes


@PROPERTY
@given(mixture=mixtures(("here", "there", "conflict")), query=queries(), limit=st.integers(1, 9))
async def test_what_waits_counts_before_what_the_backend_has(mixture: Mixture, query: Query, limit: int) -> None:
    """A list shows what a get answers: of a uuid for which the backend has another event, ours, and no second one."""
    disk = FakeDisk()
    await mixture.fill(disk)
    async with opened(mixture.store, DIRECTORY, disk=disk) as spool:
        spool._backend.fail(FULL)
        expected = records_of(listed(mixture.events.values(), query))
        pages = await walk(spool, query, limit=limit)
        assert [record for page in pages for record in page.records] == expected
        for event in mixture.events.values():
            assert await spool.get(event.uuid) == event.record


@PROPERTY
@given(
    mixture=mixtures(),
    query=queries(),
    limits=st.lists(st.integers(1, 6), min_size=1, max_size=30),
    drains=st.lists(st.integers(0, 5), min_size=30, max_size=30),
)
async def test_a_list_that_is_read_while_it_drains(
    mixture: Mixture, query: Query, limits: list[int], drains: list[int]
) -> None:
    """Between two pages some more of what waits has moved to the backend: that changes nothing."""
    disk = FakeDisk()
    await mixture.fill(disk)
    async with opened(mixture.store, DIRECTORY, disk=disk) as spool:
        await spool._drainer.stop()
        shown: list[bytes] = []
        expected = records_of(listed(mixture.events.values(), query))
        mixture.store.error = None
        for limit, steps in zip([*limits, NO_LIMIT], [*drains, 0], strict=False):
            spool._backend.recover()
            for _ in range(steps):
                spool._drain._size = 1
                await spool._drain.step()
            await spool._drain.forget()
            page = await spool.find(query, limit=limit, max_bytes=NO_LIMIT)
            assert (page.next is None) == (len(page.records) == len(expected) - len(shown))
            shown += page.records
            if page.next is None:
                break
            query = query._replace(after=page.next)
        assert shown == expected[: len(shown)]


async def test_a_thousand_of_which_most_are_drained(tmp_path: Path) -> None:
    """What is drained and still in the index is not shown twice, in either direction."""
    store = WaywardStore()
    events = [make_event(at=f"2017-02-16T16:{number * 7 % 60:02}:00.082000000Z") for number in range(1000)]
    async with opened(store, tmp_path, bulk_events=100) as spool:
        store.error = FULL
        await spool.put(events)
        late = {event.uuid for event in events[900:]}
        store.refuses = lambda event: event.uuid in late
        store.error = None
        spool._wake()
        await until(lambda: spool.state().events <= 150)
        for descending in (False, True):
            ordered = sorted(events, key=position_of, reverse=descending)
            assert await find_all(spool, Query(descending=descending)) == records_of(ordered)


@pytest.mark.parametrize("before", [False, True], ids=["after the backend was read", "before it"])
async def test_what_is_drained_while_a_page_is_read(tmp_path: Path, *, before: bool) -> None:
    """It was there when the page was asked for: it is on it once, whether the backend showed it already or not."""

    class Slow(WaywardStore):
        async def find(self, query: Query, *, limit: int, max_bytes: int) -> Page:
            if before:
                await drain()
            page = await super().find(query, limit=limit, max_bytes=max_bytes)
            if not before:
                await drain()
            return page

    async def drain() -> None:
        store.error = None
        spool._wake()
        await until(lambda: spool.state().events == 0)

    events = some(20)
    async with opened(store := Slow(), tmp_path, bulk_events=3) as spool:
        await spool.put(events[:5])
        store.error = FULL
        await spool.put(events[5:])
        assert await find_all(spool) == records_of(events[::-1])


async def test_a_page_that_what_waits_has_thinned_out_leaves_nothing_out(tmp_path: Path) -> None:
    """Of the backend's page some records give way to ours, elsewhere: the page ends where the backend's did."""
    mine = [make_event(at=f"2020-02-16T16:36:{number:02}.000000000Z", message="mine") for number in range(6)]
    theirs = [make_event(event.uuid, at=f"2017{event.at[4:]}", message="theirs") for event in mine]
    between = [make_event(at=f"2018-02-16T16:36:{number:02}.000000000Z") for number in range(6)]
    async with opened(store := WaywardStore(), tmp_path) as spool:
        await spool.put(between)
        store.error = FULL
        await spool.put(mine)
        for event in theirs:
            store._put(event)
        for limit in range(1, 13):
            for descending in (False, True):
                ordered = sorted([*mine, *between], key=position_of, reverse=descending)
                pages = await walk(spool, Query(descending=descending), limit=limit)
                assert [record for page in pages for record in page.records] == records_of(ordered)
                assert all(page.records for page in pages[:-1])
