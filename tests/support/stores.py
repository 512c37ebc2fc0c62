"""The stores that the contract suite runs on: how to make one, and how to break it.

A new backend adds a ``StoreUnderTest`` of its own here, and its name to ``STORES``; nothing else. One that needs a real
server names the fixtures that it is made of.
"""

import errno
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar
from uuid import uuid4

from backends.base import Event, EventStore, Outcome
from backends.cassandra import CassandraStore
from backends.cassandra import Options as CassandraOptions
from backends.elasticsearch import ElasticsearchStore, Options
from backends.errors import StorageFull, StoreError, StoreUnavailable
from backends.filesystem.store import FilesystemStore
from backends.memory import MemoryStore
from backends.spool import Backoff, Sizes, Spool
from servers.cassandra import Cassandra
from servers.elasticsearch import Elasticsearch
from servers.faulty_cql_proxy import FULL, FaultyCqlProxy
from servers.faulty_cql_proxy import Rule as CqlRule
from servers.faulty_cql_proxy import is_write as is_cql_write
from servers.faulty_proxy import Fault, FaultyProxy, Rule, is_write
from support.cassandra import connected
from support.cassandra import wipe as wipe_keyspace
from support.elasticsearch import wipe
from support.faulty_disk import READS, WRITES, FaultyDisk


class StoreUnderTest(ABC):
    """One place where events are kept, empty at first.

    Args:
        directory: an empty one, of this place only.
        server: the values of the fixtures that ``server`` of the class names.

    """

    server: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def __init__(self, directory: Path, server: Any = None) -> None: ...

    @abstractmethod
    def make(self) -> EventStore:
        """Return the store of this place, not opened; what an earlier one stored is there."""

    @abstractmethod
    def break_down(self, *, times: int | None = None) -> None:
        """Let the outside world fail.

        Args:
            times: so many attempts to store something fail, then it works again; None until ``mend``, and reading
                fails too.

        """

    @abstractmethod
    def fill_up(self) -> None:
        """Let there be no room for anything, until ``mend``; reading works."""

    @abstractmethod
    def mend(self) -> None:
        """Let the outside world work again."""

    def remove(self) -> None:  # noqa: B027 - a directory goes by itself
        """Leave nothing on the server."""


class MemoryUnderTest(StoreUnderTest):
    """A dictionary does not fail by itself."""

    def __init__(self, directory: Path, server: Any = None) -> None:  # noqa: ARG002 - it needs none
        self._store = _FailingMemoryStore()

    def make(self) -> EventStore:
        """Return the one store that has the events."""
        return self._store

    def break_down(self, *, times: int | None = None) -> None:
        """Fail with what a backend that is away raises."""
        self._store.writes = (StoreUnavailable("broken by the test"), times)
        self._store.readable = times is not None

    def fill_up(self) -> None:
        """Fail to store only."""
        self._store.writes = (StorageFull("filled by the test"), None)

    def mend(self) -> None:
        """Work."""
        self._store.writes = (StoreUnavailable(""), 0)
        self._store.readable = True


class _FailingMemoryStore(MemoryStore):
    def __init__(self) -> None:
        super().__init__()
        self.writes: tuple[StoreError, int | None] = (StoreUnavailable(""), 0)
        self.readable = True

    def _require_open(self) -> None:
        super()._require_open()
        if not self.readable:
            raise StoreUnavailable("broken by the test")

    async def put(self, events: Sequence[Event]) -> list[Outcome]:
        self._require_room()
        return await super().put(events)

    async def ping(self) -> None:
        self._require_room()

    def _require_room(self) -> None:
        self._require_open()
        error, times = self.writes
        if times != 0:
            self.writes = (error, None if times is None else times - 1)
            raise error


class FilesystemUnderTest(StoreUnderTest):
    """A directory on a real disk, small segments and small memory tables, so that everything is met."""

    def __init__(self, directory: Path, server: Any = None) -> None:  # noqa: ARG002 - it needs none
        self._root = directory
        self._disk = FaultyDisk()

    def make(self) -> EventStore:
        """Return a new store on the directory."""
        return FilesystemStore(self._root, disk=self._disk, segment_bytes=20_000, memory_rows=16)

    def break_down(self, *, times: int | None = None) -> None:
        """Fail with EIO."""
        self._disk.fail(WRITES | READS if times is None else {"write"}, times=times)

    def fill_up(self) -> None:
        """Fail with ENOSPC."""
        self._disk.fail({"make_one_directory", "create", "write"}, error=errno.ENOSPC)

    def mend(self) -> None:
        """Work."""
        self._disk.mend()


class SpoolUnderTest(StoreUnderTest):
    """A spool around a dictionary. Nothing is refused before both have failed."""

    def __init__(self, directory: Path, server: Any = None) -> None:  # noqa: ARG002 - it needs none
        self._backend = MemoryUnderTest(directory)
        self._root = directory
        self._disk = FaultyDisk()

    def make(self) -> EventStore:
        """Return a new spool on the directory, around the one store that has the events."""
        return Spool(
            self._backend.make(),
            self._root / "spool",
            on_conflict=_no_conflict,
            disk=self._disk,
            sizes=Sizes(segment_bytes=20_000, memory_rows=16, renew_rows=64),
            backoff=Backoff(first=0.01, last=0.1),
        )

    def break_down(self, *, times: int | None = None) -> None:
        """Fail with what a backend that is away raises, and EIO."""
        self._backend.break_down(times=times)
        self._disk.fail(WRITES | READS if times is None else {"write"}, times=times)

    def fill_up(self) -> None:
        """Fail to store only, here and there."""
        self._backend.fill_up()
        self._disk.fail({"make_one_directory", "create", "write"}, error=errno.ENOSPC)

    def mend(self) -> None:
        """Work."""
        self._backend.mend()
        self._disk.mend()


async def _no_conflict(event: Event) -> None:
    raise AssertionError(event)


class ElasticsearchUnderTest(StoreUnderTest):
    """Indices of a prefix of their own on a real server, behind a proxy that fails.

    Creating an index takes longer than most tests do, so one that is not needed any more is wiped and taken again.
    """

    server = ("elasticsearch", "elasticsearch_proxy")
    run = f"contract-{uuid4().hex[:8]}"
    """What all prefixes of a run begin with."""
    _wiped: ClassVar[list[str]] = []

    def __init__(self, directory: Path, server: Any = None) -> None:  # noqa: ARG002 - it needs no directory
        self._server: Elasticsearch
        self._proxy: FaultyProxy
        self._server, self._proxy = server
        self._proxy.mend()
        self._prefix = self._wiped.pop() if self._wiped else f"{self.run}-{uuid4().hex[:8]}"
        self._is_full = False

    def make(self) -> EventStore:
        """Return a new store on the same indices."""
        url = self._proxy.url.replace("http:", "elasticsearch:")
        return ElasticsearchStore(replace(Options.parse(f"{url}/{self._prefix}"), timeout=10.0))

    def break_down(self, *, times: int | None = None) -> None:
        """Cut all connections; or answer writes with an error that is not tried again by itself."""
        if times is None:
            self._proxy.refuse()
        else:
            self._proxy.fail(Rule(is_write, Fault.ANSWER, status=500, times=times))

    def fill_up(self) -> None:
        """Do what Elasticsearch does when its disk is nearly full."""
        self._is_full = True
        self._block()

    def mend(self) -> None:
        """Work."""
        self._proxy.mend()
        if self._is_full:
            self._is_full = False
            self._block()

    def remove(self) -> None:
        """Wipe the indices."""
        self.mend()
        if wipe(self._proxy.url, self._prefix):
            self._wiped.append(self._prefix)
        else:
            self._server.remove(self._prefix)

    def _block(self) -> None:
        block = {"index.blocks.read_only_allow_delete": self._is_full or None}
        self._server.request("PUT", f"/{self._prefix}-*/_settings", block)


class CassandraUnderTest(StoreUnderTest):
    """A keyspace of its own on a real server, behind a proxy that fails; small shards, so that there are several.

    Creating a keyspace takes longer than most tests do, so one that is not needed any more is wiped and taken again.
    """

    server = ("cassandra", "cassandra_proxy")
    run = f"contract_{uuid4().hex[:8]}"
    """What the names of all keyspaces of a run begin with."""
    made: ClassVar[list[str]] = []
    _wiped: ClassVar[list[str]] = []

    def __init__(self, directory: Path, server: Any = None) -> None:  # noqa: ARG002 - it needs no directory
        self._server: Cassandra
        self._proxy: FaultyCqlProxy
        self._server, self._proxy = server
        self._proxy.mend()
        if self._wiped:
            self._keyspace = self._wiped.pop()
        else:
            self._keyspace = f"{self.run}_{uuid4().hex[:8]}"
            self.made.append(self._keyspace)

    def make(self) -> EventStore:
        """Return a new store on the same keyspace."""
        options = CassandraOptions.parse(f"{self._proxy.url}/{self._keyspace}")
        return CassandraStore(replace(options, timeout=10.0, shard_rows=7))

    def break_down(self, *, times: int | None = None) -> None:
        """Cut all connections; or answer writes with an error."""
        if times is None:
            self._proxy.refuse()
        else:
            self._proxy.fail(CqlRule(is_cql_write, times=times))

    def fill_up(self) -> None:
        """Answer writes as a node does whose disk is nearly full (``tests/backends/cassandra`` shows that it does)."""
        self._proxy.fail(CqlRule(is_cql_write, error=FULL))

    def mend(self) -> None:
        """Work."""
        self._proxy.mend()

    def remove(self) -> None:
        """Wipe the keyspace."""
        self.mend()
        with connected(self._server.url) as session:
            if self._keyspace in session.cluster.metadata.keyspaces:
                wipe_keyspace(session, self._keyspace)
        self._wiped.append(self._keyspace)


STORES: dict[str, type[StoreUnderTest]] = {
    "memory": MemoryUnderTest,
    "filesystem": FilesystemUnderTest,
    "spool": SpoolUnderTest,
    "elasticsearch": ElasticsearchUnderTest,
    "cassandra": CassandraUnderTest,
}
