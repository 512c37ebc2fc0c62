"""TLS: a node is trusted by its certificate, and by nothing else; so are we, where nodes ask for one."""

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from backends.base import Outcome, Status
from backends.cassandra import CassandraStore, Options
from backends.errors import StoreUnavailable
from servers.cassandra import Cassandra
from support.events import make_event

MakeCertificate = Callable[[str], Path]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> MakeCertificate:
    """Make a certificate for a name that signs itself, with its key in the same file."""

    def make(name: str) -> Path:
        path = tmp_path_factory.mktemp("tls") / "certificate.pem"
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=node"]
        command += ["-addext", f"subjectAltName={name}", "-out", str(path), "-keyout", str(path.with_name("key"))]
        subprocess.run(command, check=True, capture_output=True)
        path.write_bytes(path.read_bytes() + path.with_name("key").read_bytes())
        return path

    return make


@asynccontextmanager
async def over_tls(cassandra: Cassandra, certificate: Path, *, asked: Path | None = None) -> AsyncIterator[int]:
    """Let Cassandra answer over TLS, on the port that is returned; who comes is asked for a certificate, or not."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    if asked is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(asked)
    passing: set[asyncio.Task[None]] = set()

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(OSError):
                while some := await reader.read(65536):
                    writer.write(some)
                    await writer.drain()
        finally:
            writer.transport.abort()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(cassandra.host, cassandra.port)
        for way in (pass_on(reader, far_writer), pass_on(far_reader, writer)):
            passing.add(task := asyncio.create_task(way))
            task.add_done_callback(passing.discard)

    async with await asyncio.start_server(connected, "127.0.0.1", 0, ssl=context) as server:
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            for task in passing:
                task.cancel()


async def test_a_node_is_trusted_by_the_ca_of_the_url(
    cassandra: Cassandra, certificate: MakeCertificate, keyspace: str
) -> None:
    """The store works as it does without TLS."""
    event, nodes = make_event(), certificate("IP:127.0.0.1")
    async with over_tls(cassandra, nodes) as port:
        options = Options.parse(f"cassandras://localhost:{port}/{keyspace}?ca={nodes}")
        async with CassandraStore(options) as store:
            assert await store.put([event]) == [Outcome(Status.STORED)]
            assert await store.get(event.uuid) == event.record


@pytest.mark.parametrize("name", ["IP:127.0.0.1", "IP:127.0.0.2", "DNS:localhost"])
async def test_a_node_that_is_not_trusted_is_away(
    cassandra: Cassandra, certificate: MakeCertificate, keyspace: str, name: str
) -> None:
    """Without its authority, or where the certificate does not name the node's address, nothing is sent to it."""
    nodes = certificate(name)
    ca = "" if name == "IP:127.0.0.1" else f"?ca={nodes}"
    async with over_tls(cassandra, nodes) as port:
        store = CassandraStore(Options.parse(f"cassandras://localhost:{port}/{keyspace}{ca}", timeout=5))
        with pytest.raises(StoreUnavailable):
            await store.__aenter__()


@pytest.mark.parametrize("shown", [True, False])
async def test_nodes_may_ask_for_a_certificate(
    cassandra: Cassandra, certificate: MakeCertificate, keyspace: str, *, shown: bool
) -> None:
    """The one of the URL is shown; without it, they take nothing."""
    nodes, own = certificate("IP:127.0.0.1"), certificate("DNS:eventserver")
    async with over_tls(cassandra, nodes, asked=own) as port:
        url = f"cassandras://127.0.0.1:{port}/{keyspace}?ca={nodes}" + (f"&certificate={own}" if shown else "")
        store = CassandraStore(Options.parse(url, timeout=10 if shown else 5))
        if not shown:
            with pytest.raises(StoreUnavailable):
                await store.__aenter__()
            return
        async with store:
            assert await store.put([make_event()]) == [Outcome(Status.STORED)]


async def test_a_ca_that_is_none_is_said_when_the_store_opens(keyspace: str, tmp_path: Path) -> None:
    """Before anything is put."""
    ca = tmp_path / "ca.pem"
    ca.write_text("no certificate")
    store = CassandraStore(Options.parse(f"cassandras://127.0.0.1:1/{keyspace}?ca={ca}", timeout=5))
    with pytest.raises(StoreUnavailable):
        await store.__aenter__()
