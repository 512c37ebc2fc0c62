"""Events that hypothesis makes: few systems, types and instants, so that they meet, and the ends of every range."""

from hypothesis import strategies as st

from backends.base import Event, Position, Query
from support.events import as_sent

INSTANTS = [
    "0001-01-01T00:00:00.000000000Z",
    "0001-01-01T00:00:00.000000001Z",
    "1969-12-31T23:59:59.999999999Z",
    "2017-02-16T16:36:21.082000000Z",
    "2017-02-16T16:36:21.082000001Z",
    "2017-02-16T16:36:21.082999999Z",
    "2017-02-16T16:36:22.000000000Z",
    "2262-04-11T23:47:16.854775808Z",
    "9999-12-31T23:59:59.999999998Z",
    "9999-12-31T23:59:59.999999999Z",
]
SYSTEMS = [
    "00000000-0000-0000-0000-000000000000",
    "2319db24-f46e-11e6-a35c-3c15c2cc8f88",
    "2319db24-f46e-11e6-a35c-3c15c2cc8f89",
]
EVENT_TYPES = ["a", "sl_test_event", "sl_test_event_2"]
VERSIONS = [1, 2, 2147483647]


NEAR_UUIDS = [
    uuid
    for digit in "0123456789abcdef"
    for uuid in (f"{digit}319db24-f46e-11e6-a35c-3c15c2cc8f88", f"2319db24-f46e-11e6-a35c-3c15c2cc8f8{digit}")
]


def instants() -> st.SearchStrategy[str]:
    """Return instants with nine digits, often the same ones."""
    any_instant = st.builds(
        lambda moment, digits: f"{moment.isoformat(timespec='microseconds')}{digits:03}Z",
        st.datetimes(),
        st.integers(0, 999),
    )
    return st.sampled_from(INSTANTS) | any_instant


def uuids() -> st.SearchStrategy[str]:
    """Return uuids, some of which differ in their first or last digit only."""
    return st.uuids().map(str) | st.sampled_from(NEAR_UUIDS)


@st.composite
def events(draw: st.DrawFn) -> Event:
    """Return one event."""
    return as_sent(
        '{"text":"' + "x" * draw(st.integers(0, 300)) + '"}',
        draw(uuids()),
        smrtlink_id=draw(st.sampled_from(SYSTEMS)),
        event_type_id=draw(st.sampled_from(EVENT_TYPES)),
        event_type_version=draw(st.sampled_from(VERSIONS)),
        at=draw(instants()),
    )


def event_lists(max_size: int = 40) -> st.SearchStrategy[list[Event]]:
    """Return events with a uuid of its own each."""
    return st.lists(events(), max_size=max_size, unique_by=lambda event: event.uuid)


def positions() -> st.SearchStrategy[Position]:
    """Return positions; mostly of no event."""
    return st.builds(Position, instants(), uuids())


@st.composite
def queries(draw: st.DrawFn) -> Query:
    """Return a query of any combination of conditions; some hold for nothing."""
    event_type_id = draw(st.none() | st.sampled_from([*EVENT_TYPES, "sl_unknown"]))
    return Query(
        smrtlink_id=draw(st.none() | st.sampled_from([*SYSTEMS, "ffffffff-ffff-ffff-ffff-ffffffffffff"])),
        event_type_id=event_type_id,
        event_type_version=draw(st.none() | st.sampled_from([*VERSIONS, 3])) if event_type_id else None,
        from_at=draw(st.none() | instants()),
        to_at=draw(st.none() | instants()),
        descending=draw(st.booleans()),
        after=draw(st.none() | positions()),
    )
