"""The rules of intake: what is acknowledged is stored, and what is refused for its content is kept."""

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from backends.base import Event, Outcome, Status
from backends.errors import StorageFull, StoreError, StoreUnavailable
from backends.record import original_of, received_of
from eventserver.intake import LARGE_BODY
from eventserver.message import received_now
from eventserver.refusal import Code, Refusal
from support.events import RECEIVED, SYSTEM, new_uuid
from support.intakes import PEER, Workplace, break_quarantine, open_workplace, sent, sent_with_size

NO_JSON = b'{"uuid":'
NO_EVENT = b' {"uuid":1}\n'
NEVER_HEARD_OF = sent(event_type_id="sl_never_heard_of", event_type_version=3)
NO_SUCH_VERSION = sent(event_type_version=7)
NO_NUMBER = sent(event_type_id="smrtlink_job_change_state", message='{"jobId":"1","jobTypeId":"x","state":"y"}')
REFUSED = [
    (NO_JSON, Code.MALFORMED_JSON, None),
    (NO_EVENT, Code.INVALID_EVENT, None),
    (NEVER_HEARD_OF, Code.UNKNOWN_EVENT_TYPE, ("sl_never_heard_of", 3)),
    (NO_SUCH_VERSION, Code.UNKNOWN_EVENT_TYPE, ("sl_test_event", 7)),
    (NO_NUMBER, Code.SCHEMA_VIOLATION, ("smrtlink_job_change_state", 1)),
]
each_refused = pytest.mark.parametrize(("body", "code", "event_type"), REFUSED)


@pytest.fixture
async def workplace(tmp_path: Path) -> AsyncIterator[Workplace]:
    """An intake that works."""
    async with open_workplace(tmp_path) as made:
        yield made


async def refusal_of(workplace: Workplace, body: bytes, received: str | None = None) -> Refusal:
    """Return why a body is refused."""
    with pytest.raises(Refusal) as caught:
        await workplace.intake.accept(body, peer=PEER, received=received)
    return caught.value


async def test_a_new_event_is_in_the_store_when_it_is_acknowledged(workplace: Workplace) -> None:
    """As sent, with the moment of its arrival."""
    uuid, before = new_uuid(), received_now()
    body = sent(uuid, '{"number": 1.10, "text":"\\u00e9"}')
    receipt = await workplace.intake.accept(b"\r\n " + body + b"\t", peer=PEER)
    assert receipt == (Status.STORED, uuid, body)
    record = await workplace.store.get(uuid)
    assert record is not None
    assert original_of(record) == body
    assert before <= received_of(record) <= received_now()


async def test_a_moment_of_arrival_that_is_told_is_the_one_that_is_stored(workplace: Workplace) -> None:
    """An event that comes out of an archive or a quarantine arrived long ago."""
    uuid = new_uuid()
    await workplace.intake.accept(sent(uuid), peer=PEER, received=RECEIVED)
    record = await workplace.store.get(uuid)
    assert record is not None
    assert received_of(record) == RECEIVED


async def test_of_a_duplicate_the_first_spelling_is_told_and_stays(workplace: Workplace) -> None:
    """The same content in another order, with other space, another spelling of the system key, upper-case ids."""
    uuid = new_uuid()
    first = sent(uuid, '{"a":1,"b":2}')
    again = first.replace(b'{"a":1,"b":2}', b'{ "b":2, "a":1 }').replace(b"smrtlinkId", b"smrtLinkId")
    again = again.replace(uuid.encode(), uuid.upper().encode()).replace(SYSTEM.encode(), SYSTEM.upper().encode())
    await workplace.intake.accept(first, peer=PEER)
    assert await workplace.intake.accept(again, peer=PEER) == (Status.DUPLICATE, uuid, first)
    assert await workplace.kept() == []


async def test_another_event_with_the_same_uuid_is_refused_and_kept_and_the_first_stays(workplace: Workplace) -> None:
    """Also under another event type."""
    uuid = new_uuid()
    first, second = sent(uuid, '{"a":1}'), sent(uuid, '{"a":1}', event_type_id="sl_ts_import_bundle")
    await workplace.intake.accept(first, peer=PEER)
    refusal = await refusal_of(workplace, second, RECEIVED)
    assert refusal.code is Code.EVENT_CONFLICT
    assert uuid in refusal.detail
    assert await workplace.kept_bodies() == [second]
    [entry] = await workplace.kept()
    assert (entry.code, entry.event_type_id, entry.peer, entry.received) == (
        "event_conflict",
        "sl_ts_import_bundle",
        PEER,
        RECEIVED,
    )
    record = await workplace.store.get(uuid)
    assert record is not None
    assert original_of(record) == first


@each_refused
async def test_what_is_refused_for_its_content_is_kept_as_it_was_received(
    workplace: Workplace, body: bytes, code: Code, event_type: tuple[str, int] | None
) -> None:
    """With its reason, its type as far as it could be read, who sent it and when."""
    refusal = await refusal_of(workplace, body, RECEIVED)
    assert refusal.code is code
    assert await workplace.kept_bodies() == [body]
    [entry] = await workplace.kept()
    assert (entry.code, entry.detail, entry.peer, entry.received) == (code, refusal.detail, PEER, RECEIVED)
    assert (entry.event_type_id, entry.event_type_version) == (event_type or (None, None))


async def test_a_violation_says_where_it_is(workplace: Workplace) -> None:
    """The pointer begins at the event, not at its message."""
    refusal = await refusal_of(workplace, NO_NUMBER)
    assert [violation.pointer for violation in refusal.errors] == ["/message/jobId"]


async def test_judging_stores_nothing_and_keeps_nothing(workplace: Workplace) -> None:
    """A verdict is all that comes of it."""
    uuid = new_uuid()
    assert workplace.intake.judge(sent(uuid)).uuid == uuid
    with pytest.raises(Refusal):
        workplace.intake.judge(NO_EVENT)
    assert await workplace.store.get(uuid) is None
    assert await workplace.kept() == []


@pytest.mark.parametrize("error", [StorageFull("no room"), StoreUnavailable("no answer")])
@pytest.mark.parametrize("body", [NO_JSON, NO_EVENT, NEVER_HEARD_OF, NO_NUMBER, None])
async def test_what_can_not_be_kept_is_not_refused_either(
    workplace: Workplace, body: bytes | None, error: StoreError
) -> None:
    """The sender is told that there is no room, instead of a refusal after which it would throw the event away."""
    uuid = new_uuid()
    await workplace.intake.accept(sent(uuid, '{"a":[1]}'), peer=PEER)
    counted = dict(workplace.counters.outcomes)
    break_quarantine(workplace.quarantine, error)
    with pytest.raises(type(error)):
        await workplace.intake.accept(body or sent(uuid, '{"a":[2]}'), peer=PEER)
    assert workplace.counters.outcomes == counted


async def test_a_quarantine_that_does_not_answer_is_not_waited_for_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After its time limit it counts as unavailable."""
    async with open_workplace(tmp_path, seconds=0.01) as workplace:
        monkeypatch.setattr(workplace.quarantine, "keep_many", lambda _: asyncio.sleep(60))
        with pytest.raises(StoreUnavailable):
            await workplace.intake.accept(NO_JSON, peer=PEER)


async def test_a_store_that_fails_acknowledges_nothing(workplace: Workplace) -> None:
    """Nor is the event refused: it may be sent again, and is then new."""
    body = sent()
    workplace.place.break_down()
    with pytest.raises(StoreUnavailable):
        await workplace.intake.accept(body, peer=PEER)
    workplace.place.mend()
    workplace.place.fill_up()
    with pytest.raises(StorageFull):
        await workplace.intake.accept(body, peer=PEER)
    workplace.place.mend()
    assert not workplace.counters.outcomes
    assert await workplace.kept() == []
    assert (await workplace.intake.accept(body, peer=PEER)).status is Status.STORED


async def test_an_event_that_a_store_could_not_take_for_itself_is_not_acknowledged(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store may say so of one event instead of failing as a whole."""

    async def take_none(events: Sequence[Event]) -> list[Outcome]:
        return [Outcome(Status.UNAVAILABLE) for _ in events]

    monkeypatch.setattr(workplace.store, "put", take_none)
    with pytest.raises(StoreUnavailable):
        await workplace.intake.accept(sent(), peer=PEER)
    assert not workplace.counters.outcomes


async def test_a_large_event_does_not_hold_the_event_loop(workplace: Workplace) -> None:
    """Up to 64 KiB an event is judged at once; what is larger, in a thread."""
    judges: list[int] = []

    def judge(message: Any) -> bool:
        judges.append(threading.get_ident())
        return True

    workplace.registry.validators = {("sl_test_event", 1): judge}
    for size in (1000, LARGE_BODY, LARGE_BODY + 1):
        await workplace.intake.accept(sent_with_size(size), peer=PEER)
    here = threading.get_ident()
    assert [judge == here for judge in judges] == [True, True, False]


async def test_schemas_that_are_loaded_anew_take_force_with_the_next_event(workplace: Workplace) -> None:
    """The registry is asked for each event."""
    await refusal_of(workplace, NEVER_HEARD_OF)
    workplace.registry.validators = {**workplace.registry.validators, ("sl_never_heard_of", 3): lambda _: True}
    assert (await workplace.intake.accept(NEVER_HEARD_OF, peer=PEER)).status is Status.STORED


async def test_each_outcome_is_counted_by_event_type(workplace: Workplace) -> None:
    """Types that are not loaded count as one, so that no sender makes counters without end."""
    uuid = new_uuid()
    for body in (sent(uuid), sent(uuid)):
        await workplace.intake.accept(body, peer=PEER)
    for body in (sent(uuid, '{"a":1}'), *(body for body, _, _ in REFUSED)):
        await refusal_of(workplace, body)
    assert workplace.counters.outcomes == {
        ("stored", "sl_test_event"): 1,
        ("duplicate", "sl_test_event"): 1,
        ("event_conflict", "sl_test_event"): 1,
        ("malformed_json", "other"): 1,
        ("invalid_event", "other"): 1,
        ("unknown_event_type", "other"): 2,
        ("schema_violation", "smrtlink_job_change_state"): 1,
    }
