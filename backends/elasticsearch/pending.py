"""An event on its way into Elasticsearch."""

from math import inf

from backends.base import Event, Outcome
from backends.boarding import Passenger
from backends.elasticsearch.documents import Document
from backends.elasticsearch.records import as_is
from backends.errors import StoreError


class Pending:
    """An event that is not settled yet.

    Attributes:
        event: what is to be stored.
        index: where it belongs: the name that is written to.
        as_is: whether it is sent as text, since it can't be indexed.
        is_beaten: whether the claim on its uuid names another index.
        is_late: whether it was created, but without a claim that was made for it just before.
        is_uncertain: whether an earlier call may have created it, and did not say so.
        claimed_at: the moment (``time.monotonic``) when the call left that made the claim; long ago if none did.
        problem: why the last call did not store it, where time may mend that.
        winner: what is there already.

    """

    __slots__ = (
        "_passenger",
        "as_is",
        "claimed_at",
        "event",
        "index",
        "is_beaten",
        "is_late",
        "is_uncertain",
        "problem",
        "winner",
    )

    def __init__(self, passenger: Passenger, index: str) -> None:
        self._passenger = passenger
        self.event: Event = passenger.event
        self.index = index
        self.as_is = False
        self.is_beaten = False
        self.is_late = False
        self.is_uncertain = False
        self.claimed_at = -inf
        self.problem: StoreError | None = None
        self.winner: Document | None = None

    @property
    def is_settled(self) -> bool:
        """Whether those who wait were told."""
        return self._passenger.settled is not None

    def settle(self, outcome: Outcome | StoreError) -> None:
        """Tell whoever waits; the first one counts."""
        self._passenger.settle(outcome)

    def document(self) -> bytes:
        """Return the document to be created."""
        return as_is(self.event) if self.as_is else self.event.record

    def unit(self) -> bytes:
        """Return the lines that create it."""
        return b'{"create":{"_index":"%b","_id":"%b"}}\n%b\n' % (
            self.index.encode(),
            self.event.uuid.encode(),
            self.document(),
        )

    def is_own(self, source: bytes) -> bool:
        """Tell whether a document is this event, created by one of its own attempts: the moment of arrival tells."""
        return (self.is_late or self.is_uncertain) and source in (self.event.record, as_is(self.event))
