"""The quarantine: what was refused for its content, kept as it was received. Senders do not come back.

::

    <directory>/<YYYY-MM-DD>/<n>.ndjson     a log (``backends.log``) of the lines of ``backends.quarantine.lines``

Its promise: what ``keep`` returned for is synced, and stays until it is dropped or has to give way to a limit. In
memory there are only 70 bytes an entry.
"""

from backends.quarantine.entries import NEVER_EVICTED, Entry, Filter, Group, Kept, Page, Refused
from backends.quarantine.quarantine import Quarantine
from backends.quarantine.reader import InvalidCursor
from backends.quarantine.statistics import QuarantineStatistics

__all__ = [
    "NEVER_EVICTED",
    "Entry",
    "Filter",
    "Group",
    "InvalidCursor",
    "Kept",
    "Page",
    "Quarantine",
    "QuarantineStatistics",
    "Refused",
]
