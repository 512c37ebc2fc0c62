"""What the service counts while it works: plain numbers, read only when the metrics are asked for.

Nothing here locks or formats: the event loop adds, and a scrape reads whatever stands there at that moment.
"""

from collections import Counter
from typing import Final

from backends.statistics import Histogram

OTHER_TYPE: Final = "other"
"""The label of all event types that are not loaded, so that a sender can't make labels without end."""

_SECONDS: Final = (
    *(0.000_001, 0.000_002, 0.000_005, 0.000_01, 0.000_02, 0.000_05, 0.000_1, 0.000_2, 0.000_5),
    *(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0),
)


class Counters:
    """The counters of one server, from its start.

    Attributes:
        outcomes: events by (outcome, event type id): an outcome is a ``Status`` or the code of a refusal, a type is
            one that is or was loaded, or ``OTHER_TYPE``.
        problems: refused requests by (HTTP status, code), whatever they asked for.
        validate_seconds: how long one event took to parse and to validate.
        store_seconds: how long one ``put`` took, its wait for the shared sync included.
        inspect_seconds: how long one archive took to be read through.
        connections: those that are open now.
        batches: batch requests.
        reloads: attempts to reload the schemas, by ``adopted`` or ``refused``.

    """

    def __init__(self) -> None:
        """Begin at zero."""
        self.outcomes: Counter[tuple[str, str]] = Counter()
        self.problems: Counter[tuple[int, str]] = Counter()
        self.validate_seconds = Histogram(_SECONDS)
        self.store_seconds = Histogram(_SECONDS)
        self.inspect_seconds = Histogram(_SECONDS)
        self.connections = 0
        self.batches = 0
        self.reloads: Counter[str] = Counter()
