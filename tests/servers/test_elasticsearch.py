"""The real Elasticsearch that other tests rely on does what its interface says."""

import pytest

from servers.elasticsearch import Elasticsearch


def test_it_answers_and_takes_documents(elasticsearch: Elasticsearch, prefix: str) -> None:
    """A document that was written is read back."""
    elasticsearch.request("PUT", f"/{prefix}-a/_doc/1", {"n": 1})
    assert elasticsearch.request("GET", f"/{prefix}-a/_doc/1")["_source"] == {"n": 1}


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_what_was_written_is_there_after_its_end_and_a_new_start(
    elasticsearch: Elasticsearch, prefix: str, end: str
) -> None:
    """Its address and its data stay; meanwhile connections are refused."""
    elasticsearch.request("PUT", f"/{prefix}-a/_doc/1", {"n": 1})
    getattr(elasticsearch, end)()
    with pytest.raises(ConnectionRefusedError):
        elasticsearch.request("GET", "/_cluster/health")
    elasticsearch.start()
    assert elasticsearch.request("GET", f"/{prefix}-a/_doc/1")["_source"] == {"n": 1}


def test_while_paused_it_hangs_and_then_goes_on(elasticsearch: Elasticsearch, prefix: str) -> None:
    """A paused server takes a connection and does not answer."""
    elasticsearch.pause()
    with pytest.raises(TimeoutError):
        elasticsearch.request("GET", f"/{prefix}*/_alias", seconds=0.5)
    elasticsearch.resume()
    assert elasticsearch.request("GET", f"/{prefix}*/_alias") == {}
