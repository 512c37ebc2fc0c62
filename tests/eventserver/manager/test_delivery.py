"""What is stored reaches each listener at least once, in order for each system, whatever the others do."""

import asyncio
from pathlib import Path

import pytest

from backends.base import Event, Status
from backends.filesystem import FilesystemStore
from eventserver.manager import reader
from eventserver.manager.listeners import Listeners
from eventserver.manager.sender import DeliveryRefused
from support.job_events import job_event
from support.listeners import FAILED, Receivers, listened, listener, wait_until_settled

SYSTEMS = [f"2319db24-f46e-11e6-a35c-{number:012}" for number in range(5)]


@pytest.fixture
def receivers() -> Receivers:
    """Return the receivers of a test."""
    return Receivers()


def uuids(events: list[Event]) -> list[str]:
    """Return the uuids of events."""
    return [event.uuid for event in events]


async def test_each_listener_gets_what_its_filter_takes(tmp_path: Path, receivers: Receivers) -> None:
    """Types and conditions decide who gets an event; nobody gets one that was there already."""
    failed, running = job_event(state="FAILED"), job_event(state="RUNNING")
    everything, failures = listener(), listener(condition='message.state == "FAILED"')
    none = listener(event_types=["eula_*"])
    async with listened(tmp_path, receivers, a=everything, b=failures, c=none) as (store, found):
        await store.put([failed, running])
        assert (await store.put([failed]))[0].status is Status.DUPLICATE
        await receivers["a"].wait_for([failed.uuid, running.uuid])
        await receivers["b"].wait_for([failed.uuid])
        await wait_until_settled(found, "abc")
    assert sorted(receivers["a"].got) == sorted([failed.uuid, running.uuid])
    assert receivers["b"].got == [failed.uuid]
    assert receivers["c"].got == []


async def test_order_per_system_is_kept_through_failures(tmp_path: Path, receivers: Receivers) -> None:
    """The events of one system arrive in the order in which they were stored, though sends fail."""
    events = [job_event(system=SYSTEMS[number % 5]) for number in range(200)]
    receivers["a"].errors = [FAILED] * 30
    async with listened(tmp_path, receivers, a=listener(tries=100)) as (store, _):
        for event in events:
            await store.put([event])
        await receivers["a"].wait_for(uuids(events))
    for system in SYSTEMS:
        got = [uuid for uuid, of in zip(receivers["a"].got, receivers["a"].systems, strict=True) if of == system]
        assert got == [event.uuid for event in events if event.smrtlink_id == system]


async def test_a_blocked_listener_delays_nobody(
    tmp_path: Path, receivers: Receivers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While one receiver hangs, puts and the other listener go on; later it gets all, each event once."""
    monkeypatch.setattr(reader, "QUEUE_EVENTS", 20)
    monkeypatch.setattr("eventserver.manager.delivery.WINDOW_EVENTS", 10)
    monkeypatch.setattr("eventserver.manager.listeners.MARK_SECONDS", 0.05)
    events = [job_event(system=SYSTEMS[number % 5]) for number in range(500)]
    receivers["slow"].open.clear()
    async with listened(tmp_path, receivers, slow=listener(), fast=listener()) as (store, found):
        for event in events:
            await store.put([event])
            await asyncio.sleep(0.001)
        await receivers["fast"].wait_for(uuids(events))
        assert receivers["slow"].got == []
        receivers["slow"].open.set()
        await receivers["slow"].wait_for(uuids(events))
        await wait_until_settled(found, ["slow", "fast"])
    assert sorted(receivers["slow"].got) == sorted(uuids(events))
    assert sorted(receivers["fast"].got) == sorted(uuids(events))


async def test_an_event_that_is_refused_or_tried_in_vain_is_a_dead_letter(tmp_path: Path, receivers: Receivers) -> None:
    """It holds up nothing, is listed with its reason, can be tried again and dropped, also after a restart."""
    refused, failing, good = job_event(), job_event(), job_event()
    receiver = receivers["a"]
    receiver.refused = {refused.uuid: DeliveryRefused("not so", "http_422"), failing.uuid: FAILED}
    async with listened(tmp_path, receivers, a=listener(tries=3)) as (store, _):
        await store.put([refused, failing, good])
        await receiver.wait_for([good.uuid])
    async with listened(tmp_path, receivers, a=listener(tries=3)) as (_, found):
        subscription = found.get("a")
        assert subscription is not None
        first, second = await subscription.dead_letters(10)
        assert (first.uuid, first.code, first.detail) == (refused.uuid, "http_422", "not so")
        assert (second.uuid, second.code, second.detail) == (failing.uuid, "tries_exhausted", "tried 3 times; not now")
        receiver.refused.clear()
        assert await subscription.retry_dead_letters([second.number]) == 1
        await receiver.wait_for([failing.uuid])
        await wait_until_settled(found, "a")
        assert [letter.uuid for letter in await subscription.dead_letters(10)] == [refused.uuid]
        assert await subscription.drop_dead_letters(None) == 1
        assert await subscription.dead_letters(10) == []


async def test_a_restart_goes_on_where_it_was(tmp_path: Path, receivers: Receivers) -> None:
    """After a clean stop only what was not delivered is delivered; a new listener begins at the newest event."""
    before, waiting, later = job_event(), job_event(), job_event()
    async with listened(tmp_path, receivers, a=listener()) as (store, _):
        await store.put([before])
        await receivers["a"].wait_for([before.uuid])
    receivers["a"].open.clear()
    async with listened(tmp_path, receivers, a=listener()) as (store, _):
        await store.put([waiting])
    receivers["a"].open.set()
    async with listened(tmp_path, receivers, a=listener(), new=listener()) as (store, _):
        await store.put([later])
        for name in ("a", "new"):
            await receivers[name].wait_for([later.uuid])
        await receivers["a"].wait_for([waiting.uuid])
    assert receivers["a"].got == [before.uuid, waiting.uuid, later.uuid]
    assert receivers["new"].got == [later.uuid]


async def test_what_was_stored_by_a_process_that_died_is_delivered(tmp_path: Path, receivers: Receivers) -> None:
    """An event that is in the log but was never offered is found there."""
    lost = job_event()
    async with listened(tmp_path, receivers, a=listener()):
        pass
    async with FilesystemStore(tmp_path) as store:
        await store.put([lost])
    async with listened(tmp_path, receivers, a=listener()):
        await receivers["a"].wait_for([lost.uuid])


async def test_a_cancelled_put_is_delivered_when_it_was_stored(tmp_path: Path, receivers: Receivers) -> None:
    """Who waits for a put may go; what it stored is handed on all the same."""
    event = job_event()
    async with listened(tmp_path, receivers, a=listener()) as (store, _):
        task = asyncio.ensure_future(store.put([event]))
        await asyncio.sleep(0)
        task.cancel()
        await receivers["a"].wait_for([event.uuid])


async def test_listeners_change_while_events_arrive(tmp_path: Path, receivers: Receivers) -> None:
    """A changed listener goes on at its place, one that stays is not disturbed, one that goes gets nothing more."""
    events = [job_event() for _ in range(300)]
    async with listened(tmp_path, receivers, a=listener(), b=listener(), c=listener()) as (store, found):
        before = found.get("b")

        async def put_all() -> None:
            for event in events:
                await store.put([event])

        putting = asyncio.create_task(put_all())
        await receivers["c"].wait_for(uuids(events[:1]))
        await found.change({"a": listener(tries=7), "b": listener()})
        assert found.get("b") is before
        assert found.get("c") is None
        await putting
        for name in "ab":
            await receivers[name].wait_for(uuids(events))
    assert sorted(receivers["b"].got) == sorted(uuids(events))


async def test_a_place_that_is_not_in_the_log_is_no_reason_to_stop(tmp_path: Path, receivers: Receivers) -> None:
    """With another data directory under it, a listener begins at the newest event."""
    (tmp_path / "listeners").mkdir()
    (tmp_path / "listeners" / "positions-store.json").write_text('{"a": "77-12345"}')
    async with listened(tmp_path, receivers, a=listener()) as (store, found):
        await wait_until_settled(found, "a")
        event = job_event()
        await store.put([event])
        await receivers["a"].wait_for([event.uuid])


def test_what_nobody_takes_costs_no_task(tmp_path: Path, receivers: Receivers) -> None:
    """A put of events that nobody takes is the store's own."""

    async def run() -> None:
        async with listened(tmp_path, receivers, a=listener(event_types=["eula_*"])) as (store, found):

            async def fail(*_: object) -> None:
                raise AssertionError

            found.put = fail  # type: ignore[method-assign, assignment]
            assert isinstance(found, Listeners)
            await store.put([job_event()])

    asyncio.run(run())
