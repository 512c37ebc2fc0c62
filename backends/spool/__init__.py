"""The spool: an event that the backend can't take now is acknowledged all the same, and reaches it by itself.

::

    <directory>/
        events/<YYYY-MM-DD>/<n>.ndjson      what waits, one record a line (``backends.log``)
        index-0/ or index-1/                where each event stands; may be deleted
        progress.json                       how far it is drained; may be deleted
        damaged/<segment>-<offset>.line     lines whose checksum was wrong, set aside as they were found

``Spool`` makes an event store of another one and a directory. While the backend is up an event goes straight to it.
When it fails to store (unreachable, overloaded, read-only, too slow, full) the event goes to the log and is *spooled*:
synced before the answer, and never forgotten. From then on all events go there at once; one task finds out when the
backend is back, and drains what waits, in order. What may have reached the backend already is handed over again, since
the backend knows it by its uuid.

- A uuid that waits is answered from the spool, by ``put`` and by ``get``. While the backend is away all else raises
  ``StoreUnavailable``, also lists, which are never a part; while it drains they are both as one.
- A conflict found by the drain: the backend's event stays, ours is handed to ``on_conflict``, durably, before it
  leaves the spool.
- It is bounded. A full spool, or a full disk under it, is ``StorageFull`` while the backend is away.
- What waits is drained by whatever store the spool is opened with next.
"""

from backends.spool.backoff import Backoff
from backends.spool.drain import OnConflict
from backends.spool.ledger import Sizes
from backends.spool.reader import SpoolReader, Waiting, is_empty
from backends.spool.spool import Spool
from backends.spool.state import SpoolState

__all__ = ["Backoff", "OnConflict", "Sizes", "Spool", "SpoolReader", "SpoolState", "Waiting", "is_empty"]
