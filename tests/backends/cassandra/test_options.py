"""What a store URL says, and what is wrong with one."""

from pathlib import Path

import pytest

from backends import hide_secrets, open_store
from backends.cassandra import CassandraStore, Options
from backends.errors import InvalidStoreURL


def test_a_host_is_enough() -> None:
    """Everything else has a default, and the default is the safe one."""
    options = Options.parse("cassandra://node1", timeout=3)
    assert options.hosts == (("node1", 9042),)
    assert (options.keyspace, options.timeout, options.tls) == ("smrtlink_events", 3, False)
    assert (options.consistency, options.serial_consistency) == ("local_quorum", "serial")
    assert (options.local_dc, options.replication, options.speculative_delay) == (None, None, None)


def test_everything_can_be_said(tmp_path: Path) -> None:
    """Several contact points, credentials with percent-encoding, TLS, data centres, consistency, bounds."""
    ca, certificate = tmp_path / "ca.pem", tmp_path / "me.pem"
    ca.touch()
    certificate.touch()
    options = Options.parse(
        f"cassandras://me:p%40s%3As@node1,node2:9043,[::1]:9044/my_events?ca={ca}&certificate={certificate}"
        "&local_dc=dc1&consistency=QUORUM&serial_consistency=local_serial&replication=dc2:2,dc1:3"
        "&speculative_delay=0.2&timeout=1.5&concurrency=10&group_events=20"
    )
    assert options.hosts == (("node1", 9042), ("node2", 9043), ("::1", 9044))
    assert (options.user, options.password, options.tls) == ("me", "p@s:s", True)
    assert (options.keyspace, options.ca, options.certificate) == ("my_events", ca, certificate)
    assert (options.local_dc, options.consistency, options.serial_consistency) == ("dc1", "quorum", "local_serial")
    assert options.replication == (("dc1", 3), ("dc2", 2))
    assert (options.speculative_delay, options.timeout) == (0.2, 1.5)
    assert (options.concurrency, options.group_events) == (10, 20)


@pytest.mark.parametrize(
    ("url", "wrong"),
    [
        ("cassandra:", "no host"),
        ("cassandra:///keyspace", "no host"),
        ("cassandra://a,,b", "no host"),
        ("cassandra://a:0", "no host"),
        ("cassandra://a:99999", "no host"),
        ("cassandra://a b", "no host"),
        ("cassandra://[::1", "can't be read"),
        ("cassandra://a/Upper", "'Upper' can't name"),
        ("cassandra://a/b/c", "'b/c' can't name"),
        ("cassandra://a/b-c", "can't name"),
        ('cassandra://a/x";drop', "can't name"),
        ("cassandra://a/" + "x" * 49, "can't name"),
        ("cassandra://a/x#y", "#"),
        ("cassandra://user@a", "user:password@"),
        ("cassandra://:secret@a", "user:password@"),
        ("cassandra://a?colour=red", "no option 'colour'"),
        ("cassandra://a?timeout=1&timeout=2", "twice"),
        ("cassandra://a?timeout=0", "'timeout'"),
        ("cassandra://a?timeout=nan", "'timeout'"),
        ("cassandra://a?speculative_delay=-1", "'speculative_delay'"),
        ("cassandra://a?concurrency=0", "'concurrency'"),
        ("cassandra://a?group_events=many", "'group_events'"),
        ("cassandra://a?consistency=one", "local_quorum, quorum or all"),
        ("cassandra://a?serial_consistency=one", "serial or local_serial"),
        ("cassandra://a?replication=3", "dc1:3,dc2:3"),
        ("cassandra://a?replication=dc1:0", "dc1:3,dc2:3"),
        ("cassandra://a?replication=dc1:3,dc1:2", "dc1:3,dc2:3"),
        ("cassandra://a?replication=d'c:3", "dc1:3,dc2:3"),
        ("cassandra://a?local_dc=", "name of a data centre"),
        ("cassandras://a?ca=/not/there", "'ca'"),
        ("cassandra://a?ca=/etc/hostname", "cassandras://"),
        ("cassandra://a?certificate=/etc/hostname", "cassandras://"),
    ],
)
def test_what_is_wrong_is_said(url: str, wrong: str) -> None:
    """Which part, and what would be right; a weak consistency, which would lose what was acknowledged, is no option."""
    with pytest.raises(InvalidStoreURL, match=wrong):
        Options.parse(url)


@pytest.mark.parametrize(
    "url", ["cassandra://me:hunter2@a?colour=red", "cassandra://me:hunter2@a,,b", "cassandra://me:hunter2@a/X"]
)
def test_no_message_shows_a_password(url: str) -> None:
    """However wrong the rest is."""
    with pytest.raises(InvalidStoreURL) as caught:
        Options.parse(url)
    assert "hunter2" not in str(caught.value)


def test_nothing_shows_a_password() -> None:
    """Neither the options nor the URL as it is logged."""
    url = "cassandra://me:hunter2@a,b/keyspace"
    assert "hunter2" not in repr(Options.parse(url))
    assert "hunter2" not in hide_secrets(url)


@pytest.mark.parametrize("scheme", ["cassandra", "cassandras"])
def test_the_url_chooses_the_store(tmp_path: Path, scheme: str) -> None:
    """As for every store."""
    assert isinstance(open_store(f"{scheme}://node1/keyspace", root=tmp_path), CassandraStore)
