"""TLS: a server is trusted by its certificate, and by nothing else."""

import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from backends.base import Outcome, Status
from backends.elasticsearch import ElasticsearchStore, Options
from backends.errors import StoreUnavailable
from servers.elasticsearch import Elasticsearch
from servers.faulty_proxy import FaultyProxy
from support.events import make_event


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return a certificate for ``localhost`` that signs itself, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = folder / "ca.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=DNS:localhost", "-out", str(certificate), "-keyout", str(key)]
    subprocess.run(command, check=True, capture_output=True)
    return certificate, key


@pytest.fixture
def host(elasticsearch: Elasticsearch, certificate: tuple[Path, Path]) -> Iterator[str]:
    """Return where Elasticsearch answers over TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    with FaultyProxy(elasticsearch.url, tls=context) as proxy:
        yield proxy.url.removeprefix("https://").replace("127.0.0.1", "localhost")


async def test_a_server_is_trusted_by_the_ca_of_the_url(host: str, certificate: tuple[Path, Path], prefix: str) -> None:
    """The store works as it does without TLS."""
    event = make_event()
    options = Options.parse(f"elasticsearchs://{host}/{prefix}?ca={certificate[0]}")
    async with ElasticsearchStore(options) as store:
        assert await store.put([event]) == [Outcome(Status.STORED)]
        assert await store.get(event.uuid) == event.record


@pytest.mark.parametrize("change", ["no ca", "another name"])
async def test_a_server_that_is_not_trusted_is_away(
    host: str, certificate: tuple[Path, Path], prefix: str, change: str
) -> None:
    """Without its authority, or under another name than the certificate's, nothing is sent to it."""
    ca = "" if change == "no ca" else f"?ca={certificate[0]}"
    name = host if change == "no ca" else host.replace("localhost", "127.0.0.1")
    async with ElasticsearchStore(Options.parse(f"elasticsearchs://{name}/{prefix}{ca}", timeout=3)) as store:
        with pytest.raises(StoreUnavailable, match=r"TLS|certificate"):
            await store.put([make_event()])


async def test_a_ca_that_is_none_is_said_when_the_store_opens(host: str, prefix: str, tmp_path: Path) -> None:
    """Before anything is put."""
    ca = tmp_path / "ca.pem"
    ca.write_text("no certificate")
    store = ElasticsearchStore(Options.parse(f"elasticsearchs://{host}/{prefix}?ca={ca}"))
    with pytest.raises(StoreUnavailable, match="can't be set up"):
        await store.__aenter__()
