"""One uuid, one event: what is stored, what is a duplicate and what is a conflict."""

import pytest

from backends.base import Event, EventStore, Outcome, Query, Status
from backends.record import original_of
from support.events import OTHER_SYSTEM, SYSTEM, as_sent, make_event, new_uuid, replaced, respelt
from support.paging import find_all, tail_all

pytestmark = pytest.mark.every_python

UUID = "83927d00-f46c-11e6-9f9b-3c15c2cc8f88"
AT = "2017-02-16T16:36:21.082000000Z"
MESSAGE = '{"price":1.10,"list":[1,2,{"c":null}],"text":"A\\n\\u00e9","id":"AAAA-bbbb","yes":true,"none":null,"no":0}'


def first() -> Event:
    """Return the event that is there before."""
    return as_sent(MESSAGE, UUID, at=AT)


def rewritten(event: Event, *changes: tuple[str, str]) -> Event:
    """Return the event with parts of its text replaced."""
    for old, new in changes:
        event = replaced(event, old, new)
    return event


SAME = {
    "the same bytes": first(),
    "received at another moment": respelt(first(), original_of(first().record), "2027-01-01T00:00:00.000000Z"),
    "white space between tokens": rewritten(first(), ('"message":{', '"message" :\t{ '), ("[1,2,", "[1,  2 , ")),
    "line breaks between tokens": rewritten(first(), ('"message":{', '"message":\r\n{\n'), ("[1,2,", "[\n1,\n2,")),
    "keys in another order": rewritten(
        first(), (f'"smrtlinkId":"{SYSTEM}",', ""), ('"message":', f'"smrtlinkId":"{SYSTEM}","message":')
    ),
    "keys of the message in another order": rewritten(
        first(), ('"price":1.10,', ""), ('"no":0', '"no":0,"price":1.10')
    ),
    "the other spelling of the system's key": rewritten(first(), ('"smrtlinkId"', '"smrtLinkId"')),
    "upper case in the uuid": rewritten(first(), (UUID, UUID.upper())),
    "upper case in the system's uuid": rewritten(first(), (SYSTEM, SYSTEM.upper())),
    "an escape for a character": rewritten(first(), ('"A\\n', '"\\u0041\\n')),
    "a character for an escape": rewritten(first(), ("\\u00e9", "é")),
    "another escape": rewritten(first(), ("\\u00e9", "\\u00E9")),
    "an escape in a key": rewritten(first(), ('"price"', '"pr\\u0069ce"')),
}

OTHER = {
    "a number with a zero less": rewritten(first(), ("1.10", "1.1")),
    "a number with an exponent": rewritten(first(), ("1.10", "11e-1")),
    "an integer as a fraction": rewritten(first(), ("[1,", "[1.0,")),
    "zero with a sign": rewritten(first(), ('"no":0', '"no":-0')),
    "a number as text": rewritten(first(), ("1.10", '"1.10"')),
    "true as a number": rewritten(first(), ("true", "1")),
    "false for zero": rewritten(first(), ('"no":0', '"no":false')),
    "null left out": rewritten(first(), (',"none":null', "")),
    "empty text for null": rewritten(first(), ('"none":null', '"none":""')),
    "a list in another order": rewritten(first(), ("[1,2,", "[2,1,")),
    "a number that is too large for a double": rewritten(first(), ("1.10", "1E+400")),
    "upper case in a uuid of the message": rewritten(first(), ("bbbb", "BBBB")),
    "the same instant, spelt differently": rewritten(
        first(), (f'"createdAt":"{AT}"', '"createdAt":"2017-02-16T16:36:21.082Z"')
    ),
    "a key more": rewritten(first(), ('"message":', '"dnsName":"host","message":')),
    "a key of the message more": rewritten(first(), ('"no":0', '"no":0,"more":0')),
    "another event type": as_sent(MESSAGE, UUID, at=AT, event_type_id="sl_other"),
    "another version": as_sent(MESSAGE, UUID, at=AT, event_type_version=2),
    "another system": as_sent(MESSAGE, UUID, at=AT, smrtlink_id=OTHER_SYSTEM),
    "another instant": as_sent(MESSAGE, UUID, at="2018-01-01T00:00:00.000000000Z"),
}


async def test_a_new_event_is_stored(store: EventStore) -> None:
    """A new event is stored, and its outcome needs no record: it is what was put."""
    assert await store.put([first()]) == [Outcome(Status.STORED)]
    assert await store.get(UUID) == first().record


async def test_no_events_have_no_outcomes(store: EventStore) -> None:
    """A put of nothing is answered with nothing."""
    assert await store.put([]) == []


@pytest.mark.parametrize("again", SAME.values(), ids=SAME.keys())
async def test_equal_content_is_a_duplicate(store: EventStore, again: Event) -> None:
    """The first one stays, in its own spelling, and is handed back."""
    await store.put([first()])
    assert await store.put([again]) == [Outcome(Status.DUPLICATE, first().record)]
    assert await store.get(UUID) == first().record
    assert await find_all(store) == [first().record]


@pytest.mark.parametrize("other", OTHER.values(), ids=OTHER.keys())
async def test_other_content_is_a_conflict(store: EventStore, other: Event) -> None:
    """The first one stays and is handed back; the other one is nowhere."""
    await store.put([first()])
    assert await store.put([other]) == [Outcome(Status.CONFLICT, first().record)]
    assert await store.get(UUID) == first().record
    assert await find_all(store) == [first().record]
    assert [event.record for event in await tail_all(store)] == [first().record]


async def test_a_conflict_is_in_no_list_of_its_own_keys(store: EventStore) -> None:
    """Under the keys of the refused event nothing is found."""
    other = as_sent("{}", UUID, event_type_id="sl_other", event_type_version=7, smrtlink_id=OTHER_SYSTEM)
    await store.put([first()])
    await store.put([other])
    assert await find_all(store, Query(smrtlink_id=OTHER_SYSTEM)) == []
    assert await find_all(store, Query(event_type_id="sl_other")) == []
    assert await find_all(store, Query(event_type_id="sl_other", event_type_version=7)) == []


async def test_equal_content_under_two_uuids_are_two_events(store: EventStore) -> None:
    """Only the uuid makes identity."""
    one, two = as_sent(MESSAGE), as_sent(MESSAGE)
    assert [outcome.status for outcome in await store.put([one, two])] == [Status.STORED] * 2


async def test_events_of_one_put_are_judged_in_their_order(store: EventStore) -> None:
    """Of several with one uuid the first is stored and the others are judged against it, as if put one by one."""
    old, new = make_event(message={"n": 0}), make_event(message={"n": 1})
    await store.put([old])
    outcomes = await store.put(
        [
            make_event(new.uuid, message={"n": 1}),
            replaced(old, '"n":0', '"n":5'),
            make_event(new.uuid, message={"n": 2}),
            respelt(new, original_of(new.record).replace(b'"n":1', b'"n" : 1')),
            old,
            make_event(message={"n": 3}),
            make_event(new.uuid, message={"n": 2}),
        ]
    )
    assert outcomes == [
        Outcome(Status.STORED),
        Outcome(Status.CONFLICT, old.record),
        Outcome(Status.CONFLICT, new.record),
        Outcome(Status.DUPLICATE, new.record),
        Outcome(Status.DUPLICATE, old.record),
        Outcome(Status.STORED),
        Outcome(Status.CONFLICT, new.record),
    ]


async def test_a_large_put_is_judged_one_by_one(store: EventStore) -> None:
    """Thousands of events in one call have each its own outcome, in order."""
    events = [make_event(message={"n": number}) for number in range(2000)]
    await store.put(events[::2])
    outcomes = await store.put(events)
    assert [outcome.status for outcome in outcomes] == [Status.DUPLICATE, Status.STORED] * 1000
    assert [outcome.record for outcome in outcomes[::2]] == [event.record for event in events[::2]]


async def test_many_keys_of_one_kind_are_many_events(store: EventStore) -> None:
    """Uuids that differ in one digit only, anywhere, are different uuids."""
    uuid = new_uuid()
    near = [
        uuid[:index] + ("0" if digit != "0" else "1") + uuid[index + 1 :]
        for index, digit in enumerate(uuid)
        if digit != "-"
    ]
    events = [make_event(each, message=each) for each in [uuid, *near]]
    assert {outcome.status for outcome in await store.put(events)} == {Status.STORED}
    for event in events:
        assert await store.get(event.uuid) == event.record
