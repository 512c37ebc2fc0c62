"""What comes back is what was sent, token for token, by every way that leads to it."""

import json
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backends.base import Event, EventStore, Outcome, Query, Status
from backends.record import is_intact, original_of, received_of
from support.events import as_sent, make_event, respelt
from support.paging import find_all, tail_all
from support.stores import StoreUnderTest

UUID = "83927d00-f46c-11e6-9f9b-3c15c2cc8f88"

MESSAGES = {
    "a decimal with a zero at its end": '{"n":1.10}',
    "a number over the range of a double": '{"n":1E+400,"m":-1e-400}',
    "an integer of 30 digits": '{"n":123456789012345678901234567890}',
    "an integer of 5,000 digits": '{"n":' + "7" * 5000 + "}",
    "a negative zero": '{"n":-0,"m":-0.0,"o":0e0}',
    "a fraction of 40 digits": '{"n":0.1234567890123456789012345678901234567890}',
    "escapes": r'{"text":"\u0041\/\b\f\n\r\t\"\\\u00e9\ud83d\ude00\u0000"}',
    "unicode": '{"text":"ünï漢😀\u2028\u2029\u0085\ufeff\u200f","ключ":"значение"}',
    "combining characters in two forms": '{"é":"e\u0301","e\u0301":"é"}',
    "keys that databases do not like": '{"":1,"a.b":{"c..d":2},"_id":3,"_source":4,"$where":5,".":6,"a b":7,"[0]":8}',
    "keys of ours inside the message": '{"@at":"x","@crc":"y","@received":"z","@log":{"previous":1}}',
    "keys in no order": '{"z":1,"a":2,"m":{"y":1,"b":2}}',
    "one key with two kinds of value": '{"list":[1,"a",null,{"b":[]},[[]],true,1.5]}',
    "depth 64": '{"a":' * 61 + "[1]" + "}" * 61,
    "text of 100 kB": '{"text":"' + "x" * 100_000 + '"}',
    "text of 100 kB outside ASCII": '{"text":"' + "漢" * 34_000 + '"}',
    "10,000 keys": "{" + ",".join(f'"k{number}":{number}' for number in range(10_000)) + "}",
    "white space": '{ "a" :\t1 ,"b": [ ] }',
    "what looks like the end of a record": '{"text":",\\"@crc\\":\\"00000000\\"}"}',
    "an empty object": "{}",
    "dates that are none": '{"createdAt":"yesterday","at":"0000-00-00"}',
}


async def everywhere(store: EventStore, event: Event) -> list[bytes]:
    """Return the event's record as each method that returns one gives it."""
    (outcome,) = await store.put([event])
    return [
        await store.get(event.uuid) or b"",
        *await find_all(store),
        *await find_all(store, Query(smrtlink_id=event.smrtlink_id)),
        *await find_all(store, Query(event_type_id=event.event_type_id, descending=True)),
        *(found.record for found in await tail_all(store)),
        outcome.record or b"",
    ]


@pytest.mark.parametrize("message", MESSAGES.values(), ids=MESSAGES.keys())
async def test_the_record_comes_back_byte_for_byte(
    store: EventStore, reopen: Callable[[], Awaitable[EventStore]], message: str
) -> None:
    """Get, find, tail and a duplicate's outcome give the identical bytes, also after a restart."""
    event = as_sent(message)
    assert await store.put([event]) == [Outcome(Status.STORED)]
    assert await everywhere(store, event) == [event.record] * 6
    assert original_of(event.record).endswith(message.encode() + b"}")
    assert await everywhere(await reopen(), event) == [event.record] * 6


ENVELOPES = {
    "as old clients send it": (
        f'{{"uuid":"{UUID.upper()}","smrtLinkId":"2319DB24-f46e-11e6-a35c-3c15c2cc8f88","dnsName":null,'
        '"createdAt":"2017-02-16t08:36:21-0800","eventTypeVersion":1,"eventTypeId":"sl_test_event","message":{}}'
    ),
    "with further keys": (
        '{"message":{"uuid":"x"},"extra":[1.10],"":0,"a.b":1,"_id":2,"eventTypeVersion":1,'
        f'"eventTypeId":"sl_test_event","createdAt":"2017-02-16T16:36:20.999999999Z","uuid":"{UUID}",'
        '"smrtlinkId":"2319db24-f46e-11e6-a35c-3c15c2cc8f88"}'
    ),
}


@pytest.mark.parametrize("original", ENVELOPES.values(), ids=ENVELOPES.keys())
async def test_the_envelope_comes_back_as_sent(store: EventStore, original: str) -> None:
    """Spelling, order and further keys of the envelope are kept, while the event is found by its own keys."""
    event = respelt(make_event(UUID, at="2017-02-16T16:36:21.000000000Z"), original.encode())
    await store.put([event])
    assert await everywhere(store, event) == [event.record] * 6
    assert original_of(await store.get(UUID) or b"") == original.encode()


async def test_the_keys_of_what_arrives_are_those_that_were_put(store: EventStore) -> None:
    """A tail gives whole events, keys and record."""
    event = respelt(
        make_event(UUID.lower()),
        original_of(make_event(UUID.lower()).record).replace(UUID.encode(), UUID.upper().encode()),
    )
    await store.put([event])
    assert await tail_all(store) == [event]


async def test_a_duplicate_does_not_change_when_the_event_arrived(store: EventStore) -> None:
    """The moment of the first arrival stays."""
    event = make_event()
    await store.put([event])
    await store.put([respelt(event, original_of(event.record), "2027-01-01T00:00:00.000000Z")])
    assert received_of(await store.get(event.uuid) or b"") == received_of(event.record)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    messages=st.lists(
        st.tuples(st.dictionaries(st.text(), JSON_VALUES, max_size=5), st.booleans(), st.sampled_from([None, 1])),
        min_size=1,
        max_size=8,
    )
)
async def test_any_json_comes_back_as_sent(
    new_place: Callable[[], StoreUnderTest],
    messages: list[tuple[dict[str, object], bool, int | None]],
) -> None:
    """Whatever object the message is, and however it is spelt, its bytes come back and their checksum is right."""
    events = [
        as_sent(json.dumps(message, ensure_ascii=ascii_only, indent=indent).replace("\n", " "))
        for message, ascii_only, indent in messages
        if "\\ud" not in json.dumps(message)
    ]
    async with new_place().make() as store:
        await store.put(events)
        for event in events:
            record = await store.get(event.uuid)
            assert record == event.record
            assert is_intact(record)
        assert await tail_all(store) == events
