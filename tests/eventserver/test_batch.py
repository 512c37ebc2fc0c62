"""Many events at once: a verdict for each, as if they had been sent one after the other."""

import asyncio
import gc
import threading
from collections.abc import AsyncIterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backends.base import Event, Outcome, Status
from backends.errors import StorageFull, StoreError, StoreUnavailable
from eventserver import batch as batch_module
from eventserver.batch import BLOCK_EVENTS, INVALID, Batch, Verdict
from eventserver.intake import LARGE_BODY
from eventserver.refusal import Code, Refusal
from support.events import new_uuid
from support.intakes import PEER, Workplace, break_quarantine, open_workplace, sent, sent_with_size
from support.paging import find_all
from support.strategies import NEAR_UUIDS

NO_JSON = b'{"uuid":'
NO_EVENT = b"[]"
MAX_EVENT_BYTES = 1024 * 1024
PROPERTY = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

bodies = st.sampled_from([NO_JSON, NO_EVENT, sent(event_type_id="sl_never_heard_of")]) | st.builds(
    sent, st.sampled_from(NEAR_UUIDS[:5]), st.sampled_from(['{"a":1}', '{ "a" : 1 }', '{"a":2}'])
)


@pytest.fixture
async def workplace(tmp_path: Path) -> AsyncIterator[Workplace]:
    """An intake that works."""
    async with open_workplace(tmp_path) as made:
        yield made


def new_batch(workplace: Workplace, max_event_bytes: int = MAX_EVENT_BYTES) -> Batch:
    """Return a batch without events."""
    return Batch(workplace.intake, peer=PEER, max_event_bytes=max_event_bytes)


async def verdicts_of(workplace: Workplace, bodies: Sequence[bytes], **options: Any) -> list[Verdict]:
    """Return what becomes of events that arrive together."""
    batch = new_batch(workplace, **options)
    await batch.add(bodies)
    return await batch.finish()


async def verdict_one_by_one(workplace: Workplace, body: bytes) -> tuple[str, Code | None, str | None]:
    """Return status, code and detail of an event that is sent by itself."""
    try:
        receipt = await workplace.intake.accept(body, peer=PEER)
    except Refusal as refusal:
        status = "conflict" if refusal.code is Code.EVENT_CONFLICT else INVALID
        return status, refusal.code, refusal.detail
    return receipt.status, None, None


@PROPERTY
@given(parts=st.lists(st.lists(bodies, max_size=8), max_size=5), block=st.integers(1, 6))
async def test_the_verdicts_are_those_of_events_that_are_sent_one_after_the_other(
    tmp_path_factory: pytest.TempPathFactory, parts: list[list[bytes]], block: int
) -> None:
    """Wherever the parts and the blocks end, also with many events of one uuid; and so is what is stored and kept."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batch_module, "BLOCK_EVENTS", block)
        async with (
            open_workplace(tmp_path_factory.mktemp("together")) as together,
            open_workplace(tmp_path_factory.mktemp("alone")) as alone,
        ):
            batch = new_batch(together)
            for part in parts:
                await batch.add(part)
            verdicts = await batch.finish()
            expected = [await verdict_one_by_one(alone, body) for part in parts for body in part]
            assert [(verdict.status, verdict.code, verdict.detail) for verdict in verdicts] == expected
            assert together.counters.outcomes == alone.counters.outcomes
            assert [_without_tail(record) for record in await find_all(together.store)] == [
                _without_tail(record) for record in await find_all(alone.store)
            ]
            assert _summary(await together.kept()) == _summary(await alone.kept())


def _without_tail(record: bytes) -> bytes:
    return record.partition(b',"@at"')[0]


def _summary(entries: Sequence[Any]) -> list[tuple[str, str, int]]:
    return sorted((entry.id, entry.code, entry.arrivals) for entry in entries)


async def test_no_events_have_no_verdicts(workplace: Workplace) -> None:
    """And nothing is asked of the store, even if it is away."""
    workplace.place.break_down()
    assert await verdicts_of(workplace, []) == []


async def test_a_verdict_says_what_a_sender_needs(workplace: Workplace) -> None:
    """Status and uuid of what was taken; code, sentence and places of what was not."""
    uuid, other = new_uuid(), new_uuid()
    wrong = sent(other, event_type_id="smrtlink_job_change_state", message='{"jobId":"1","jobTypeId":"x","state":"y"}')
    stored, duplicate, conflict, invalid = await verdicts_of(
        workplace, [sent(uuid), sent(uuid), sent(uuid, '{"a":1}'), wrong]
    )
    assert stored == Verdict("stored", uuid)
    assert duplicate == Verdict("duplicate", uuid)
    assert conflict[:3] == ("conflict", uuid, Code.EVENT_CONFLICT)
    assert uuid in (conflict.detail or "")
    assert invalid[:3] == ("invalid", other, Code.SCHEMA_VIOLATION)
    assert [violation.pointer for violation in invalid.errors] == ["/message/jobId"]
    assert not any(verdict.retryable for verdict in (stored, duplicate, conflict, invalid))


REFUSED_WITH_UUID = {
    "envelope": b'{"uuid":"%b"}',
    "envelope, with a number beyond a float": b'{"n":1E+400,"uuid":"%b"}',
    "type": sent("%b", event_type_id="sl_never_heard_of"),
    "schema": sent("%b", event_type_id="smrtlink_job_change_state"),
    "schema, large": sent("%b", '{"text":"' + "x" * LARGE_BODY + '"}', event_type_id="smrtlink_job_change_state"),
    "size": sent("%b", '{"text":"' + "\\nxé" * MAX_EVENT_BYTES + '"}'),
}


@pytest.mark.parametrize("body", REFUSED_WITH_UUID.values(), ids=REFUSED_WITH_UUID)
async def test_what_is_refused_has_its_uuid_too(workplace: Workplace, body: bytes) -> None:
    """In lower case, as in the verdicts on what was taken; so a sender finds it again without counting."""
    uuid = new_uuid()
    [verdict] = await verdicts_of(workplace, [body.replace(b"%b", uuid.upper().encode())])
    assert (verdict.status, verdict.uuid) == ("invalid", uuid)


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"1",
        b'"83927d00-f46c-11e6-9f9b-3c15c2cc8f88"',
        b'["83927d00-f46c-11e6-9f9b-3c15c2cc8f88"]',
        b'{"a":1}',
        b'{"uuid":null}',
        b'{"uuid":["83927d00-f46c-11e6-9f9b-3c15c2cc8f88"]}',
        b'{"uuid":"83927d00f46c11e69f9b3c15c2cc8f88"}',
        b'{"uuid":"83927d00-f46c-11e6-9f9b-3c15c2cc8f88\\n"}',
        b'{"message":{"uuid":"83927d00-f46c-11e6-9f9b-3c15c2cc8f88"}}',
        b'{"uuid":"83927d00-f46c-11e6-9f9b-3c15c2cc8f88"',
        b'{"uuid":"83927d00-f46c-11e6-9f9b-3c15c2cc8f88","uuid":"83927d00-f46c-11e6-9f9b-3c15c2cc8f88"}',
        b"x" * (MAX_EVENT_BYTES + 1),
        b"[" * (MAX_EVENT_BYTES + 1),
        b'{"text":"' + b"x" * MAX_EVENT_BYTES + b'","uuid":"83927d00-f46c-11e6-9f9b-3c15c2cc8f88"}',
    ],
    ids=lambda body: body[:40],
)
async def test_what_has_no_uuid_is_told_without(workplace: Workplace, body: bytes) -> None:
    """Nor has what can't be read as JSON, or only behind so many bytes as an event may have."""
    [verdict] = await verdicts_of(workplace, [body])
    assert (verdict.status, verdict.uuid) == ("invalid", None)


@pytest.mark.parametrize(
    ("error", "code"),
    [(StorageFull("no room"), Code.STORAGE_FULL), (StoreUnavailable("no answer"), Code.STORAGE_UNAVAILABLE)],
)
async def test_without_its_store_the_good_ones_are_unavailable_and_may_be_sent_again(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch, error: StoreError, code: Code
) -> None:
    """The bad ones have their verdict all the same."""

    async def fail(events: Sequence[Event]) -> list[Outcome]:
        raise error

    uuid = new_uuid()
    with monkeypatch.context() as patch:
        patch.setattr(workplace.store, "put", fail)
        good, bad = await verdicts_of(workplace, [sent(uuid), NO_JSON])
    assert (good, good.retryable) == (Verdict("unavailable", uuid, code), True)
    assert (bad.status, bad.code, bad.retryable) == ("invalid", Code.MALFORMED_JSON, False)
    assert [verdict.status for verdict in await verdicts_of(workplace, [sent(uuid)])] == ["stored"]


async def test_an_event_that_the_store_could_not_take_for_itself_is_unavailable(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store may say so of one event; the others of the same call are stored."""
    put = workplace.store.put

    async def take_the_first(events: Sequence[Event]) -> list[Outcome]:
        return [*await put(events[:1]), *(Outcome(Status.UNAVAILABLE) for _ in events[1:])]

    monkeypatch.setattr(workplace.store, "put", take_the_first)
    uuids = [new_uuid(), new_uuid()]
    first, second = await verdicts_of(workplace, [sent(uuid) for uuid in uuids])
    assert first == Verdict("stored", uuids[0])
    assert (second, second.retryable) == (Verdict("unavailable", uuids[1], Code.STORAGE_UNAVAILABLE), True)


async def test_a_store_that_fails_in_between_costs_the_events_of_that_time(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each block is stored by itself, and what became of it is told of its events alone."""
    monkeypatch.setattr(batch_module, "BLOCK_EVENTS", 2)
    batch = new_batch(workplace)
    await batch.add([sent(), sent()])
    workplace.place.break_down()
    await batch.add([sent(), sent()])
    workplace.place.mend()
    await batch.add([sent()])
    statuses = [verdict.status for verdict in await batch.finish()]
    assert statuses == ["stored", "stored", "unavailable", "unavailable", "stored"]


@pytest.mark.parametrize(
    ("error", "code"),
    [(StorageFull("no room"), Code.STORAGE_FULL), (StoreUnavailable("no answer"), Code.STORAGE_UNAVAILABLE)],
)
async def test_what_can_not_be_kept_is_not_refused_either(workplace: Workplace, error: StoreError, code: Code) -> None:
    """It is unavailable, so that its sender does not throw it away; the good ones are stored."""
    break_quarantine(workplace.quarantine, error)
    uuid = new_uuid()
    unknown = sent(other := new_uuid(), event_type_id="sl_never_heard_of")
    good, bad, typeless, conflicting = await verdicts_of(
        workplace, [sent(uuid), NO_JSON, unknown, sent(uuid, '{"a":1}')]
    )
    assert good == Verdict("stored", uuid)
    assert (typeless, typeless.retryable) == (Verdict("unavailable", other, code), True)
    assert (bad, bad.retryable) == (Verdict("unavailable", None, code), True)
    assert (conflicting, conflicting.retryable) == (Verdict("unavailable", uuid, code), True)


@pytest.mark.parametrize("limit", [1000, LARGE_BODY, LARGE_BODY + 1000])
async def test_an_event_over_the_limit_costs_only_itself_and_is_not_kept(workplace: Workplace, limit: int) -> None:
    """Whatever the limit is: an event by itself has the same."""
    bodies = [sent(), sent_with_size(limit), sent_with_size(limit + 1), sent()]
    verdicts = await verdicts_of(workplace, bodies, max_event_bytes=limit)
    assert [verdict.status for verdict in verdicts] == ["stored", "stored", "invalid", "stored"]
    assert verdicts[2].code is Code.PAYLOAD_TOO_LARGE
    assert str(limit + 1) in (verdicts[2].detail or "")
    assert await workplace.kept() == []


async def test_an_event_over_the_limit_is_refused_even_if_nothing_can_be_kept(workplace: Workplace) -> None:
    """It would not have been kept; to send it again would not help."""
    break_quarantine(workplace.quarantine, StoreUnavailable("broken by the test"))
    [verdict] = await verdicts_of(workplace, [sent_with_size(1001)], max_event_bytes=1000)
    assert (verdict.status, verdict.code) == ("invalid", Code.PAYLOAD_TOO_LARGE)


async def test_a_large_event_does_not_hold_the_event_loop(workplace: Workplace) -> None:
    """Up to 64 KiB an event is judged at once; what is larger, in a thread."""
    judges: list[int] = []

    def judge(message: Any) -> bool:
        judges.append(threading.get_ident())
        return True

    workplace.registry.validators = {("sl_test_event", 1): judge}
    await verdicts_of(workplace, [sent(), sent_with_size(LARGE_BODY), sent_with_size(LARGE_BODY + 1)])
    here = threading.get_ident()
    assert [judge == here for judge in judges] == [True, True, False]


async def test_events_are_stored_in_blocks_while_others_arrive(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So a large batch takes the memory of a block, and what arrived is durable before the rest is there."""
    blocks: list[int] = []
    put = workplace.store.put

    async def noted(events: Sequence[Event]) -> list[Outcome]:
        blocks.append(len(events))
        return await put(events)

    monkeypatch.setattr(workplace.store, "put", noted)
    batch = new_batch(workplace)
    await batch.add([sent() for _ in range(BLOCK_EVENTS * 2 + 1)])
    assert blocks == [BLOCK_EVENTS, BLOCK_EVENTS]
    await batch.finish()
    assert blocks == [BLOCK_EVENTS, BLOCK_EVENTS, 1]


async def test_refused_events_fill_a_block_too(workplace: Workplace) -> None:
    """They take memory just as well; and they are kept before the rest is there."""
    batch = new_batch(workplace)
    await batch.add([b"%d" % number for number in range(BLOCK_EVENTS)])
    assert len(await workplace.kept()) == BLOCK_EVENTS
    assert {verdict.status for verdict in batch.verdicts} == {"invalid"}


@pytest.mark.parametrize("padding", ["", "x" * LARGE_BODY], ids=["small", "large"])
@pytest.mark.parametrize(
    "body", [sent(message="%b", event_type_id="sl_never_heard_of"), b'{"message":%b}'], ids=["type", "envelope"]
)
async def test_what_was_read_of_a_refused_event_is_let_go_at_once(
    workplace: Workplace, body: bytes, padding: str
) -> None:
    """Many times its size, it would else be held until its block is stored."""
    batch = new_batch(workplace)
    await batch.add([body.replace(b"%b", b'{"kept":{"markerOfThisTest":[[],"%b"]}}' % padding.encode())])
    assert [value for value in gc.get_objects() if type(value) is dict and "markerOfThisTest" in value] == []
    assert [verdict.status for verdict in await batch.finish()] == ["invalid"]


async def test_the_event_loop_is_given_back_while_it_works(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every 5 ms others have their turn; here each look at the clock is one in which a millisecond has passed."""
    ticks = count()
    monkeypatch.setattr(batch_module, "perf_counter", lambda: next(ticks) / 1000)
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(others())
    batch = new_batch(workplace)
    await batch.add([sent() for _ in range(600)])
    task.cancel()
    assert turns >= 100


async def test_the_stored_moment_of_arrival_is_that_of_the_part_in_which_an_event_came(workplace: Workplace) -> None:
    """Not that of the block in which it is stored."""
    moments = iter(["2026-11-24T11:22:33.000001Z", "2026-11-24T11:22:33.000002Z"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batch_module, "received_now", lambda: next(moments))
        batch = new_batch(workplace)
        await batch.add([sent(NEAR_UUIDS[0]), NO_JSON])
        await batch.add([sent(NEAR_UUIDS[1])])
        await batch.finish()
    for uuid, moment in zip(NEAR_UUIDS[:2], (b"33.000001Z", b"33.000002Z"), strict=True):
        assert moment in (await workplace.store.get(uuid) or b"")
    [entry] = await workplace.kept()
    assert entry.received == "2026-11-24T11:22:33.000001Z"
