"""The log against a model of it, on a disk that fails and loses power at every point.

Whatever happens: each line that was acknowledged, and each that a reopened log has shown, is there once, in order and
at its place for ever; no line of a group that failed is shown once a later one is acknowledged; the log goes on.
"""

import asyncio
import errno
from collections.abc import Awaitable, Callable
from itertools import product
from random import Random
from typing import Any

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
)

from support.fake_disk import CHANGES, READS
from support.log_model import LogModel

PADDINGS = st.lists(st.integers(0, 150), max_size=4)
SEEDS = st.integers(0, 1 << 16)


class LogMachine(RuleBasedStateMachine):
    """Everything that can happen to a log, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()

    def run(self, work: Awaitable[Any]) -> Any:
        """Run on this machine's event loop."""

        async def main() -> Any:
            return await work

        return self.runner.run(main())

    @initialize(seed=SEEDS)
    def open(self, seed: int) -> None:
        """Begin with an empty log."""
        self.model = LogModel(seed)
        self.run(self.model.open())

    @rule(calls=st.lists(PADDINGS, min_size=1, max_size=3))
    def append(self, calls: list[list[int]]) -> None:
        """Append, some calls at once."""
        self.run(self.model.append(*calls))

    @rule(
        operations=st.sets(st.sampled_from(sorted(CHANGES)), min_size=1),
        after=st.integers(0, 4),
        times=st.integers(1, 4) | st.none(),
        error=st.sampled_from([errno.EIO, errno.ENOSPC]),
    )
    def break_the_disk(self, operations: set[str], after: int, times: int | None, error: int) -> None:
        """Let some of the next operations fail."""
        self.model.disk.fail(operations, after=after, times=times, error=error)

    @rule()
    def mend_the_disk(self) -> None:
        """Let everything succeed again."""
        self.model.disk.mend()

    @rule()
    def append_on_a_mended_disk(self) -> None:
        """Whatever was before: on a disk that works, the log works."""
        self.mend_the_disk()
        acknowledged = len(self.model.shown)
        self.run(self.model.append([10]))
        assert len(self.model.shown) == acknowledged + 1, "the disk is well again and the log is not"

    @rule(after=st.integers(0, 8), calls=st.lists(PADDINGS, min_size=1, max_size=3), seed=SEEDS)
    def lose_power(self, after: int, calls: list[list[int]], seed: int) -> None:
        """Lose power somewhere in a row of appends, and go on with what is left."""
        self.model.disk.cut_power(after)
        for call in calls:
            self.run(self.model.append(call))
        self.run(self.model.lose_power(Random(seed)))

    @rule(after=st.integers(0, 8), calls=st.lists(PADDINGS, min_size=1, max_size=3), seed=SEEDS)
    def be_killed(self, after: int, calls: list[list[int]], seed: int) -> None:
        """Be killed somewhere in a row of appends, and go on."""
        self.model.disk.cut_power(after)
        for call in calls:
            self.run(self.model.append(call))
        self.run(self.model.be_killed(Random(seed)))

    @rule(after=st.integers(0, 5), seed=SEEDS, keep_cache=st.booleans())
    def die_while_opening(self, after: int, seed: int, *, keep_cache: bool) -> None:
        """Die in the middle of the recovery, and recover from that."""
        self.run(self.model.close())
        self.model.disk.mend()
        self.model.disk.cut_power(after)
        self.run(self.model.try_to_restart())
        self.run((self.model.be_killed if keep_cache else self.model.lose_power)(Random(seed)))

    @rule(error=st.sampled_from([errno.EIO, errno.ENOSPC]), operation=st.sampled_from(sorted(CHANGES | READS)))
    def fail_to_open(self, error: int, operation: str) -> None:
        """Open on a disk that fails once, then on one that works."""
        self.model.disk.fail({operation}, error=error)
        self.run(self.model.try_to_restart())
        self.restart()

    @rule()
    def restart(self) -> None:
        """Close and open."""
        self.run(self.model.restart())

    @rule()
    def the_next_day(self) -> None:
        """Let a day pass."""
        year, month, day = self.model.day.split("-")
        self.model.day = f"{year}-{month}-{int(day) % 28 + 1:02}"

    @rule()
    def run_out_of_page_cache(self) -> None:
        """Let the system read everything from the device again."""
        self.model.disk.forget_all_clean_pages()

    @invariant()
    def it_shows_what_it_acknowledged(self) -> None:
        """After each step the log shows what it must."""
        if hasattr(self, "model"):
            self.model.check()

    def teardown(self) -> None:
        """Close."""
        if hasattr(self, "model"):
            self.run(self.model.close())
        self.runner.close()


TestLogModel = LogMachine.TestCase
TestLogModel.settings = settings(
    max_examples=300,
    stateful_step_count=20,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
)


async def live(model: LogModel) -> None:
    """A short life that meets everything: directories made, segments filled, a day that ends, an empty append."""
    await model.try_to_open()
    await model.append([10, 20])
    await model.append([30], [], [0, 150])
    await model.append([150, 150, 150])
    model.day = "2026-11-25"
    await model.append([5])
    await model.append([40], [40])
    await model.close()


async def every_point(try_one: Callable[[LogModel, int, int], Awaitable[None]]) -> None:
    """Try something for each operation that a life asks of the disk, with several seeds of what is left to chance."""
    undisturbed = LogModel()
    await live(undisturbed)
    assert len(undisturbed.shown) == 11
    assert {operation for operation, _ in undisturbed.disk.calls} == CHANGES - {"rename", "remove"}
    for point, seed in product(range(len(undisturbed.disk.calls) + 1), range(12)):
        try:
            await try_one(LogModel(seed), point, seed)
        except BaseException as error:
            error.add_note(f"at {[*undisturbed.disk.calls, 'the end'][point]}, number {point}, seed {seed}")
            raise


async def go_on(model: LogModel, seed: int) -> None:
    """What is there is right, what is appended now is acknowledged, and another power cut takes nothing of it."""
    for number in range(2):
        model.check()
        acknowledged = len(model.shown)
        await model.append([10], [60, 0])
        assert len(model.shown) == acknowledged + 3
        model.check()
        await model.lose_power(Random(seed + number))
    model.check()


@pytest.mark.parametrize("keep_cache", [False, True], ids=["power cut", "kill"])
async def test_a_crash_at_every_point(*, keep_cache: bool) -> None:
    """The process, or the whole machine, dies at each single operation, in the middle of it."""

    async def crash(model: LogModel, point: int, seed: int) -> None:
        model.disk.cut_power(point)
        await live(model)
        await (model.be_killed if keep_cache else model.lose_power)(Random(seed))
        await go_on(model, seed)

    await every_point(crash)


@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC], ids=["EIO", "ENOSPC"])
async def test_a_failure_at_every_point(error: int) -> None:
    """Each single operation fails, alone or with those behind it; then there is a power cut, a kill or a restart."""

    async def fail(model: LogModel, point: int, seed: int) -> None:
        model.disk.fail(after=point, times=1 + seed % 4, error=error)
        await live(model)
        model.disk.mend()
        if seed % 3 == 0:
            await model.lose_power(Random(seed))
        elif seed % 3 == 1:
            await model.be_killed(Random(seed))
        else:
            await model.restart()
        await go_on(model, seed)

    await every_point(fail)


async def test_a_segment_that_was_removed_does_not_come_back() -> None:
    """One that was begun in vain says what is void; after a restart without it a power cut must not bring it back."""
    for seed in range(60):
        model = LogModel(seed)
        await model.open()
        await model.append([10])
        model.disk.fail({"sync"})
        await model.append([20])
        model.day = "2026-11-25"
        model.disk.fail({"sync_directory"}, after=2)
        await model.append([30])
        model.disk.mend()
        await model.be_killed(Random(seed))
        await model.lose_power(Random(seed))
        await go_on(model, seed)


async def test_a_failure_at_every_point_of_a_log_that_goes_on() -> None:
    """After a failure the same log is used on, and later the power goes: what it acknowledged then is there."""

    async def fail(model: LogModel, point: int, seed: int) -> None:
        await model.open()
        model.disk.fail(after=point, times=1 + seed % 2)
        for paddings in ([10, 20], [150, 150], [150, 150], [0]):
            await model.append(paddings)
            model.check()
        model.day = "2026-11-25"
        await model.append([10])
        model.disk.mend()
        await go_on(model, seed)

    await every_point(fail)
