"""The event store on Cassandra 4 and 5."""

from pathlib import Path

from backends.cassandra.options import Options
from backends.cassandra.store import CassandraStore

__all__ = ["CassandraStore", "Options", "from_url"]


def from_url(url: str, *, root: Path, read_only: bool, timeout: float) -> CassandraStore:  # noqa: ARG001 - no files
    """Make the store of ``cassandra://host:9042/keyspace`` (``cassandras:`` over TLS); see ``Options``.

    Raises:
        InvalidStoreURL: it can't be understood; the message shows no secret.

    """
    return CassandraStore(Options.parse(url, timeout=timeout), read_only=read_only)
