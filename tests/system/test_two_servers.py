"""Two servers on one store: of 50 POSTs of one uuid, split between them, exactly one is answered 201.

All other answers, and every GET from either server, show that one.
"""

from pathlib import Path

import pytest

from servers.cassandra import Cassandra
from servers.elasticsearch import Elasticsearch
from tests.system.two_servers import share_one_uuid

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240), pytest.mark.parametrize("contents", [1, 2, 25])]


async def test_on_cassandra(tmp_path: Path, cassandra: Cassandra, keyspace: str, contents: int) -> None:
    """The claim is decided by a lightweight transaction."""
    await share_one_uuid(tmp_path, f"{cassandra.url}/{keyspace}", keyspace, contents)


async def test_on_elasticsearch(tmp_path: Path, elasticsearch: Elasticsearch, prefix: str, contents: int) -> None:
    """The claim is decided by the version of a document."""
    url = elasticsearch.url.replace("http:", "elasticsearch:")
    await share_one_uuid(tmp_path, f"{url}/{prefix}", prefix, contents)
