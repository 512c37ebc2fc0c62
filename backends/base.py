"""The storage contract: what an event is to a store, and what every store promises.

Everything that crosses this boundary is a plain frozen value. A store knows nothing of HTTP, of schemas'
meaning or of the service; the service knows nothing of drivers. The contract stands here, once; the modules
beside this one say only what is peculiar to them. ``tests/contract`` holds every store to it.
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence
from enum import StrEnum
from types import TracebackType
from typing import Any, NamedTuple, Self

from backends.statistics import Statistic


class Event(NamedTuple):
    """An event as a store sees it: the keys that it is found by, and the finished record.

    The keys repeat what the record says; ``backends.record.read_event`` derives them from it.
    """

    uuid: str
    """Identity; 36 characters, lower case."""
    smrtlink_id: str
    """The sending SMRT Link system; 36 characters, lower case."""
    event_type_id: str
    event_type_version: int
    at: str
    """``createdAt`` as an instant in UTC, nine digits: ``2017-02-16T16:36:21.082000000Z``. Sorts as text."""
    record: bytes
    """The document of ``backends.record``: one line without its line end."""


class Status(StrEnum):
    """What became of one event of a ``put``."""

    STORED = "stored"
    """It is new, and durable as the backend defines it (fsynced, acknowledged by a quorum, ...)."""
    SPOOLED = "spooled"
    """It is new, durable in the local spool, and will reach the backend by itself."""
    DUPLICATE = "duplicate"
    """An event with this uuid and equal content was there; that one stays, its spelling too."""
    CONFLICT = "conflict"
    """An event with this uuid and other content was there; that one stays, this one is not stored."""
    UNAVAILABLE = "unavailable"
    """This one could not be stored now, others of the same ``put`` could; putting it again is safe."""


class Outcome(NamedTuple):
    """The outcome for one event of a ``put``."""

    status: Status
    record: bytes | None = None
    """The record that is there already (``DUPLICATE`` and ``CONFLICT``), else None."""


class Position(NamedTuple):
    """A place in the order of a list: the instant, ties by uuid. Compares as it sorts."""

    at: str
    uuid: str


class Query(NamedTuple):
    """Which events a list holds, and in which direction it runs. All conditions must hold."""

    smrtlink_id: str | None = None
    event_type_id: str | None = None
    event_type_version: int | None = None
    """Only together with ``event_type_id``."""
    from_at: str | None = None
    """Instant (form of ``Event.at``), inclusive."""
    to_at: str | None = None
    """Instant (form of ``Event.at``), exclusive."""
    descending: bool = False
    after: Position | None = None
    """Begin behind this position, in the direction of the list. It need not be the position of an event."""


class Page(NamedTuple):
    """A part of a list, in its order."""

    records: list[bytes]
    """Finished records."""
    next: Position | None
    """Where the next page begins (``Query.after``), or None when there is no more."""


class Arrival(NamedTuple):
    """One event of a ``tail``, and the token that goes on behind it."""

    event: Event
    token: str


class EventStore(ABC):
    """Keeps events durably, once for each uuid, and finds them again.

    Life cycle: a store is constructed without touching the outside world, opened with ``async with`` and closed when
    the block ends. Closing waits for what is in flight; used outside the block, each method raises ``StoreClosed``.
    One store belongs to one event loop. All methods may be called concurrently.

    Errors: every method may raise ``StoreUnavailable``; ``put`` also ``StorageFull``. No driver's exception leaves a
    store.
    A cancelled call leaves the store consistent; whether a cancelled ``put`` took effect is unknown, so putting it
    again is the way to find out.
    """

    @abstractmethod
    async def __aenter__(self) -> Self:
        """Open: connect or recover what is on disk.

        Raises:
            DirectoryInUse: another process owns the data.
            UnsupportedLayout: a newer release wrote the data.
            StoreUnavailable: it can't be opened now.

        """

    @abstractmethod
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close: finish what is in flight, make it durable, release everything. Idempotent."""

    @abstractmethod
    async def prepare(self, schemas: Mapping[tuple[str, int], Mapping[str, Any]]) -> None:
        """Make ready for events of these types; called at start and before a reloaded set takes force.

        Idempotent, also when several servers do it at once. A store that needs nothing does nothing.

        Args:
            schemas: for each (event type id, version) in force its JSON Schema.

        """

    @abstractmethod
    async def put(self, events: Sequence[Event]) -> list[Outcome]:
        """Store events; when it returns, what it calls stored is durable.

        Events are judged in their order, as if put one after the other: of two with one uuid in the same call the first
        is ``STORED`` and the second is judged against it. An event whose uuid is being stored by another call waits for
        that one: if it succeeds it is judged against it, if it fails it takes its place.
        Equal content is defined by ``backends.equality.same_content``.

        Args:
            events: any number, finished records.

        Returns:
            One outcome for each event, in order.

        Raises:
            StorageFull: no room; nothing of this call is acknowledged.
            StoreUnavailable: nothing of this call is acknowledged; some may have been stored all the same.

        """

    @abstractmethod
    async def get(self, uuid: str) -> bytes | None:
        """Return the record of the event with this uuid (lower case), or None.

        Reads what was acknowledged, by whichever server, before the call began.
        """

    @abstractmethod
    async def find(self, query: Query, *, limit: int, max_bytes: int) -> Page:
        """Return the first part of a list: at most ``limit`` records and ``max_bytes`` bytes, but one record at least.

        Order: ``at``, ties by ``uuid``, both ascending, or both descending. Reads what was acknowledged before the
        call began. Following ``Page.next`` until it is None shows each event that was there at the first page, and
        still fits, exactly once; one that arrives meanwhile at most once, and never when it sorts before the position.

        Args:
            query: conditions, direction, starting position.
            limit: 1 or more.
            max_bytes: a page ends before it would grow larger, but is never empty while there are events.

        """

    @abstractmethod
    def tail(self, token: str | None = None) -> AsyncIterator[Arrival]:
        """Run through all events in order of arrival, each at least once, then end.

        The events of one ``put`` arrive in its order; where the backend did not take all of them at once, those that
        it took later may arrive behind the others.

        Args:
            token: go on behind that arrival; None begins at the first event. A token stays valid for the life of the
                data, over restarts.

        Raises:
            ValueError: a token that this store did not make.

        """

    @abstractmethod
    async def ping(self) -> None:
        """Return when the store can take a write now.

        Raises:
            StorageFull: it would refuse a write for lack of room.
            StoreUnavailable: it can't be reached or can't write.

        """

    def statistics(self) -> list[Statistic]:
        """Return what this store counts, for the metrics; reads plain numbers, never waits, works in any state."""
        return []
