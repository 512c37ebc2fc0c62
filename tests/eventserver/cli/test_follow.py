"""``eventserver copy --follow``: when it has caught up, and what it says while it has not."""

import asyncio
import math
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from backends.base import Event, Outcome
from backends.filesystem import FilesystemStore
from backends.record import original_of
from eventserver.cli import copier as copier_module
from eventserver.cli.copier import Copier, Pass
from eventserver.cli.copy_state import CopyState
from eventserver.cli.following import Follower, is_close
from tests.support.events import make_event, respelt
from tests.support.wayward_store import AWAY, WaywardStore

BULK_SECONDS = 0.4
RECEIVED_BEFORE = timedelta(hours=2, minutes=3)
BEHIND = re.compile(r"behind: (0 events copied|[1-9]\d* events copied, the last one received 2:03:\d\d ago)")


class SlowStore(WaywardStore):
    """Takes one bulk after the other, each in its time; what arrives meanwhile is the test's."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds = BULK_SECONDS
        self.ended = 0.0
        self.meanwhile: Callable[[int], Awaitable[object]] | None = None
        self._one_at_a_time = asyncio.Lock()

    async def put(self, events: Sequence[Event]) -> list[Outcome]:
        """Store, slowly."""
        async with self._one_at_a_time:
            await asyncio.sleep(self.seconds)
            if self.meanwhile is not None:
                await self.meanwhile(len(events))
            self.ended = time.monotonic()
            return await super().put(events)


class Following:
    """A follower under way.

    Attributes:
        words: what it said.
        left: for each of them how many events the target did not have then.
        idle: how long the target had nothing to do ahead of each pass, in seconds.

    """

    def __init__(self, root: Path) -> None:
        self.source = FilesystemStore(root / "source")
        self.target = SlowStore()
        self.stop = asyncio.Event()
        self.words: list[str] = []
        self.left: list[int] = []
        self.idle: list[float] = []
        self.arrived = 0
        self.tell_seconds = 0.3
        self._root = root

    async def send(self, count: int) -> None:
        """Store so many events in the source."""
        events = [make_event() for _ in range(count)]
        received = f"{datetime.now(UTC) - RECEIVED_BEFORE:%Y-%m-%dT%H:%M:%S.%fZ}"
        await self.source.put([respelt(event, original_of(event.record), received) for event in events])
        self.arrived += count

    async def until_said(self, word: str, count: int = 1) -> None:
        """Wait for the n-th line that begins with a word."""
        for _ in range(3000):
            if sum(line.startswith(word) for line in self.words) >= count:
                return
            await asyncio.sleep(0.01)
        raise AssertionError(self.words)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Follow for the time of the block; then all that was there is copied."""
        state = CopyState(self._root / "state", "a", "b")
        async with self.target as target:
            copier = Copier(
                self._open, target, state, stop=self.stop, say=self._say, advance=lambda _=1: None, patience=math.inf
            )
            follower = Follower(copier, stop=self.stop, say=self._say, tell_seconds=self.tell_seconds)
            task = asyncio.create_task(follower.run())
            try:
                yield
            finally:
                self.stop.set()
                await asyncio.wait_for(task, 10)

    def _open(self) -> FilesystemStore:
        if self.target.ended:
            self.idle.append(time.monotonic() - self.target.ended)
        return FilesystemStore(self._root / "source", read_only=True)

    def _say(self, text: str) -> None:
        self.words.append(text)
        self.left.append(self.arrived - len(self.target.all_records()))


@pytest.fixture
async def following(tmp_path: Path) -> AsyncIterator[Following]:
    """A source that takes events, an empty target."""
    following = Following(tmp_path)
    async with following.source:
        yield following


async def test_it_has_caught_up_when_little_is_left(following: Following) -> None:
    """While half as many arrive as it copies, not after the first pass; and it does not rest until then."""
    await following.send(6000)
    following.target.meanwhile = lambda count: following.send(count // 2)
    async with following.running():
        await following.until_said("caught up")
        following.target.meanwhile = None
    assert following.words[-1].startswith("caught up after ")
    assert following.left[-1] < 2000
    assert len(following.idle) >= 2
    assert min(following.idle) < 0.9
    assert len(following.target.all_records()) >= 9000


async def test_it_says_how_far_it_is_behind(following: Following) -> None:
    """Again and again, with the age of what it has come to; and of a store that is quick, nothing."""
    await following.send(4000)
    async with following.running():
        await following.until_said("caught up")
        behind = following.words[:-1]
        assert len(behind) >= 3
        assert all(BEHIND.fullmatch(line) for line in behind), behind
        assert "received" in behind[-1]
        following.target.seconds = 0
        await following.send(5)
        await asyncio.sleep(1.5)
        assert following.words[len(behind) + 1 :] == []
        assert len(following.target.all_records()) == 4005


async def test_it_may_fall_behind_again(following: Following) -> None:
    """That is said, and when it has caught up again, too."""
    async with following.running():
        await following.until_said("caught up")
        await following.send(5000)
        await following.until_said("behind: ")
        await following.until_said("caught up", 2)
    assert following.left[-1] == 0
    assert following.words[-1] == "caught up after 5000 events; copying what arrives"


async def test_a_store_that_is_away_is_waited_for(following: Following, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told once, and not that it is behind; afterwards it catches up, and says so."""
    monkeypatch.setattr(copier_module, "_HELD_UP_SECONDS", 0.2)
    target = following.target
    async with following.running():
        await following.until_said("caught up")
        target.seconds, target.error = 0, AWAY
        await following.send(10)
        await following.until_said("away, says the test: trying again")
        told = len(following.words)
        await asyncio.sleep(1)
        assert following.words[told:] == []
        target.mend()
        await following.until_said("caught up", 2)
    assert following.words[told:] == [
        "the other store takes events again",
        "caught up after 10 events; copying what arrives",
    ]
    assert following.left[-1] == 0


async def test_every_outage_is_told(following: Following, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its end; also short ones."""
    monkeypatch.setattr(copier_module, "_HELD_UP_SECONDS", 0.05)
    following.tell_seconds, following.target.seconds = 60, 0
    async with following.running():
        await following.until_said("caught up")
        for number in (1, 2):
            following.target.error = AWAY
            await following.send(10)
            await following.until_said("away, says the test: trying again", number)
            following.target.mend()
            await following.until_said("caught up", number + 1)
    assert following.words.count("the other store takes events again") == 2
    assert len(following.words) == 7


async def test_what_the_other_store_does_not_take_is_put_again(following: Following) -> None:
    """Where it takes a part only; until it has taken all."""
    following.target.seconds = 0
    following.target.refuses = lambda event: event.uuid[0] in "02468ace"
    await following.send(1500)
    async with following.running():
        for _ in range(500):
            if len(following.target.puts) > 4:
                break
            await asyncio.sleep(0.01)
        assert 0 < len(following.target.all_records()) < 1500
        following.target.mend()
        await following.until_said("caught up")
    assert following.left[-1] == 0
    assert following.words[-1] == "caught up after 1500 events; copying what arrives"


async def test_a_source_that_is_away_is_waited_for(following: Following, tmp_path: Path) -> None:
    """It, too."""
    await following.send(10)
    following.target.seconds = 0
    events = tmp_path / "source" / "events"
    async with following.running():
        await following.until_said("caught up")
        events.rename(tmp_path / "moved")
        events.write_text("in the way")
        await asyncio.sleep(2.5)
        events.unlink()
        (tmp_path / "moved").rename(events)
        await following.until_said("caught up", 2)
    assert sum(line.endswith(": trying again") for line in following.words) == 1
    assert not [line for line in following.words if line.startswith("behind")]


def passes(events: int, seconds: float, *, began: float = 100) -> Pass:
    """Make a pass."""
    return Pass(began, began, began + seconds, events)


@pytest.mark.parametrize(
    ("before", "last", "expected"),
    [
        (None, passes(0, 0.2), True),
        (None, passes(50_000, 0.99), True),
        (None, passes(500, 3600), False),  # the target was away: who knows what arrived
        (None, passes(0, 1.5), False),
        (passes(9, 10, began=90), passes(0, 1.5), True),  # takes time to open, nothing arrives
        (passes(9, 10, began=90), passes(900, 10), True),
        (passes(9, 10, began=90), passes(900, 12), False),  # 90 a second, for 12 seconds
        (passes(9, 1000, began=-900), passes(90_000, 10), True),  # 90 a second, and it shrinks
        (passes(9, 1000, began=-900), passes(90_000, 20), False),
    ],
)
def test_little_is_what_arrived_within_a_second_or_fewer_than_a_thousand_events(
    before: Pass | None, last: Pass, *, expected: bool
) -> None:
    """The latter is what arrived while the last pass ran, at the rate that it saw."""
    assert is_close(before, last) is expected
