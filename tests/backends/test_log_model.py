"""The log against a model of it, on a disk that fails and loses power at every point.

Whatever happens: each line that was acknowledged, and each that a reopened log has shown, is there once, in order and
at its place for ever; no line of a group that failed is shown once a later one is acknowledged; the log goes on.
"""

import asyncio
import errno
from collections.abc import Awaitable
from random import Random
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
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
        self.broken = False

    def run(self, work: Awaitable[Any]) -> Any:
        """Run on this machine's event loop."""

        async def main() -> Any:
            return await work

        return self.runner.run(main())

    @initialize(seed=SEEDS)
    def open(self, seed: int) -> None:
        self.model = LogModel(seed)
        self.run(self.model.open())

    @rule(calls=st.lists(PADDINGS, min_size=1, max_size=3))
    def append(self, calls: list[list[int]]) -> None:
        self.run(self.model.append(*calls))

    @rule(
        operations=st.sets(st.sampled_from(sorted(CHANGES)), min_size=1),
        after=st.integers(0, 4),
        times=st.integers(1, 4) | st.none(),
        error=st.sampled_from([errno.EIO, errno.ENOSPC]),
    )
    def break_the_disk(self, operations: set[str], after: int, times: int | None, error: int) -> None:
        self.model.disk.fail(operations, after=after, times=times, error=error)
        self.broken = True

    @rule()
    def mend_the_disk(self) -> None:
        self.model.disk.mend()
        self.broken = False

    @rule()
    def append_on_a_mended_disk(self) -> None:
        self.mend_the_disk()
        acknowledged = len(self.model.shown)
        self.run(self.model.append([10]))
        assert len(self.model.shown) == acknowledged + 1, "the disk is well again and the log is not"

    @rule(after=st.integers(0, 8), calls=st.lists(PADDINGS, min_size=1, max_size=3), seed=SEEDS)
    def lose_power(self, after: int, calls: list[list[int]], seed: int) -> None:
        self.model.disk.cut_power(after)
        for call in calls:
            self.run(self.model.append(call))
        self.run(self.model.lose_power(Random(seed)))
        self.broken = False

    @rule(after=st.integers(0, 8), calls=st.lists(PADDINGS, min_size=1, max_size=3), seed=SEEDS)
    def be_killed(self, after: int, calls: list[list[int]], seed: int) -> None:
        self.model.disk.cut_power(after)
        for call in calls:
            self.run(self.model.append(call))
        self.run(self.model.be_killed(Random(seed)))
        self.broken = False

    @rule(after=st.integers(0, 5), seed=SEEDS, keep_cache=st.booleans())
    def die_while_opening(self, after: int, seed: int, *, keep_cache: bool) -> None:
        self.run(self.model.close())
        self.model.disk.mend()
        self.model.disk.cut_power(after)
        self.run(self.model.try_to_restart())
        self.run((self.model.be_killed if keep_cache else self.model.lose_power)(Random(seed)))
        self.broken = False

    @rule(error=st.sampled_from([errno.EIO, errno.ENOSPC]), operation=st.sampled_from(sorted(CHANGES | READS)))
    def fail_to_open(self, error: int, operation: str) -> None:
        self.model.disk.fail({operation}, error=error)
        self.run(self.model.try_to_restart())
        self.restart()

    @rule()
    def restart(self) -> None:
        self.run(self.model.restart())
        self.broken = False

    @rule()
    def the_next_day(self) -> None:
        year, month, day = self.model.day.split("-")
        self.model.day = f"{year}-{month}-{int(day) % 28 + 1:02}"

    @rule()
    def run_out_of_page_cache(self) -> None:
        self.model.disk.forget_all_clean_pages()

    @invariant()
    def it_shows_what_it_acknowledged(self) -> None:
        if hasattr(self, "model"):
            self.model.check()

    def teardown(self) -> None:
        if hasattr(self, "model"):
            self.run(self.model.close())
        self.runner.close()


def test_any_sequence_of_appends_faults_power_cuts_kills_and_restarts() -> None:
    run_state_machine_as_test(LogMachine, settings=settings(max_examples=150, stateful_step_count=20, deadline=None))
