"""What a store URL of Cassandra says.

``cassandra://user:password@host1,host2:9042/keyspace?local_dc=dc1&replication=dc1:3,dc2:3``; ``cassandras:`` is the
same over TLS.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import parse_qsl, unquote, urlsplit

from backends.errors import InvalidStoreURL

KEYSPACE: Final = "smrtlink_events"
SHARD_ROWS: Final = 90_000
"""Rows of a partition at most: under the 100,000 that Cassandra's makers advise, with room for what is tried again."""
_PORT: Final = 9042
_TLS: Final = "cassandras"
_HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?")
_KEYSPACE: Final = re.compile(r"[a-z][a-z0-9_]{0,47}")
_DATA_CENTRE: Final = re.compile(r"[A-Za-z0-9_.-]{1,100}")
_HIGHEST_PORT: Final = 65535


@dataclass(frozen=True)
class Options:
    """See the module; made by ``parse``. Its ``repr`` shows no secret."""

    hosts: tuple[tuple[str, int], ...]
    """Contact points: who is asked for the others."""
    keyspace: str = KEYSPACE
    timeout: float = 10.0
    """Seconds that a call of the store may take."""
    tls: bool = False
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    ca: Path | None = None
    """Certificates (PEM) that the nodes' are signed with; None trusts those of the system."""
    certificate: Path | None = None
    """Our own certificate with its key (PEM), where the nodes ask for one."""
    local_dc: str | None = None
    """The data centre that is asked; None is that of the first contact point that answers."""
    consistency: str = "local_quorum"
    """Of reads and writes."""
    serial_consistency: str = "serial"
    """Of claims: ``local_serial`` only where all servers use one data centre."""
    replication: tuple[tuple[str, int], ...] | None = None
    """Copies by data centre of a keyspace that is created; None is three in each, or one for each node if fewer."""
    speculative_delay: float | None = None
    """Seconds after which a read or a list's row is also sent to another node; None is never."""
    concurrency: int = 256
    """Statements under way at the same time; others wait."""
    group_events: int = 500
    """Events whose list rows are written together at most."""
    shard_rows: int = SHARD_ROWS

    @classmethod
    def parse(cls, url: str, *, timeout: float = 10.0) -> Self:
        """Read a store URL.

        Args:
            url: see the module.
            timeout: used when the URL says none.

        Raises:
            InvalidStoreURL: it can't be understood; the message says which part, and shows no secret.

        """
        try:
            parts = urlsplit(url)
        except ValueError as error:
            raise InvalidStoreURL("the URL of a Cassandra store can't be read") from error
        if parts.fragment:
            raise InvalidStoreURL("the URL of a Cassandra store has no part behind '#'; write %23 for one in a name")
        credentials, _, hosts = parts.netloc.rpartition("@")
        tls = parts.scheme == _TLS
        values: dict[str, Any] = {"timeout": timeout, **_credentials(credentials), **_query(parts.query)}
        for name in ("ca", "certificate"):
            if name in values and not tls:
                raise InvalidStoreURL(f"?{name}= is for TLS: the URL should begin with {_TLS}://")
        return cls(hosts=_hosts(hosts), keyspace=_keyspace(parts.path), tls=tls, **values)


def _hosts(text: str) -> tuple[tuple[str, int], ...]:
    hosts = []
    for each in text.split(","):
        match = _HOST.fullmatch(each)
        port = int(match[2] or _PORT) if match else 0
        if match is None or not 0 < port <= _HIGHEST_PORT:
            raise InvalidStoreURL(
                f"{each!r} is no host of a Cassandra store; it should be such as node1:9042,node2:9042"
            )
        hosts.append((match[1].strip("[]"), port))
    return tuple(hosts)


def _keyspace(path: str) -> str:
    keyspace = unquote(path).strip("/") or KEYSPACE
    if _KEYSPACE.fullmatch(keyspace) is None:
        raise InvalidStoreURL(
            f"{keyspace!r} can't name a keyspace; it should be of a-z, 0-9 and '_', begin with a letter, and have at "
            f"most 48 characters, as {KEYSPACE} has"
        )
    return keyspace


def _credentials(text: str) -> dict[str, str]:
    if not text:
        return {}
    user, separator, password = text.partition(":")
    if not separator or not user:
        raise InvalidStoreURL("the credentials of the Cassandra store should be user:password@, percent-encoded")
    return {"user": unquote(user), "password": unquote(password)}


def _query(text: str) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        if name not in _READ:
            raise InvalidStoreURL(f"a Cassandra store has no option {name!r}; it has {', '.join(sorted(_READ))}")
        if name in values:
            raise InvalidStoreURL(f"option {name!r} of the Cassandra store is there twice")
        read, form = _READ[name]
        try:
            values[name] = read(value)
        except ValueError:
            raise InvalidStoreURL(f"option {name!r} of the Cassandra store should be {form}") from None
    return values


def _number(least: int, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        number = int(text) if re.fullmatch(r"[0-9]{1,9}", text) else -1
        if not least <= number <= most:
            raise ValueError
        return number

    return read


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0.0 < seconds < float("inf"):
        raise ValueError
    return seconds


def _one_of(*known: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text.lower() not in known:
            raise ValueError
        return text.lower()

    return read


def _file(text: str) -> Path:
    if not Path(text).is_file():
        raise ValueError
    return Path(text)


def _data_centre(text: str) -> str:
    if _DATA_CENTRE.fullmatch(text) is None:
        raise ValueError
    return text


def _replication(text: str) -> tuple[tuple[str, int], ...]:
    factors: dict[str, int] = {}
    for each in text.split(","):
        name, _, factor = each.rpartition(":")
        if _data_centre(name) in factors:
            raise ValueError
        factors[name] = _number(1, 99)(factor)
    return tuple(sorted(factors.items()))


_READ: Final[Mapping[str, tuple[Callable[[str], Any], str]]] = {
    "ca": (_file, "a file of certificates (PEM)"),
    "certificate": (_file, "a file of a certificate and its key (PEM)"),
    "local_dc": (_data_centre, "the name of a data centre"),
    "consistency": (_one_of("local_quorum", "quorum", "all"), "local_quorum, quorum or all"),
    "serial_consistency": (_one_of("serial", "local_serial"), "serial or local_serial"),
    "replication": (_replication, "copies by data centre, such as dc1:3,dc2:3"),
    "speculative_delay": (_seconds, "a number of seconds"),
    "timeout": (_seconds, "a number of seconds"),
    "concurrency": (_number(1, 10_000), "a number of 1 to 10000"),
    "group_events": (_number(1, 10_000), "a number of 1 to 10000"),
}
