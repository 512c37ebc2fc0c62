"""An event as a JSON value, and what a path such as ``message.jobId`` names in it."""

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from jiter import from_json

from backends.base import Event
from backends.record import original_of

_LONGEST_INTEGER: Final = 300
MISSING: Final = object()
"""What a path names that is not there."""


def read_value(event: Event) -> dict[str, Any]:
    """Return the value of the event as sent; it is shared, and not to be changed."""
    return _read(event.record)


@lru_cache(maxsize=1)
def _read(record: bytes) -> dict[str, Any]:
    """Read a record; the last one is kept, since several listeners judge an event one right after the other."""
    text = original_of(record)
    try:
        value = from_json(text, cache_mode="keys")
    except ValueError:
        # Legal in an event, and beyond jiter: integers of thousands of digits.
        value = json.loads(text, parse_int=lambda digits: int(digits) if len(digits) <= _LONGEST_INTEGER else digits)
    assert isinstance(value, dict)
    return value


def look_up(value: Mapping[str, Any], path: str) -> Any:
    """Return what a path of keys names, or ``MISSING``; ``smrtlinkId`` finds both spellings."""
    if path == "smrtlinkId" and "smrtLinkId" in value:
        return value["smrtLinkId"]
    found: Any = value
    for key in path.split("."):
        if not isinstance(found, Mapping) or key not in found:
            return MISSING
        found = found[key]
    return found
