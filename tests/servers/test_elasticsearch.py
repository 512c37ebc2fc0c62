"""The real Elasticsearch that other tests rely on does what its interface says."""

from pathlib import Path

import pytest

from servers import elasticsearch as module
from servers.elasticsearch import Elasticsearch
from servers.errors import NoServer

pytestmark = pytest.mark.slow


def test_a_document_that_was_written_is_read_back(elasticsearch: Elasticsearch, prefix: str) -> None:
    """It is a real one."""
    elasticsearch.request("PUT", f"/{prefix}-a/_doc/1", {"n": 1})
    assert elasticsearch.request("GET", f"/{prefix}-a/_doc/1")["_source"] == {"n": 1}


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_it_comes_back_with_its_data_at_its_address(elasticsearch: Elasticsearch, prefix: str, end: str) -> None:
    """Meanwhile connections are refused."""
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


@pytest.mark.parametrize("harm", ["kill", "pause"])
def test_what_a_test_did_to_it_is_healed(elasticsearch: Elasticsearch, prefix: str, harm: str) -> None:
    """The next test finds it well."""
    getattr(elasticsearch, harm)()
    elasticsearch.heal()
    assert elasticsearch.request("GET", f"/{prefix}*/_alias") == {}


def test_what_has_a_prefix_is_removed_and_nothing_else(elasticsearch: Elasticsearch, prefix: str) -> None:
    """Indices, also with an alias, and index templates."""
    for name, indices in ((f"{prefix}-a", 21), (f"{prefix}-b", 2)):
        for number in range(indices):
            elasticsearch.request("PUT", f"/{name}-{number}", {"settings": {"number_of_replicas": 0}})
        elasticsearch.request("PUT", f"/{name}-0/_alias/{name}", {})
        elasticsearch.request(
            "PUT", f"/_index_template/{name}", {"index_patterns": [f"{name}*"], "priority": len(name)}
        )
    elasticsearch.remove(f"{prefix}-a")
    templates = elasticsearch.request("GET", "/_index_template")["index_templates"]
    assert len(elasticsearch.request("GET", f"/{prefix}*/_alias")) == 2
    assert [found["name"] for found in templates if found["name"].startswith(prefix)] == [f"{prefix}-b"]


@pytest.fixture
def behind(elasticsearch: Elasticsearch, prefix: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Elasticsearch:
    """The same server, taken for one that is not ours."""
    monkeypatch.setenv(module.VARIABLE, elasticsearch.url)
    return module.prepare()(tmp_path)


def test_one_that_is_not_ours_is_never_harmed(elasticsearch: Elasticsearch, prefix: str, behind: Elasticsearch) -> None:
    """What is killed and paused is the way to it."""
    with behind:
        behind.request("PUT", f"/{prefix}-a/_doc/1", {"n": 1})
        behind.pause()
        with pytest.raises(TimeoutError):
            behind.request("GET", f"/{prefix}-a/_doc/1", seconds=0.3)
        behind.kill()
        with pytest.raises(ConnectionRefusedError):
            behind.request("GET", f"/{prefix}-a/_doc/1")
        assert elasticsearch.request("GET", f"/{prefix}-a/_doc/1")["_source"] == {"n": 1}
        behind.restart()
        assert behind.request("GET", f"/{prefix}-a/_doc/1")["_source"] == {"n": 1}


def test_a_url_that_will_not_do_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not passed over in silence for another server."""
    monkeypatch.setenv(module.VARIABLE, "elasticsearch://here")
    with pytest.raises(NoServer, match=r"install a JDK.*SMRTFLOW_TEST_ELASTICSEARCH is not of the form http://"):
        module.prepare()


def test_what_to_install_is_said_in_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where there is neither a URL, nor Docker, nor Maven and Java."""
    monkeypatch.delenv(module.VARIABLE, raising=False)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NoServer) as raised:
        module.prepare()
    told = str(raised.value)
    assert told.startswith("Tests need a real Elasticsearch: install a JDK 21 or newer and Maven, or start Docker, or ")
    assert "Maven (mvn) was not found on PATH" in told or "no JDK 21 or newer was found" in told
    assert f"Docker does not give docker.elastic.co/elasticsearch/elasticsearch:{module.VERSION}" in told
