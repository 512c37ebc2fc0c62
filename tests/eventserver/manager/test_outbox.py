"""Listeners on a store elsewhere: an outbox knows what was put, the store what was stored, and by whom."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from backends.base import Event, Outcome, Status
from backends.errors import StoreUnavailable
from backends.memory import MemoryStore
from backends.record import at_of, finish_record, original_of
from eventserver.manager import ListenedStore, Listeners, OutboxLog
from support.job_events import job_event
from support.listeners import Receivers, listener, wait_until_settled


class Wayward(MemoryStore):
    """A store whose answers get lost, or that is away for reading."""

    def __init__(self) -> None:
        super().__init__()
        self.loses_answers = False
        self.is_away = False

    async def put(self, events: Sequence[Event]) -> list[Outcome]:
        """Put, and lose the answer."""
        outcomes = await super().put(events)
        if self.loses_answers:
            raise StoreUnavailable("the answer is lost")
        return outcomes

    async def get(self, uuid: str) -> bytes | None:
        """Get, unless it is away."""
        if self.is_away:
            raise StoreUnavailable("away")
        return await super().get(uuid)


@pytest.fixture
async def store() -> AsyncIterator[Wayward]:
    """Return a store that several servers share."""
    async with Wayward() as store:
        yield store


@pytest.fixture
def receivers() -> Receivers:
    """Return the receivers of a test."""
    return Receivers()


@asynccontextmanager
async def server(root: Path, store: Wayward, receivers: Receivers, name: str) -> AsyncIterator[ListenedStore]:
    """Open the listeners of one server; its one listener has the server's name."""
    source = OutboxLog(root / name / "outbox", store)
    async with Listeners(root / name, source, {name: listener()}, receivers.make, store=store) as listeners:
        await wait_until_settled(listeners, [name])
        yield ListenedStore(store, listeners)


def again(event: Event) -> Event:
    """Return the same event as another server receives it, at another moment."""
    moment = "2030-01-01T00:00:00.000000Z"
    return event._replace(record=finish_record(original_of(event.record), at_of(event.record), moment))


async def test_who_stored_an_event_delivers_it(tmp_path: Path, store: Wayward, receivers: Receivers) -> None:
    """Of two servers on one store that get one event, only the first one delivers it."""
    event, other = job_event(), job_event()
    async with server(tmp_path, store, receivers, "a") as a, server(tmp_path, store, receivers, "b") as b:
        assert (await a.put([event]))[0].status is Status.STORED
        assert (await b.put([again(event), other]))[0].status is Status.DUPLICATE
        await receivers["a"].wait_for([event.uuid])
        await receivers["b"].wait_for([other.uuid])
    assert (receivers["a"].got, receivers["b"].got) == ([event.uuid], [other.uuid])


async def test_after_a_crash_the_store_is_asked(tmp_path: Path, store: Wayward, receivers: Receivers) -> None:
    """What stands in the outbox is delivered if it is what the store has: not what another server stored, or nobody."""
    ours, theirs, nobodys = job_event(), job_event(), job_event()
    async with server(tmp_path, store, receivers, "a"):
        pass
    async with OutboxLog(tmp_path / "a" / "outbox", None) as outbox:
        await outbox.admit([ours, again(theirs), nobodys])
    await store.put([ours, theirs])
    store.is_away = True
    opening = asyncio.create_task(_open_and_settle(tmp_path, store, receivers))
    await asyncio.sleep(0.3)
    assert receivers["a"].got == []
    store.is_away = False
    await opening
    assert receivers["a"].got == [ours.uuid]


async def _open_and_settle(root: Path, store: Wayward, receivers: Receivers) -> None:
    async with server(root, store, receivers, "a"):
        pass


async def test_a_put_whose_answer_was_lost(tmp_path: Path, store: Wayward, receivers: Receivers) -> None:
    """It is delivered: when the sender comes again, or when the store is asked a moment later."""
    event, silent = job_event(), job_event()
    async with server(tmp_path, store, receivers, "a") as a:
        store.loses_answers = True
        for each in (event, silent):
            with pytest.raises(StoreUnavailable):
                await a.put([each])
        store.loses_answers = False
        assert (await a.put([again(event)]))[0].status is Status.DUPLICATE
        await receivers["a"].wait_for([event.uuid, silent.uuid])
    assert sorted(receivers["a"].got) == sorted([event.uuid, silent.uuid])


async def test_what_can_not_be_noted_is_not_put(tmp_path: Path, store: Wayward, receivers: Receivers) -> None:
    """The outbox comes first: without it nothing is stored that might never be delivered."""
    event = job_event()
    async with server(tmp_path, store, receivers, "a") as a:

        async def fail(_: Sequence[Event]) -> None:
            raise StoreUnavailable("no disk")

        a._listeners._source.admit = fail  # type: ignore[method-assign]
        with pytest.raises(StoreUnavailable, match="no disk"):
            await a.put([event])
    assert await store.get(event.uuid) is None
