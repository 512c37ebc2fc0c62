"""The spool against a model, with a backend that does whatever it likes and a disk that fails and loses power.

Whatever happens: each event that was acknowledged is in the backend or waits, and when all is well again it is in the
backend once, or, if the backend has another event with its uuid, in quarantine.
"""

import asyncio
import errno
from collections.abc import Awaitable, Callable
from typing import Any
from zlib import crc32

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from backends.errors import StorageFull, StoreUnavailable
from support.fake_disk import CHANGES, READS
from support.spool_model import SpoolModel
from support.wayward_store import AWAY, FULL

SEEDS = st.integers(0, 1 << 16)
COUNTS = st.lists(st.integers(1, 5), min_size=1, max_size=4)


class SpoolMachine(RuleBasedStateMachine):
    """Everything that can happen to a spool, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()

    def run(self, work: Awaitable[Any]) -> Any:
        """Run on this machine's event loop, and let go on for a moment what goes on by itself."""

        async def main() -> Any:
            answer = await work
            await asyncio.sleep(0.001)
            return answer

        return self.runner.run(main())

    @initialize(seed=SEEDS)
    def open(self, seed: int) -> None:
        """Begin with an empty spool."""

        async def begin() -> None:
            self.model = SpoolModel(seed)
            await self.model.open()

        self.run(begin())

    @rule(counts=COUNTS)
    def put(self, counts: list[int]) -> None:
        """Put events, some calls at once."""
        self.run(self.model.put(*map(self.model.any_events, counts)))

    @rule(error=st.sampled_from([AWAY, FULL]), deaf=st.booleans())
    def lose_the_backend(self, error: StoreUnavailable | StorageFull, *, deaf: bool) -> None:
        """Let it fail; a deaf one has stored what it fails to acknowledge."""
        self.model.store.error, self.model.store.deaf = error, deaf

    @rule(counts=COUNTS, deaf=st.booleans())
    def let_the_backend_hang(self, counts: list[int], *, deaf: bool) -> None:
        """Let it answer nothing, for so long that puts give up."""
        self.model.store.hangs, self.model.store.deaf = True, deaf
        self.run(self.model.put(*map(self.model.any_events, counts)))

    @rule(seed=SEEDS)
    def let_the_backend_refuse_a_part(self, seed: int) -> None:
        """Let it be there, and have no room for some events; what waits begins to drain."""
        self.model.store.mend()
        self.model.store.refuses = lambda event: crc32(f"{event.uuid}{seed}".encode()) % 3 == 0
        self.run(self.model.hurry())

    @rule()
    def mend_the_backend(self) -> None:
        """Let it work; what waits begins to drain."""
        self.model.store.mend()

    @rule(count=st.integers(1, 4))
    def put_elsewhere(self, count: int) -> None:
        """Let another server use the same backend."""
        self.run(self.model.put_elsewhere(count))

    @rule(is_full=st.booleans())
    def fill_the_quarantine(self, *, is_full: bool) -> None:
        """Let it keep no conflict, or keep them again."""
        self.model.quarantine.error = StorageFull("full") if is_full else None

    @rule(
        operations=st.sets(st.sampled_from(sorted(CHANGES | READS)), min_size=1),
        after=st.integers(0, 4),
        times=st.integers(1, 4),
        error=st.sampled_from([errno.EIO, errno.ENOSPC]),
    )
    def break_the_disk(self, operations: set[str], after: int, times: int, error: int) -> None:
        """Let some of the next operations fail."""
        self.model.disk.fail(operations, after=after, times=times, error=error)

    @rule(after=st.integers(0, 30), counts=COUNTS, mended=st.booleans(), keep_cache=st.booleans())
    def die(self, after: int, counts: list[int], *, mended: bool, keep_cache: bool) -> None:
        """Lose power, or be killed, somewhere in a row of puts or in the drain, and go on with what is left."""
        self.model.disk.cut_power(after)
        if mended:
            self.model.store.mend()
        for count in counts:
            self.run(self.model.put(self.model.any_events(count)))
        self.run((self.model.be_killed if keep_cache else self.model.lose_power)())

    @rule()
    def restart(self) -> None:
        """Close and open."""
        self.run(self.model.restart())

    @rule()
    def drain(self) -> None:
        """Let all be well."""
        self.run(self.model.drain())

    @invariant()
    def what_was_acknowledged_is_there(self) -> None:
        """After each step, as far as the backend can be read."""
        if hasattr(self, "model") and not self.model.store.hangs:
            self.run(self.model.check())

    def teardown(self) -> None:
        """Let all be well, a last time."""
        if hasattr(self, "model"):
            self.run(self.model.lose_power())
            self.run(self.model.drain())
            self.run(self.model.close())
        self.runner.close()


def test_any_sequence_of_outages_faults_kills_and_restarts() -> None:
    """Hypothesis looks for one that breaks a promise."""
    phases = [Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink]
    run_state_machine_as_test(
        SpoolMachine, settings=settings(max_examples=80, stateful_step_count=15, deadline=None, phases=phases)
    )


async def live(model: SpoolModel) -> None:
    """A short life: an outage, a drain with a conflict in it, and another outage."""
    await model.open()
    model.store.error = AWAY
    for count in (3, 5, 8, 8):
        await model.put(model.any_events(count))
    await model.put_elsewhere(3)
    model.store.mend()
    model.spool._wake()
    for _ in range(200):
        if not model.spool.state().events:
            break
        await asyncio.sleep(0.001)
    model.store.error = AWAY
    await model.put(model.any_events(4))
    await model.close()


@pytest.mark.parametrize("die", [SpoolModel.lose_power, SpoolModel.be_killed], ids=["power cut", "kill"])
async def test_a_crash_at_every_operation_of_a_short_life(die: Callable[[SpoolModel], Awaitable[None]]) -> None:
    """Wherever the machine or the process stops: nothing acknowledged is missing, and all of it drains."""
    undisturbed = SpoolModel(0)
    await live(undisturbed)
    assert len(undisturbed.disk.calls) > 60
    for point in range(len(undisturbed.disk.calls) + 3):
        try:
            model = SpoolModel(point)
            model.disk.cut_power(point)
            await live(model)
            await die(model)
            await model.drain()
            await model.close()
        except BaseException as error:
            error.add_note(f"at operation {point}")
            raise
