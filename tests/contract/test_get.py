"""Reading by uuid."""

from collections.abc import Awaitable, Callable

import pytest

from backends.base import EventStore
from support.events import make_event, new_uuid

pytestmark = pytest.mark.every_python


async def test_an_unknown_uuid_is_none(store: EventStore) -> None:
    """None says that there is no such event, whether the store is empty or not."""
    assert await store.get(new_uuid()) is None
    await store.put([make_event()])
    assert await store.get(new_uuid()) is None


async def test_each_event_is_read_as_soon_as_it_is_acknowledged(store: EventStore) -> None:
    """Reads are read-your-write, for the newest as for the oldest."""
    events = []
    for number in range(60):
        events.append(make_event(message={"n": number}))
        await store.put([events[-1]])
        assert await store.get(events[-1].uuid) == events[-1].record
        assert await store.get(events[number // 2].uuid) == events[number // 2].record


async def test_every_event_is_there_after_a_restart(
    store: EventStore, reopen: Callable[[], Awaitable[EventStore]]
) -> None:
    """What was acknowledged is there, what was not is not."""
    events = [make_event(message={"n": number}) for number in range(100)]
    await store.put(events)
    for _ in range(2):
        store = await reopen()
        for event in events:
            assert await store.get(event.uuid) == event.record
        assert await store.get(new_uuid()) is None
