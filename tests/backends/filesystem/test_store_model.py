"""The filesystem store, log and index together, on a disk that fails and loses power.

The index is written behind the answers by a thread of its own, so a seed does not fix everything; a failure that is
found here is a failure all the same.
"""

import errno
from collections.abc import Awaitable, Callable
from itertools import product

import pytest

from support.fake_disk import CHANGES
from support.store_model import StoreModel


async def anything(model: StoreModel) -> None:
    """Do one of the things that can happen to a store."""
    random = model.random
    steps: dict[Callable[[], Awaitable[None]], int] = {
        lambda: model.put(*(model.any_events(random.randrange(1, 6)) for _ in range(random.randrange(1, 5)))): 12,
        lambda: fail(model): 3,
        lambda: die_on_the_way(model, model.lose_power): 2,
        lambda: die_on_the_way(model, model.be_killed): 2,
        lambda: die_while_opening(model): 1,
        model.restart: 1,
    }
    (step,) = random.choices(list(steps), list(steps.values()))
    await step()


async def fail(model: StoreModel) -> None:
    """Let something fail once or for a while, put events meanwhile, and let all be well again."""
    random = model.random
    operations = random.sample(sorted(CHANGES), random.randrange(1, len(CHANGES)))
    model.disk.fail(
        operations,
        after=random.randrange(3),
        times=random.choice([1, 2, 3, None]),
        error=random.choice([errno.EIO, errno.ENOSPC]),
    )
    for _ in range(random.randrange(1, 4)):
        await model.put(model.any_events(3), model.any_events(1))
    model.disk.mend()


async def die_on_the_way(model: StoreModel, die: Callable[[], Awaitable[None]]) -> None:
    """Let the disk stop somewhere in a row of puts."""
    model.disk.cut_power(model.random.randrange(20))
    for _ in range(model.random.randrange(1, 5)):
        await model.put(model.any_events(3), model.any_events(2))
    await die()


async def die_while_opening(model: StoreModel) -> None:
    """Let the disk stop somewhere in the recovery."""
    await model.close()
    model.disk.cut_power(model.random.randrange(15))
    await model.open()
    await (model.lose_power if model.random.random() < 0.5 else model.be_killed)()


@pytest.mark.seeds(40)
async def test_whatever_happens_what_was_acknowledged_is_there(seed: int) -> None:
    """Puts, faults, kills, power cuts and restarts in any order: get, find and tail agree with the acknowledgements."""
    model = StoreModel(seed)
    await model.open()
    for _ in range(25):
        await anything(model)
        await model.check()
    await model.lose_power()
    await model.close()


async def live(model: StoreModel) -> None:
    """A short life: the index is made, memory tables and segments fill, runs are written and merged."""
    await model.open()
    for count in (3, 5, 8, 8):
        await model.put(model.any_events(count))
    await model.close()


@pytest.mark.parametrize("die", [StoreModel.lose_power, StoreModel.be_killed], ids=["power cut", "kill"])
async def test_a_crash_at_every_operation_of_a_short_life(die: Callable[[StoreModel], Awaitable[None]]) -> None:
    """Wherever the machine or the process stops, a new store has what was acknowledged, and takes more."""
    undisturbed = StoreModel(0)
    await live(undisturbed)
    for point, seed in product(range(len(undisturbed.disk.calls) + 3), range(3)):
        try:
            model = StoreModel(seed)
            model.disk.cut_power(point)
            await live(model)
            await die(model)
            await model.put(model.any_events(4))
            await model.check()
            await model.lose_power()
            await model.close()
        except BaseException as error:
            error.add_note(f"at operation {point}, seed {seed}")
            raise


async def test_a_failure_at_every_operation_of_a_short_life() -> None:
    """Wherever the disk fails, once or three times, the same store goes on and a later power cut takes nothing."""
    undisturbed = StoreModel(0)
    await live(undisturbed)
    for point, (times, error) in product(
        range(len(undisturbed.disk.calls)), [(1, errno.EIO), (3, errno.EIO), (1, errno.ENOSPC)]
    ):
        try:
            model = StoreModel(point)
            await model.open()
            model.disk.fail(after=point, times=times, error=error)
            for count in (3, 5, 8, 8):
                await model.put(model.any_events(count))
                await model.check()
            model.disk.mend()
            await model.put(model.any_events(4))
            await model.check()
            await model.lose_power()
            await model.close()
        except BaseException as found:
            found.add_note(f"at operation {point}, {times} times, {errno.errorcode[error]}")
            raise
