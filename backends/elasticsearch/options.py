"""What a store URL of Elasticsearch says.

``elasticsearch://user:password@host:9200,host2:9200/prefix?shards=2&replicas=1&refresh_interval=5s``;
``elasticsearchs:`` is the same over TLS.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import parse_qsl, unquote, urlsplit

from backends.errors import InvalidStoreURL

PREFIX: Final = "smrtlink-events"
_PORT: Final = 9200
_SCHEMES: Final = {"elasticsearch": "http", "elasticsearchs": "https"}
_HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?")
_PREFIX: Final = re.compile(r"[a-z0-9][a-z0-9_.-]{0,99}")
_INTERVAL: Final = re.compile(r"-1|[1-9][0-9]*(?:ms|s|m|h)")
_HIGHEST_PORT: Final = 65535


@dataclass(frozen=True)
class Options:
    """See the module; made by ``parse``. Its ``repr`` shows no secret."""

    hosts: tuple[str, ...]
    """Such as ``http://es1:9200``."""
    prefix: str = PREFIX
    """What the names of all indices and aliases begin with."""
    timeout: float = 10.0
    """Seconds that a call of the store may take."""
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    api_key: str | None = field(default=None, repr=False)
    ca: Path | None = None
    """Certificates (PEM) that the servers' are signed with; None trusts those of the system."""
    shards: int = 1
    """Primary shards of each event type's index; takes effect when an index is created."""
    replicas: int | None = None
    """Copies of each shard; None is one where there is a second node, else none."""
    refresh_interval: str | None = None
    """How soon others than this server see what was stored; None is Elasticsearch's own way."""
    bulk_events: int = 1000
    """Events that one ``_bulk`` call takes at most."""
    bulk_bytes: int = 4 * 1024 * 1024
    """Bytes that one ``_bulk`` call takes at most, but one event at least."""
    bulk_calls: int = 2
    """``_bulk`` calls under way at the same time."""

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
            raise InvalidStoreURL("the URL of an Elasticsearch store can't be read") from error
        if parts.fragment:
            raise InvalidStoreURL(
                "the URL of an Elasticsearch store has no part behind '#'; write %23 for one in a name"
            )
        credentials, _, hosts = parts.netloc.rpartition("@")
        values: dict[str, Any] = {"timeout": timeout, **_credentials(credentials), **_query(parts.query)}
        if "user" in values and "api_key" in values:
            raise InvalidStoreURL("the URL of the Elasticsearch store has a user and an api_key; one of them is enough")
        if "ca" in values and parts.scheme != "elasticsearchs":
            raise InvalidStoreURL("?ca= is for TLS: the URL should begin with elasticsearchs://")
        return cls(hosts=_hosts(_SCHEMES[parts.scheme], hosts), prefix=_prefix(parts.path), **values)


def _hosts(scheme: str, text: str) -> tuple[str, ...]:
    hosts = []
    for each in text.split(","):
        match = _HOST.fullmatch(each)
        port = int(match[2] or _PORT) if match else 0
        if match is None or not 0 < port <= _HIGHEST_PORT:
            raise InvalidStoreURL(
                f"{each!r} is no host of an Elasticsearch store; it should be such as es1:9200,es2:9200"
            )
        hosts.append(f"{scheme}://{match[1]}:{port}")
    return tuple(hosts)


def _prefix(path: str) -> str:
    prefix = unquote(path).strip("/") or PREFIX
    if _PREFIX.fullmatch(prefix) is None:
        raise InvalidStoreURL(
            f"{prefix!r} can't begin the names of indices; it should be of a-z, 0-9, '_', '.' and '-', as in {PREFIX}"
        )
    return prefix


def _credentials(text: str) -> dict[str, str]:
    if not text:
        return {}
    user, separator, password = text.partition(":")
    if not separator or not user:
        raise InvalidStoreURL("the credentials of the Elasticsearch store should be user:password@, percent-encoded")
    return {"user": unquote(user), "password": unquote(password)}


def _query(text: str) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        if name not in _READ:
            raise InvalidStoreURL(f"an Elasticsearch store has no option {name!r}; it has {', '.join(sorted(_READ))}")
        if name in values:
            raise InvalidStoreURL(f"option {name!r} of the Elasticsearch store is there twice")
        read, form = _READ[name]
        try:
            values[name] = read(value)
        except ValueError:
            # The value may be a secret; the form helps more.
            raise InvalidStoreURL(f"option {name!r} of the Elasticsearch store should be {form}") from None
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


def _interval(text: str) -> str:
    if _INTERVAL.fullmatch(text) is None:
        raise ValueError
    return text


def _secret(text: str) -> str:
    if not text:
        raise ValueError
    return text


def _file(text: str) -> Path:
    if not Path(text).is_file():
        raise ValueError
    return Path(text)


_READ: Final[Mapping[str, tuple[Callable[[str], Any], str]]] = {
    "api_key": (_secret, "an encoded API key, percent-encoded"),
    "ca": (_file, "a file of certificates (PEM)"),
    "shards": (_number(1, 1024), "a number of 1 to 1024"),
    "replicas": (_number(0, 10), "a number of 0 to 10"),
    "refresh_interval": (_interval, "such as 1s, 500ms or -1"),
    "timeout": (_seconds, "a number of seconds"),
    "bulk_events": (_number(1, 100_000), "a number of 1 to 100000"),
    "bulk_bytes": (_number(1, 10**8), "a number of bytes up to 100000000"),
    "bulk_calls": (_number(1, 64), "a number of 1 to 64"),
}
