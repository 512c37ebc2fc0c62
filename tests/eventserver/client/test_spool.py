"""A client with a spool: what it took reaches the server, in order and once, whatever happens meanwhile."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from eventserver.client import EventRefused, EventServerClient, Receipt, SpoolFull, SpoolUnavailable
from support.faulty_server import FaultyServer
from support.sent_events import SYSTEM, as_text, sent_event


def stored(events: list[dict[str, object]]) -> list[dict[str, object]]:
    """Return the verdicts of a server that takes them all."""
    return [{"index": index, "uuid": event["uuid"], "status": "stored"} for index, event in enumerate(events)]


async def until(holds: Callable[[], object]) -> None:
    """Return when something holds."""
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110 - what is under test has no event to wait for
            await asyncio.sleep(0.01)


async def test_what_is_sent_reaches_the_server_as_it_was_and_in_order(url: str, tmp_path: Path) -> None:
    """What is sent reaches the server as it was and in order."""
    events = [sent_event(number) for number in range(50)]
    async with EventServerClient(url, spool=tmp_path / "spool") as client:
        receipts = [await client.send(event) for event in events]
        assert {receipt.status for receipt in receipts} == {"waiting"}
        assert receipts[0] == Receipt("waiting", events[0]["uuid"], receipts[0].event)

        assert await client.flush(20)

        assert client.pending == 0
        assert [event.text async for event in client.find(system=SYSTEM)] == [as_text(event) for event in events]


async def test_many_are_kept_together_and_what_is_no_message_is_told_at_once(url: str, tmp_path: Path) -> None:
    """Many are kept together and what is no message is told at once."""
    async with EventServerClient(url, spool=tmp_path / "spool") as client:
        verdicts = await client.send_many([sent_event(1), {"uuid": "none"}, sent_event(2)])

        assert [verdict.status for verdict in verdicts] == ["waiting", "invalid", "waiting"]
        assert await client.flush(20)
        assert len([event async for event in client.find()]) == 2


async def test_a_text_that_is_no_message_is_refused_at_once(tmp_path: Path) -> None:
    """A text that is no message is refused at once."""
    async with EventServerClient("http://127.0.0.1:1", spool=tmp_path / "spool") as client:
        with pytest.raises(EventRefused) as error:
            await client.send(b"{}")

        assert error.value.code == "invalid_event"
        assert client.pending == 0


async def test_while_the_server_is_away_events_wait_also_over_a_restart(faulty: FaultyServer, tmp_path: Path) -> None:
    """While the server is away events wait also over a restart."""
    events = [sent_event(number) for number in range(3)]
    async with EventServerClient("http://127.0.0.1:1", spool=tmp_path / "spool") as client:
        for event in events:
            await client.send(event)
        assert client.pending == 3
        assert not await client.flush(0.05)
    faulty.then(200, stored(events))

    async with EventServerClient(faulty.url, spool=tmp_path / "spool") as client:
        assert await client.flush(20)

    [asked] = faulty.asked
    assert asked.body == b"\n".join(as_text(event) for event in events)


@pytest.mark.parametrize("status", [401, 404, 429, 500, 503, 507])
async def test_what_concerns_all_events_holds_them_up_and_loses_none(
    faulty: FaultyServer, tmp_path: Path, status: int
) -> None:
    """What concerns all events holds them up and loses none."""
    event = sent_event()
    faulty.then(status)
    faulty.then_break()
    faulty.then(201, event)
    async with EventServerClient(faulty.url, spool=tmp_path / "spool") as client:
        await client.send(event)

        assert await client.flush(20)

        assert client.spool is not None
        assert await client.spool.dead_letters() == []
    assert [asked.body for asked in faulty.asked] == [as_text(event)] * 3


async def test_what_is_refused_for_good_is_set_aside_and_blocks_nothing(url: str, tmp_path: Path) -> None:
    """What is refused for good is set aside and blocks nothing."""
    good, bad = sent_event(1), sent_event(2, event_type_id="no_such_type")
    taken, other = sent_event(3), sent_event(4)
    other["uuid"] = taken["uuid"]
    async with EventServerClient(url, spool=tmp_path / "spool") as client:
        await client.send_many([bad, taken, other, good])
        assert await client.flush(20)
        assert [event.value async for event in client.find()] == [good, taken]

    async with EventServerClient(url, spool=tmp_path / "spool") as client:
        assert client.spool is not None
        letters = await client.spool.dead_letters()
        assert [(letter.code, json.loads(letter.event)) for letter in letters] == [
            ("unknown_event_type", bad),
            ("event_conflict", other),
        ]
        await client.spool.drop_dead_letters([letters[1].number])
        await client.spool.retry_dead_letters([letters[0].number])
        assert await client.flush(20)
        [again] = await client.spool.dead_letters()
        assert json.loads(again.event) == bad


async def test_a_batch_that_is_refused_as_such_is_sent_one_by_one(faulty: FaultyServer, tmp_path: Path) -> None:
    """A batch that is refused as such is sent one by one."""
    events = [sent_event(number) for number in range(2)]
    faulty.then(413)
    faulty.then(201, events[0])
    faulty.then(201, events[1])
    async with EventServerClient(faulty.url, spool=tmp_path / "spool") as client:
        await client.send_many(events)
        assert await client.flush(20)

    assert [asked.path for asked in faulty.asked] == ["/api/v1/events/batch", "/api/v1/events", "/api/v1/events"]


async def test_an_event_that_is_unavailable_is_sent_again_before_those_behind_it(
    faulty: FaultyServer, tmp_path: Path
) -> None:
    """An event that is unavailable is sent again before those behind it."""
    events = [sent_event(number) for number in range(3)]
    verdicts = stored(events)
    faulty.then(200, [verdicts[0], verdicts[1] | {"status": "unavailable"}, verdicts[2]])
    faulty.then(200, stored(events[1:]))
    async with EventServerClient(faulty.url, spool=tmp_path / "spool") as client:
        await client.send_many(events)
        assert await client.flush(20)

    assert faulty.asked[1].body == b"\n".join(as_text(event) for event in events[1:])


async def test_it_is_bounded(tmp_path: Path) -> None:
    """It is bounded."""
    async with EventServerClient("http://127.0.0.1:1", spool=tmp_path / "spool", spool_max_bytes=600) as client:
        await client.send(sent_event())
        with pytest.raises(SpoolFull):
            await client.send(sent_event(text="x" * 500))

        assert client.pending == 1


async def test_two_clients_can_not_share_one(tmp_path: Path) -> None:
    """Two clients can not share one."""
    async with EventServerClient("http://127.0.0.1:1", spool=tmp_path / "spool"):
        with pytest.raises(SpoolUnavailable, match="in use"):
            await EventServerClient("http://127.0.0.1:1", spool=tmp_path / "spool").__aenter__()


async def test_what_is_counted_can_be_read(faulty: FaultyServer, tmp_path: Path) -> None:
    """What is counted can be read."""
    event = sent_event()
    faulty.then(503)
    async with EventServerClient(faulty.url, spool=tmp_path / "spool") as client:
        await client.send(event)
        await until(lambda: {s.name: s.value for s in client.statistics()}["spool_up"] == 0)
        counted = {statistic.name: statistic.value for statistic in client.statistics()}
        assert (counted["spool_events"], counted["spool_delivered_total"]) == (1, 0)

        faulty.then(201, event)
        assert await client.flush(20)

        counted = {statistic.name: statistic.value for statistic in client.statistics()}
        assert (counted["spool_events"], counted["spool_bytes"], counted["spool_delivered_total"]) == (0, 0, 1)
