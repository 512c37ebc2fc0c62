"""A digest over the content of events, whatever their order: equal where ``backends.equality`` finds them equal."""

import json
from hashlib import blake2b
from typing import Any, Final

from backends.collector import collector_paused

_BYTES: Final = 16
_SYSTEM_KEYS: Final = ("smrtlinkId", "smrtLinkId")


class _Number(str):
    """A number by its text; shown without quotation marks, so that it is no text."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


class ContentDigest:
    """The sum of the digests of events.

    Attributes:
        count: how many events.

    """

    def __init__(self) -> None:
        self.count = 0
        self._sum = 0

    def add(self, original: bytes) -> int:
        """Take in an event as sent; return what stands for its content."""
        content = digest_content(original)
        self.add_content(content)
        return content

    def add_content(self, content: int) -> None:
        """Take in an event by what stands for its content."""
        self.count += 1
        self._sum = (self._sum + content) % (1 << 8 * _BYTES)

    def __str__(self) -> str:
        """Return it in hexadecimal digits."""
        return f"{self._sum:0{2 * _BYTES}x}"


def digest_content(original: bytes) -> int:
    """Return a number that stands for the content of an event; equal for equal content, and only then."""
    with collector_paused():
        value = json.loads(original.decode(), parse_int=_Number, parse_float=_Number, object_pairs_hook=_sorted_members)
        members = dict(value)
        system = next(members.pop(key) for key in _SYSTEM_KEYS if key in members)
        members |= {_SYSTEM_KEYS[0]: system.lower(), "uuid": members["uuid"].lower()}
        text = ascii(_sorted_members(list(members.items())))
    return int.from_bytes(blake2b(text.encode(), digest_size=_BYTES).digest(), "big")


def _sorted_members(pairs: list[tuple[str, Any]]) -> tuple[tuple[str, Any], ...]:
    # Keys are unique, so values are never compared.
    return tuple(sorted(pairs))
