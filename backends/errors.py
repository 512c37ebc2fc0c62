"""Everything that a store raises.

::

    StoreError                      anything below; never raised itself
    ├── StoreUnavailable            the backend can't be reached, is overloaded or too slow; or open for reading only
    ├── StorageFull                 no room (a full disk, a full spool, a quota); reads still work
    ├── StoreClosed                 the store is not open, or is shutting down
    ├── DirectoryInUse              another process owns the data directory; ``holder`` says who
    ├── UnsupportedLayout           what lies on disk was written by a newer release
    └── InvalidStoreURL             the URL names no store, or an option it does not know

After any of them from ``put``, nothing may be taken as acknowledged, and putting the same events again is safe.
"""


class StoreError(Exception):
    """Base of all errors of a store."""


class StoreUnavailable(StoreError):
    """The backend can't serve now: unreachable, overloaded, read-only or too slow. Trying again later is right.

    Also what is raised by whatever writes, of a store that was opened for reading only.
    """


class StorageFull(StoreError):
    """There is no room for another event. What is stored can still be read."""


class StoreClosed(StoreError):
    """The store was used before it was opened, or while it closes."""


class DirectoryInUse(StoreError):
    """Another process owns the data directory.

    Attributes:
        holder: what the owner wrote into the lock file, such as ``pid 4711 at http://127.0.0.1:8070``.

    """

    def __init__(self, directory: str, holder: str) -> None:
        """Name the directory and who holds it."""
        super().__init__(f"{directory} is in use by {holder}")
        self.directory = directory
        self.holder = holder


class UnsupportedLayout(StoreError):
    """The data was written in a layout that this release does not know; a newer release does."""


class InvalidStoreURL(StoreError):
    """A store URL that can't be understood; the message says which part and what would be right."""
