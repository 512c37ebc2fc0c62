"""One timer for the time limits of many calls."""

import asyncio
import time

import pytest

from backends.spool.deadlines import Deadlines

SECONDS = 0.1


async def answer(seconds: float) -> str:
    """Take a while."""
    await asyncio.sleep(seconds)
    return "answer"


async def test_a_call_in_time_gives_its_answer() -> None:
    """Whether it waits or not; and its own error passes."""
    deadlines = Deadlines(SECONDS)
    assert await deadlines.within(answer(0)) == "answer"
    assert await deadlines.within(answer(SECONDS / 2)) == "answer"

    async def fail() -> None:
        raise KeyError

    with pytest.raises(KeyError):
        await deadlines.within(fail())


async def test_a_late_call_ends() -> None:
    """Between the limit and a little more; whoever called goes on as if nothing had been."""
    deadlines = Deadlines(SECONDS)
    for _ in range(3):
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            await deadlines.within(answer(60))
        assert SECONDS <= time.monotonic() - began < SECONDS * 4
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0
        await asyncio.sleep(0)
        assert await deadlines.within(answer(0)) == "answer"


async def test_each_of_many_calls_has_its_own_limit() -> None:
    """Those that began later end later, and those in time have their answer."""
    deadlines = Deadlines(SECONDS)
    ended: list[float] = []

    async def call(number: int) -> str:
        await asyncio.sleep(number * SECONDS / 20)
        began = time.monotonic()
        try:
            return await deadlines.within(answer(60 if number % 2 else SECONDS / 3))
        except TimeoutError:
            ended.append(time.monotonic() - began)
            return "late"

    assert await asyncio.gather(*map(call, range(20))) == ["answer", "late"] * 10
    assert len(ended) == 10
    assert min(ended) >= SECONDS


async def test_a_call_that_somebody_else_cancels_is_cancelled() -> None:
    """Before it is late, and also in the very moment when it is."""
    deadlines = Deadlines(SECONDS)
    task = asyncio.create_task(deadlines.within(answer(60)))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    task = asyncio.create_task(deadlines.within(answer(60)))
    await asyncio.sleep(0)
    deadlines._calls[task] = 0.0
    deadlines._look(asyncio.get_running_loop())
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_nothing_is_left_of_calls_that_have_ended() -> None:
    """No task is kept, and the timer ends with the last call."""
    deadlines = Deadlines(SECONDS)
    await asyncio.gather(*(deadlines.within(answer(0)) for _ in range(10)))
    with pytest.raises(TimeoutError):
        await deadlines.within(answer(60))
    await asyncio.sleep(SECONDS / 4)
    assert (deadlines._calls, deadlines._late, deadlines._timer) == ({}, set(), None)
