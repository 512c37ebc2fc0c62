"""What a store URL says, and what is wrong with one."""

from pathlib import Path

import pytest

from backends import hide_secrets, open_store
from backends.elasticsearch import ElasticsearchStore, Options
from backends.errors import InvalidStoreURL


def test_a_host_is_enough() -> None:
    """Everything else has a default."""
    options = Options.parse("elasticsearch://es1", timeout=3)
    assert options.hosts == ("http://es1:9200",)
    assert (options.prefix, options.timeout) == ("smrtlink-events", 3)
    assert (options.shards, options.replicas, options.refresh_interval) == (1, None, None)


def test_everything_can_be_said(tmp_path: Path) -> None:
    """Several hosts, credentials with percent-encoding, TLS, settings of the indices, bounds."""
    ca = tmp_path / "ca.pem"
    ca.touch()
    options = Options.parse(
        f"elasticsearchs://me:p%40s%3As@es1,es2:9201,[::1]:9202/my-events/?ca={ca}&shards=3&replicas=0"
        "&refresh_interval=30s&timeout=1.5&bulk_events=10&bulk_bytes=1000&bulk_calls=3"
    )
    assert options.hosts == ("https://es1:9200", "https://es2:9201", "https://[::1]:9202")
    assert (options.user, options.password, options.api_key) == ("me", "p@s:s", None)
    assert (options.prefix, options.ca, options.timeout) == ("my-events", ca, 1.5)
    assert (options.shards, options.replicas, options.refresh_interval) == (3, 0, "30s")
    assert (options.bulk_events, options.bulk_bytes, options.bulk_calls) == (10, 1000, 3)


def test_an_api_key_takes_the_place_of_a_user() -> None:
    """It is given as Elasticsearch shows it, encoded."""
    assert Options.parse("elasticsearch://es1/?api_key=VuaCfGcBCdbkQm-e5aOx%3D%3D").api_key == "VuaCfGcBCdbkQm-e5aOx=="


@pytest.mark.parametrize(
    ("url", "wrong"),
    [
        ("elasticsearch:", "no host"),
        ("elasticsearch:///prefix", "no host"),
        ("elasticsearch://a,,b", "no host"),
        ("elasticsearch://a:0", "no host"),
        ("elasticsearch://a:99999", "no host"),
        ("elasticsearch://a:b", "no host"),
        ("elasticsearch://a b", "no host"),
        ("elasticsearch://a/Upper", "'Upper' can't begin"),
        ("elasticsearch://a/b/c", "'b/c' can't begin"),
        ("elasticsearch://a/-x", "can't begin"),
        ("elasticsearch://a/" + "x" * 101, "can't begin"),
        ("elasticsearch://a/x#y", "#"),
        ("elasticsearch://user@a", "user:password@"),
        ("elasticsearch://:secret@a", "user:password@"),
        ("elasticsearch://a?colour=red", "no option 'colour'"),
        ("elasticsearch://a?shards=1&shards=2", "twice"),
        ("elasticsearch://a?shards=0", "'shards'"),
        ("elasticsearch://a?shards=x", "'shards'"),
        ("elasticsearch://a?replicas=-1", "'replicas'"),
        ("elasticsearch://a?refresh_interval=soon", "'refresh_interval'"),
        ("elasticsearch://a?timeout=0", "'timeout'"),
        ("elasticsearch://a?timeout=nan", "'timeout'"),
        ("elasticsearch://a?timeout=inf", "'timeout'"),
        ("elasticsearch://a?api_key=", "'api_key'"),
        ("elasticsearchs://a?ca=/nowhere/ca.pem", "'ca'"),
        ("elasticsearch://a?ca=/etc/hosts", "elasticsearchs"),
        ("elasticsearch://u:secret@a?api_key=secret", "one of them"),
        ("elasticsearch://u:secret@a:x", "no host"),
        ("elasticsearch://u:secret@a/UP?api_key=secret", "can't begin|one of them"),
    ],
)
def test_what_can_not_be_understood_is_named(url: str, wrong: str) -> None:
    """The message names the part and never shows a secret."""
    with pytest.raises(InvalidStoreURL, match=wrong) as error:
        Options.parse(url)
    assert "secret" not in str(error.value)


def test_secrets_are_not_shown() -> None:
    """Neither by the options, nor by the URL that is shown, nor by an error about a scheme."""
    urls = ["elasticsearch://me:secret@a,b/p", "elasticsearch://a/p?shards=1&api_key=secret&timeout=1"]
    for url in urls:
        assert "secret" not in repr(Options.parse(url))
        assert "secret" not in hide_secrets(url)
        with pytest.raises(InvalidStoreURL) as error:
            open_store(url.replace("elasticsearch", "elastic"), root=Path())
        assert "secret" not in str(error.value)
    assert hide_secrets(urls[0]) == "elasticsearch://me:***@a,b/p"
    assert hide_secrets("elasticsearch://a:9200,b/p?shards=1") == "elasticsearch://a:9200,b/p?shards=1"


@pytest.mark.parametrize("scheme", ["elasticsearch", "elasticsearchs"])
def test_a_url_makes_the_store(scheme: str, tmp_path: Path) -> None:
    """The URL alone chooses it, and making it touches nothing."""
    assert isinstance(open_store(f"{scheme}://nowhere.invalid/x", root=tmp_path), ElasticsearchStore)
    assert list(tmp_path.iterdir()) == []
