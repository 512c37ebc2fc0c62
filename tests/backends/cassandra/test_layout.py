"""The tables: made once by whoever comes, left alone where they are not ours to change, refused when they are newer."""

import asyncio
import logging
import time

import pytest
from cassandra.cluster import Session

from backends.base import Outcome, Query, Status
from backends.cassandra import CassandraStore
from backends.cassandra.layout import TABLES, VERSION
from backends.errors import StoreUnavailable, UnsupportedLayout
from servers.faulty_cql_proxy import FaultyCqlProxy
from support.events import make_event, records_of
from support.paging import find_all
from tests.backends.cassandra.conftest import MakeStore

STORED = [Outcome(Status.STORED)]


async def test_a_keyspace_comes_into_being(store: CassandraStore, session: Session, keyspace: str) -> None:
    """By the store: one copy on one node, by data centre, and the version of the layout with it."""
    await store.ping()
    session.cluster.refresh_keyspace_metadata(keyspace)
    session.cluster.refresh_schema_metadata()
    found = session.cluster.metadata.keyspaces[keyspace]
    assert set(found.tables) == set(TABLES)
    assert found.durable_writes
    text = found.replication_strategy.export_for_schema()
    assert "NetworkTopologyStrategy" in text
    assert "'datacenter1': '1'" in text
    [row] = session.execute(f"SELECT name, version FROM {keyspace}.layout")
    assert (row.name, row.version) == ("events", VERSION)


async def test_several_servers_make_it_at_once(make: MakeStore, session: Session, keyspace: str) -> None:
    """Each opens, each stores, and each reads what the others stored: there is one table of each name."""
    stores = [make() for _ in range(4)]
    events = [make_event(message={"n": number}) for number in range(len(stores))]

    async def serve(store: CassandraStore, number: int) -> None:
        async with store:
            await store.prepare({})
            assert await store.put([events[number]]) == STORED

    await asyncio.gather(*(serve(store, number) for number, store in enumerate(stores)))
    async with make() as store:
        assert sorted(await find_all(store)) == sorted(records_of(events))
    assert len(list(session.execute(f"SELECT uuid FROM {keyspace}.claims"))) == len(events)
    assert len(list(session.execute(f"SELECT name FROM {keyspace}.layout"))) == 1


async def test_what_is_half_made_is_completed(make: MakeStore, session: Session, keyspace: str) -> None:
    """As a server leaves it that is killed in between; what was stored stays."""
    event = make_event()
    async with make() as store:
        await store.put([event])
    for table in ("layout", "arrivals"):
        session.execute(f"DROP TABLE {keyspace}.{table}")
    async with make() as store:
        await store.ping()
        assert await store.get(event.uuid) == event.record
        assert await store.put([make_event()]) == STORED


@pytest.mark.parametrize("table", TABLES)
async def test_a_table_that_is_dropped_meanwhile_is_made_again(
    store: CassandraStore, session: Session, keyspace: str, table: str
) -> None:
    """The call that finds out may fail; a server that goes on trying takes events again."""
    await store.put([make_event()])
    session.execute(f"DROP TABLE {keyspace}.{table}", timeout=30)
    event = make_event()
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            await store.ping()
            assert await store.put([event]) in (STORED, [Outcome(Status.DUPLICATE, event.record)])
            assert await store.get(event.uuid) == event.record
            break
        except StoreUnavailable:
            await asyncio.sleep(0.1)
    assert (await store.put([event]))[0].status is Status.DUPLICATE


async def test_a_newer_layout_is_refused(make: MakeStore, session: Session, keyspace: str) -> None:
    """And left as it is."""
    async with make():
        pass
    session.execute(f"UPDATE {keyspace}.layout SET version = {VERSION + 1} WHERE name = 'events'")
    with pytest.raises(UnsupportedLayout, match=f"layout {VERSION + 1}; this release knows layouts up to {VERSION}"):
        async with make():
            pass
    [row] = session.execute(f"SELECT version FROM {keyspace}.layout")
    assert row.version == VERSION + 1


async def test_one_that_only_reads_makes_nothing(make: MakeStore, session: Session, keyspace: str) -> None:
    """It says what is missing; of a store that is there it reads."""
    with pytest.raises(StoreUnavailable, match=f"no event store in keyspace {keyspace}"):
        async with make(read_only=True):
            pass
    session.cluster.refresh_schema_metadata()
    assert keyspace not in session.cluster.metadata.keyspaces
    event = make_event()
    async with make() as store:
        await store.put([event])
    async with make(read_only=True) as store:
        assert await store.get(event.uuid) == event.record
        with pytest.raises(StoreUnavailable, match="reading only"):
            await store.put([make_event()])


@pytest.mark.parametrize(
    ("settings", "options", "said"),
    [
        (
            "{'class': 'SimpleStrategy', 'replication_factor': 1}",
            {},
            "NetworkTopologyStrategy would know data centres",
        ),
        (
            "{'class': 'NetworkTopologyStrategy', 'datacenter1': 1} AND durable_writes = false",
            {},
            "durable_writes = false: a stored event may be lost",
        ),
        (
            "{'class': 'NetworkTopologyStrategy', 'datacenter1': 1}",
            {"replication": (("datacenter1", 3),)},
            "not the one of the store's URL; it is left alone",
        ),
        ("{'class': 'NetworkTopologyStrategy', 'datacenter1': 1}", {}, "with less than 3 copies"),
    ],
)
async def test_a_keyspace_with_other_settings_is_left_alone(
    make: MakeStore,
    session: Session,
    keyspace: str,
    caplog: pytest.LogCaptureFixture,
    settings: str,
    options: dict[str, object],
    said: str,
) -> None:
    """A warning names it, and what it means; the store works."""
    session.execute(f"CREATE KEYSPACE {keyspace} WITH replication = {settings}")
    before = session.execute(f"DESCRIBE KEYSPACE {keyspace}").one().create_statement
    with caplog.at_level(logging.WARNING, "backends.cassandra.layout"):
        async with make(**options) as store:
            assert await store.put([make_event()]) == STORED
    assert any(keyspace in text and said in text for text in caplog.messages), caplog.messages
    assert session.execute(f"DESCRIBE KEYSPACE {keyspace}").one().create_statement == before


async def test_what_can_not_be_reached_is_said(proxy: FaultyCqlProxy, make: MakeStore) -> None:
    """Within the time limit, by opening; and it opens when it is there."""
    proxy.refuse()
    began = time.monotonic()
    with pytest.raises(StoreUnavailable):
        async with make(timeout=2.0):
            pass
    assert time.monotonic() - began < 10
    proxy.mend()
    async with make() as store:
        assert (await store.find(Query(), limit=1, max_bytes=1000)).records == []
