"""What an index should answer, kept in a plain list; and events out of a small, awkward universe."""

from hypothesis import strategies as st

from backends.base import Event, Position, Query
from backends.filesystem.rows import Entry
from backends.log import LogPosition, Place

SYSTEMS = [
    "00000000-0000-0000-0000-000000000000",
    "2319db24-f46e-11e6-a35c-3c15c2cc8f00",
    "ffffffff-ffff-ffff-ffff-ffffffffffff",
]
EVENT_TYPES = [("sl_a", 1), ("sl_a", 2), ("sl_b", 1), ("sl_b", 2147483647)]
INSTANTS = [
    "0001-01-01T00:00:00.000000000Z",
    "2017-02-16T16:36:21.082000000Z",
    "2017-02-16T16:36:21.082000001Z",
    "2017-02-16T16:36:22.000000000Z",
    "9999-12-31T23:59:59.999999999Z",
]
UUIDS = [f"{number * 0x0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A & (1 << 128) - 1:032x}" for number in range(46)]
UUIDS = [f"{u[:8]}-{u[8:12]}-{u[12:16]}-{u[16:20]}-{u[20:]}" for u in [*UUIDS, "f" * 32, "0" * 31 + "1"]]


def event_of(number: int) -> Event:
    """Return one of the universe's events; a number always gives the same one."""
    mixed = number * 7919
    event_type_id, version = EVENT_TYPES[mixed // 5 % len(EVENT_TYPES)]
    return Event(
        UUIDS[number], SYSTEMS[mixed % len(SYSTEMS)], event_type_id, version, INSTANTS[mixed // 3 % len(INSTANTS)], b""
    )


numbers = st.integers(0, len(UUIDS) - 1)
positions = st.builds(Position, st.sampled_from(INSTANTS), st.sampled_from(UUIDS)) | numbers.map(
    lambda number: Position(event_of(number).at, UUIDS[number])
)


@st.composite
def queries(draw: st.DrawFn) -> Query:
    """Any query over the universe."""
    event_type_id = draw(st.none() | st.sampled_from(["sl_a", "sl_b", "sl_never_seen"]))
    return Query(
        smrtlink_id=draw(st.none() | st.sampled_from([*SYSTEMS, UUIDS[5]])),
        event_type_id=event_type_id,
        event_type_version=draw(st.none() | st.sampled_from([1, 2, 2147483647])) if event_type_id else None,
        from_at=draw(st.none() | st.sampled_from(INSTANTS)),
        to_at=draw(st.none() | st.sampled_from(INSTANTS)),
        descending=draw(st.booleans()),
        after=draw(st.none() | positions),
    )


class IndexModel:
    """A log: each event with its place, in order of arrival."""

    def __init__(self) -> None:
        self.log: list[tuple[Event, Place]] = []
        self.marks = [LogPosition(0, 0)]

    @property
    def end(self) -> LogPosition:
        """Everything is before this position."""
        return self.marks[-1]

    def append(self, numbers: list[int]) -> list[tuple[Event, Place]]:
        """Add a group of events and return it with its places."""
        segment, offset = self.end
        group = []
        for number in numbers:
            group.append((event_of(number), Place(segment, offset, 100 + number)))
            offset += 101 + number
        # Now and then another segment begins.
        self.marks.append(LogPosition(segment + 1, 0) if offset > 2000 else LogPosition(segment, offset))
        self.log += group
        return group

    def newest(self) -> dict[str, tuple[Event, Place]]:
        """Return each uuid's newest event and place."""
        return {event.uuid: (event, place) for event, place in self.log}

    def select(self, query: Query, limit: int) -> list[Entry]:
        """Return what a list should hold."""
        entries = sorted(
            (Entry(event.at, event.uuid, place) for event, place in self.newest().values() if _fits(event, query)),
            reverse=query.descending,
        )
        return entries[:limit]


def _fits(event: Event, query: Query) -> bool:
    position = Position(event.at, event.uuid)
    behind = query.after is None or (position < query.after if query.descending else position > query.after)
    return (
        behind
        and query.smrtlink_id in {None, event.smrtlink_id}
        and query.event_type_id in {None, event.event_type_id}
        and query.event_type_version in {None, event.event_type_version}
        and (query.from_at is None or event.at >= query.from_at)
        and (query.to_at is None or event.at < query.to_at)
    )
