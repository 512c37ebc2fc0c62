"""The index against a plain list, on a disk that fails and loses power at every point.

The index's thread does not run here: the machine does its steps, so that a failure can be found again.
"""

import contextlib
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from random import Random
from unittest.mock import patch

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from backends.base import Query
from backends.filesystem.index import Index
from backends.filesystem.maintenance import Maintenance
from backends.log import LogPosition
from support.fake_disk import FakeDisk
from support.index_model import UUIDS, IndexModel, numbers, queries

DIRECTORY = Path("/data/index")
seeds = st.integers(0, 1 << 32)


@pytest.fixture(autouse=True, scope="module")
def _no_thread() -> Iterator[None]:
    with patch.object(Maintenance, "_start_thread", lambda _: None):
        yield


class IndexMachine(RuleBasedStateMachine):
    """An index, its log, and what may happen to them."""

    def __init__(self) -> None:
        super().__init__()
        self.model = IndexModel()
        self.disk = FakeDisk()
        self.open()

    def open(self) -> None:
        """Open the index, then add again what it says is not in it."""
        self.index = Index(DIRECTORY, disk=self.disk, memory_rows=3)
        complete_up_to = self.index.open()
        assert complete_up_to in self.model.marks
        self.complete_up_to = complete_up_to
        behind = [(event, place) for event, place in self.model.log if place[:2] >= complete_up_to]
        self.check_found([entry for entry in self.model.log if entry not in behind])
        for event, place in behind:
            self.index.add(event, place)
        self.index.mark_complete(self.model.end)

    def check_found(self, entries: list) -> None:
        """Assert that each uuid is found, with its newest place first."""
        newest = {event.uuid: place for event, place in entries}
        together = self.index.find_all_places(UUIDS, self.index.digests(UUIDS))
        assert {uuid: places[0] for uuid, places in together.items()} == newest
        for uuid in UUIDS:
            assert list(self.index.find_places(uuid))[:1] == ([newest[uuid]] if uuid in newest else [])

    def work(self, steps: int) -> None:
        """Let the index's thread do so many steps."""
        maintenance = self.index._maintenance
        assert maintenance is not None
        for _ in range(steps):
            maintenance._retry_at = 0.0
            maintenance.work()

    @rule(group=st.lists(numbers, max_size=5))
    def put(self, group: list[int]) -> None:
        """Add a group of events."""
        for event, place in self.model.append(group):
            self.index.add(event, place)
        self.index.mark_complete(self.model.end)

    @rule(steps=st.integers(1, 60))
    def work_on(self, steps: int) -> None:
        """Write and merge."""
        self.work(steps)

    @rule()
    def finish_work(self) -> None:
        """Write and merge until there is nothing more to do."""
        self.work(1)
        for _ in range(10_000):
            if not self.index._maintenance.work():
                break
        snapshot = self.index._shared.current
        assert not snapshot.frozen
        assert not snapshot.packed
        assert self.index.problem is None

    @rule(after=st.integers(0, 12), times=st.integers(1, 3), steps=st.integers(1, 40), full=st.booleans())
    def work_on_a_failing_disk(self, after: int, times: int, steps: int, *, full: bool) -> None:
        """Let changes fail."""
        self.disk.fail(after=after, times=times, error=28 if full else 5)
        self.work(steps)
        self.disk.mend()

    @rule()
    def restart(self) -> None:
        """Close and open; nothing is to be added again."""
        self.index.close()
        assert self.index.problem is None
        self.open()
        assert self.complete_up_to == self.model.end

    @rule(after=st.integers(0, 12))
    def restart_on_a_failing_disk(self, after: int) -> None:
        """Close on a disk that fails, and open when it works again."""
        self.disk.fail(after=after, times=1)
        self.index.close()
        self.disk.mend()
        self.open()

    @rule(seed=seeds)
    def kill(self, seed: int) -> None:
        """Kill the process."""
        self.disk = self.disk.after_kill(Random(seed))
        self.open()

    @rule(seed=seeds, after=st.integers(0, 30), close=st.booleans())
    def cut_power(self, seed: int, after: int, *, close: bool) -> None:
        """Cut the power in the middle of what is being done."""
        self.disk.cut_power(after)
        if close:
            self.index.close()
        else:
            self.work(40)
        self.disk = self.disk.after_power_cut(Random(seed))
        before = self.complete_up_to
        self.open()
        assert self.complete_up_to >= before, "what was durable is durable"

    @rule(seed=seeds, after=st.integers(0, 6), again=seeds)
    def cut_power_at_start(self, seed: int, after: int, again: int) -> None:
        """Kill the process, and cut the power when it starts again."""
        self.disk = self.disk.after_kill(Random(seed))
        self.disk.cut_power(after)
        try:
            self.open()
        except OSError:
            assert not self.disk.powered
        self.disk = self.disk.after_power_cut(Random(again))
        self.open()

    @rule()
    def begin_anew(self) -> None:
        """Discard the index."""
        self.index.discard()
        self.complete_up_to = LogPosition(0, 0)
        assert list(self.index.find_places(UUIDS[0])) == []
        for event, place in self.model.log:
            self.index.add(event, place)
        self.index.mark_complete(self.model.end)

    @rule(query=queries(), limit=st.integers(1, 50))
    def list_entries(self, query: Query, limit: int) -> None:
        """Read a list."""
        assert self.index.list_entries(query, limit=limit) == self.model.select(query, limit)

    @invariant()
    def everything_is_found(self) -> None:
        """Each event is found at once, at its newest place."""
        self.check_found(self.model.log)

    @rule()
    def is_well(self) -> None:
        """What is written is in order."""
        assert list(self.index.verify()) == []

    def teardown(self) -> None:
        """Close; then exactly the named files are there."""
        self.index.close()
        self.open()
        self.finish_work()
        names = {run.description.name for run in self.index._shared.current.written}
        there = {Path(path).name for path in self.disk.contents()} - {"manifest.json"}
        assert there == names


TestIndexModel = IndexMachine.TestCase
TestIndexModel.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


def index_before_its_first_merge(disk: FakeDisk, model: IndexModel) -> Index:
    """Return an index with three runs in files and one in memory."""
    index = Index(DIRECTORY, disk=disk, memory_rows=3)
    index.open()
    for group in ([0, 1, 2], [3, 4, 5], [6, 1, 7], [8, 9, 10]):
        while index._shared.current.frozen or index._shared.current.packed:
            index._maintenance.work()
        for event, place in model.append(group):
            index.add(event, place)
        index.mark_complete(model.end)
    return index


def changes_until_it_is_merged() -> int:
    """Return how many changes on the disk write the fourth run, merge all, and close."""
    disk = FakeDisk()
    index = index_before_its_first_merge(disk, IndexModel())
    before = len(disk.calls)
    work_while_it_goes(index)
    assert index.statistics().merges == 1
    index.close()
    return len(disk.calls) - before


def work_while_it_goes(index: Index) -> None:
    """Do the steps of the index's thread until there is nothing to do, or nothing that can be done."""
    while index._maintenance.work():
        pass


def assert_whole(disk: FakeDisk, model: IndexModel) -> None:
    """Assert that the index on a disk is whole, with the three runs that were durable, or with more."""
    index = Index(DIRECTORY, disk=disk, memory_rows=3)
    complete_up_to = index.open()
    assert complete_up_to in model.marks[3:]
    expected = {event.uuid: place for event, place in model.log if place[:2] < complete_up_to}
    assert {uuid: index.find_places(uuid)[0] for uuid in expected} == expected
    assert {entry.uuid: entry.place for entry in index.list_entries(Query(), limit=100)} == expected
    assert list(index.verify()) == []
    index.close()


def test_power_cut_at_each_change() -> None:
    """Wherever the power goes while a run is written and runs are merged, the index is whole, before or after it."""
    for seed, (after, _) in enumerate(product(range(changes_until_it_is_merged() + 1), range(6))):
        disk, model = FakeDisk(seed), IndexModel()
        index = index_before_its_first_merge(disk, model)
        disk.cut_power(after)
        work_while_it_goes(index)
        index.close()
        assert_whole(disk.after_power_cut(Random(seed)), model)


def test_failure_of_each_change() -> None:
    """Whichever change fails, the index is whole after a kill at once, and after a stop and a power cut."""
    for seed, (after, _) in enumerate(product(range(changes_until_it_is_merged() + 1), range(4))):
        disk, model = FakeDisk(seed), IndexModel()
        index = index_before_its_first_merge(disk, model)
        disk.fail(after=after)
        work_while_it_goes(index)
        assert_whole(disk.after_kill(Random(seed)), model)
        index.close()
        assert_whole(disk.after_power_cut(Random(seed)), model)


def test_power_cut_while_it_opens_after_a_kill() -> None:
    """What a killed process left is made durable before anything that only the manifest before names is removed."""
    changes = changes_until_it_is_merged()
    for seed, (after, after_opening, _) in enumerate(product(range(changes), range(6), range(2))):
        disk, model = FakeDisk(seed), IndexModel()
        index = index_before_its_first_merge(disk, model)
        disk.fail(after=after, times=None)
        work_while_it_goes(index)
        disk = disk.after_kill(Random(seed))
        disk.cut_power(after_opening)
        with contextlib.suppress(OSError):
            Index(DIRECTORY, disk=disk, memory_rows=3).open()
        assert_whole(disk.after_power_cut(Random(seed)), model)
