"""What the URL of a store of bundles in object storage says.

``s3://bucket/prefix?endpoint=https://host:9000&region=eu-central-1&addressing=path&timeout=30``. Keys are never in it:
they come from where every program for S3 looks for them, ``AWS_ACCESS_KEY_ID`` and ``AWS_SECRET_ACCESS_KEY`` first.
"""

import re
from dataclasses import dataclass
from typing import Any, Final, Self
from urllib.parse import parse_qsl, unquote, urlsplit

from backends.errors import InvalidStoreURL

_BUCKET: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")
_PREFIX: Final = re.compile(r"(?:[A-Za-z0-9!_'()-][A-Za-z0-9!_.'()-]*(?:/|\Z))*")
_PREFIX_LENGTH: Final = 500
_REGION: Final = re.compile(r"[A-Za-z0-9-]{1,64}")
_ADDRESSINGS: Final = ("path", "virtual")
_LONGEST_TIMEOUT: Final = 3600.0


@dataclass(frozen=True)
class ObjectOptions:
    """See the module; made by ``parse``."""

    bucket: str
    prefix: str = ""
    """What all keys begin with; without a slash at its end."""
    endpoint: str | None = None
    """Such as ``https://minio:9000``; None is that of the environment (``AWS_ENDPOINT_URL``), or Amazon's."""
    region: str | None = None
    """None is that of the environment (``AWS_REGION``), or ``us-east-1``."""
    addressing: str | None = None
    """``path``: the bucket is in the path, as most servers want it; ``virtual``: in the host name, as Amazon does."""
    timeout: float = 30.0
    """Seconds that a call may take, a whole archive's included."""

    @classmethod
    def parse(cls, url: str, *, timeout: float = 30.0) -> Self:
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
            raise InvalidStoreURL("the URL of the store of bundles can't be read") from error
        if "@" in url.partition("?")[0]:
            # A secret may have a slash, and so not end with what looks like a host.
            raise InvalidStoreURL(
                "keys don't belong into the URL of the store of bundles; set AWS_ACCESS_KEY_ID and "
                "AWS_SECRET_ACCESS_KEY in the environment"
            )
        if parts.fragment:
            raise InvalidStoreURL("the URL of the store of bundles has no part behind '#'")
        if _BUCKET.fullmatch(parts.netloc) is None:
            raise InvalidStoreURL(f"{parts.netloc!r} is no bucket; the URL should be such as s3://bucket/prefix")
        prefix = unquote(parts.path).removeprefix("/").removesuffix("/")
        if len(prefix) > _PREFIX_LENGTH or _PREFIX.fullmatch(prefix) is None:
            raise InvalidStoreURL(f"{prefix[:100]!r} can't begin keys; it should be such as site/bundles")
        return cls(**{"bucket": parts.netloc, "prefix": prefix, "timeout": timeout, **_query(parts.query)})


def _query(text: str) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        if name not in _READ:
            raise InvalidStoreURL(f"the store of bundles has no option {name!r}; it has {', '.join(sorted(_READ))}")
        if name in values:
            raise InvalidStoreURL(f"option {name!r} of the store of bundles is there twice")
        values[name] = _READ[name](value)
    return values


def _endpoint(value: str) -> str:
    try:
        parts = urlsplit(value)
        valid = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        valid = False
    if not valid or "@" in value or parts.path.strip("/") or parts.query or parts.fragment:
        raise InvalidStoreURL("?endpoint= of the store of bundles should be such as https://host:9000")
    return value.rstrip("/")


def _region(value: str) -> str:
    if _REGION.fullmatch(value) is None:
        raise InvalidStoreURL(f"{value[:64]!r} is no region; it should be such as eu-central-1")
    return value


def _addressing(value: str) -> str:
    if value not in _ADDRESSINGS:
        raise InvalidStoreURL(f"?addressing= of the store of bundles should be {' or '.join(_ADDRESSINGS)}")
    return value


def _timeout(value: str) -> float:
    if re.fullmatch(r"[0-9]{1,4}(\.[0-9]{1,3})?", value) is None or not 0 < float(value) <= _LONGEST_TIMEOUT:
        raise InvalidStoreURL("?timeout= of the store of bundles should be seconds, such as 30")
    return float(value)


_READ: Final = {"endpoint": _endpoint, "region": _region, "addressing": _addressing, "timeout": _timeout}
