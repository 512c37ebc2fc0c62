"""What lies in the keyspace, and why each key is what it is.

::

    claims              (uuid)                                                    the truth: who has a uuid; the record
    events_by_system    (smrtlink_id, day, shard),                       at, uuid a system's list
    events_by_type      (event_type_id, event_type_version, day, shard), at, uuid a type's list; all of them: all events
    arrivals            (day, shard),                                    at, uuid the order of arrival
    event_types         (part),                  event_type_id, event_type_version  register: which types have a list
    months              (list), year                                                register: months of a list
    shards              (list, month),           day, shard                         register: partitions of a list
    layout              (name)                                                      version of all this

``claims`` has one row for each uuid, made by ``INSERT ... IF NOT EXISTS``: that alone decides identity, in one
partition, so that two servers agree without knowing each other. It holds the record, so that it can't be there
without it.

Lists hold keys only, in the order in which they are read: ``at`` (text; it sorts as the instant does), then ``uuid``.
An event's rows are written before its claim, again and again if need be, and a list shows a row only when the claim
on its uuid agrees with it. So a crash between the two leaves nothing to repair: what has no claim is not shown, what
has one is in every list.

A partition is a *day* and a *shard*. A shard belongs to one opening of one store (the *writer*), which counts its
rows and begins another one before there are too many: whatever clock a sender has, no partition grows beyond
``shard_rows``. It is in the register before its first row is written. When it is full, its writer writes down from
where to where its rows go, so that who reads an hour of a day need not look into all shards of it. Text of a uuid,
not the type ``uuid``: that would sort by version first.

``months`` is one row for each year with a set of months, and ``shards`` one partition for each month, so that these are
bounded too: at 1,000 events a second of one list, a month has 30,000 shards.

``arrivals`` is a list like the others; its ``at`` is not the event's but the writer's clock at its arrival, made to
ascend strictly within one writer. (``tailing`` says how clocks that differ are lived with.)
"""

import logging
import time
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

from cassandra import AlreadyExists, ConsistencyLevel, InvalidRequest, RequestExecutionException
from cassandra.cluster import Cluster, Session
from cassandra.protocol import ConfigurationException, ServerError
from cassandra.query import SimpleStatement

from backends.cassandra.options import Options
from backends.errors import StoreUnavailable, UnsupportedLayout

VERSION: Final = 1
NAME: Final = "events"
_COPIES: Final = 3
_PATIENCE_SECONDS: Final = 20.0
_LOGGER: Final = logging.getLogger(__name__)
_KEYS: Final = "event_type_id text, event_type_version int, smrtlink_id text, at text, uuid text"
TABLES: Final = {
    "claims": """uuid text PRIMARY KEY, smrtlink_id text, event_type_id text, event_type_version int, at text,
        writer text, arrived text, record text, closed text""",
    "events_by_system": f"{_KEYS}, day text, shard text, bytes int, PRIMARY KEY ((smrtlink_id, day, shard), at, uuid)",
    "events_by_type": f"""{_KEYS}, day text, shard text, bytes int,
        PRIMARY KEY ((event_type_id, event_type_version, day, shard), at, uuid)""",
    "arrivals": "day text, shard text, at text, uuid text, bytes int, PRIMARY KEY ((day, shard), at, uuid)",
    "event_types": """part text, event_type_id text, event_type_version int,
        PRIMARY KEY (part, event_type_id, event_type_version)""",
    "months": "list text, year int, months set<int>, PRIMARY KEY (list, year)",
    "shards": """list text, month text, day text, shard text, first text, last text,
        PRIMARY KEY ((list, month), day, shard)""",
    "layout": "name text PRIMARY KEY, version int, pinged timestamp",
}


def ensure(cluster: Cluster, session: Session, options: Options, *, read_only: bool) -> None:
    """Create what is not there, and check the version; blocks. Several servers may do it at once.

    Raises:
        UnsupportedLayout: a newer release wrote it.
        StoreUnavailable: there is nothing, and nothing may be created; or it can't be created now.

    """
    if not _is_complete(cluster, options.keyspace):
        if read_only:
            raise StoreUnavailable(f"there is no event store in keyspace {options.keyspace}")
        _create(cluster, session, options)
    rows = _execute(session, f"SELECT version FROM {name_of(options, 'layout')} WHERE name = '{NAME}'", options)
    if rows and rows[0][0] > VERSION:
        raise UnsupportedLayout(
            f"keyspace {options.keyspace} has layout {rows[0][0]}; this release knows layouts up to {VERSION}"
        )
    if not rows and not read_only:
        values = f"(name, version) VALUES ('{NAME}', {VERSION})"
        _execute(session, f"INSERT INTO {name_of(options, 'layout')} {values} IF NOT EXISTS", options)
    for warning in _warnings(cluster, options):
        _LOGGER.warning("%s", warning)


def name_of(options: Options, table: str) -> str:
    """Return the full name of a table."""
    return f'"{options.keyspace}".{table}'


def _is_complete(cluster: Cluster, keyspace: str) -> bool:
    found = cluster.metadata.keyspaces.get(keyspace)
    return found is not None and set(TABLES) <= set(found.tables)


def _create(cluster: Cluster, session: Session, options: Options) -> None:
    """Create keyspace and tables, again while another server's creating is in the way."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            for statement in _statements(cluster, options):
                session.execute(statement, timeout=_PATIENCE_SECONDS)
        except (AlreadyExists, InvalidRequest, ConfigurationException, ServerError, RequestExecutionException) as error:
            if time.monotonic() > deadline:
                raise StoreUnavailable(f"keyspace {options.keyspace} can't be created: {error}") from error
            time.sleep(0.2)
        else:
            cluster.refresh_keyspace_metadata(options.keyspace)
            if _is_complete(cluster, options.keyspace):
                return
            cluster.refresh_schema_metadata()
            if time.monotonic() > deadline:
                raise StoreUnavailable(f"keyspace {options.keyspace} is not there after it was created")


def _statements(cluster: Cluster, options: Options) -> list[str]:
    factors = dict(options.replication or _factors(cluster))
    replication = {"class": "NetworkTopologyStrategy", **factors}
    statements = [f'CREATE KEYSPACE IF NOT EXISTS "{options.keyspace}" WITH replication = {replication}']
    for table, columns in TABLES.items():
        # An identity that follows from the name: two servers that create it at once create the same table.
        identity = uuid5(NAMESPACE_URL, f"cassandra:{options.keyspace}/{table}/{VERSION}")
        statements.append(f"CREATE TABLE IF NOT EXISTS {name_of(options, table)} ({columns}) WITH ID = '{identity}'")
    return statements


def _factors(cluster: Cluster) -> dict[str, int]:
    nodes: dict[str, int] = {}
    for host in cluster.metadata.all_hosts():
        nodes[host.datacenter] = nodes.get(host.datacenter, 0) + 1
    return {name: min(_COPIES, count) for name, count in nodes.items()}


def _warnings(cluster: Cluster, options: Options) -> list[str]:
    """Say what in the settings of the keyspace is not as it should be; it is left alone."""
    found = cluster.metadata.keyspaces[options.keyspace]
    strategy = found.replication_strategy.export_for_schema() if found.replication_strategy else ""
    warnings = []
    factors = {name: int(str(factor)) for name, factor in _factors_of(found).items()}
    if options.replication is not None and factors != dict(options.replication):
        warnings.append(
            f"keyspace {options.keyspace} has replication {strategy}, not the one of the store's URL; it is left alone"
        )
    elif not factors:
        warnings.append(
            f"keyspace {options.keyspace} has replication {strategy}; NetworkTopologyStrategy would know data centres"
        )
    if any(factor < _COPIES for factor in factors.values()):
        warnings.append(
            f"keyspace {options.keyspace} has replication {strategy}: with less than {_COPIES} copies an event may be "
            "lost, or can't be stored, when one node is gone"
        )
    if not found.durable_writes:
        warnings.append(f"keyspace {options.keyspace} has durable_writes = false: a stored event may be lost")
    return warnings


def _factors_of(keyspace: Any) -> dict[str, Any]:
    strategy = keyspace.replication_strategy
    return dict(getattr(strategy, "dc_replication_factors", None) or {})


def _execute(session: Session, text: str, options: Options) -> list[Any]:
    statement = SimpleStatement(
        text,
        consistency_level=ConsistencyLevel.name_to_value[options.consistency.upper()],
        serial_consistency_level=ConsistencyLevel.name_to_value[options.serial_consistency.upper()],
    )
    return list(session.execute(statement, timeout=options.timeout))
