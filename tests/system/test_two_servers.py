"""Two servers on one store: of 50 POSTs of one uuid, split between them, exactly one is answered 201.

All other answers, and every GET from either server, show that one.
"""

from pathlib import Path

import pytest

from servers.cassandra import Cassandra
from servers.elasticsearch import Elasticsearch
from tests.system.two_servers import share_one_uuid

JOB, OTHER = b"smrtlink_job_change_state", b"sl_test_event"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(240),
    pytest.mark.parametrize(
        ("contents", "types"),
        [(1, (JOB,)), (25, (JOB,)), (2, (JOB, OTHER))],
        ids=["one content", "many contents", "two event types"],
    ),
]


async def test_on_cassandra(
    tmp_path: Path, cassandra: Cassandra, keyspace: str, contents: int, types: tuple[bytes, ...]
) -> None:
    """The claim is decided by a lightweight transaction."""
    await share_one_uuid(tmp_path, f"{cassandra.url}/{keyspace}", keyspace, contents, types)


async def test_on_elasticsearch(
    tmp_path: Path, elasticsearch: Elasticsearch, prefix: str, contents: int, types: tuple[bytes, ...]
) -> None:
    """The claim is decided by the version of a document."""
    url = elasticsearch.url.replace("http:", "elasticsearch:")
    await share_one_uuid(tmp_path, f"{url}/{prefix}", prefix, contents, types)
