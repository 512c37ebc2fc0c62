"""Events that are small as JSON and huge in a flattened field.

A flattened field writes the whole path in front of each value. One key of 10,000 characters above 100,000 numbers is an
event of 1 MiB and makes a gigabyte of terms: it took a server with a heap of 768 MiB down.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from jiter import from_json

SMALL: Final = 8192
"""Bytes of an event that can't grow beyond measure: keys and values share them."""
MAXIMUM_KEY_CHARACTERS: Final = 16 << 20
"""Characters of paths that one event may make. Ordinary events of 1 MiB make a tenth of it."""

_CONTAINERS: Final = frozenset({dict, list})


class Flattening:
    """The flattened fields of one index."""

    def __init__(self, *mappings: Mapping[str, Any]) -> None:
        """Find them in mappings as ``make_mappings`` makes them, or as Elasticsearch shows them; in all of several."""
        paths = (path for each in mappings for path in _flattened_paths(each.get("properties", {}), ()))
        self._paths = tuple(dict.fromkeys(paths))

    def is_excessive(self, record: bytes) -> bool:
        """Tell whether indexing an event would cost memory out of all proportion; such a one is to be kept as it is.

        Takes no time for events up to ``SMALL`` bytes, else 10 to 20 ms for each MiB (200 at worst): for a thread.

        Args:
            record: an event or its finished record.

        """
        if len(record) <= SMALL or not self._paths:
            return False
        try:
            event = from_json(record, cache_mode="keys")
        except ValueError:  # a number of over 4,300 digits; Elasticsearch refuses those of over 1,000
            return True
        room = MAXIMUM_KEY_CHARACTERS
        for path in self._paths:
            for value in _values_at(event, path):
                room -= _key_characters(value, room)
                if room < 0:
                    return True
        return False


def _flattened_paths(fields: Mapping[str, Any], above: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for name, field in fields.items():
        if field.get("type") == "flattened":
            yield (*above, name)
        yield from _flattened_paths(field.get("properties", {}), (*above, name))


def _values_at(value: Any, path: tuple[str, ...]) -> Iterator[Any]:
    """Return the values at a path, looking into arrays."""
    if isinstance(value, list):
        for each in value:
            yield from _values_at(each, path)
    elif not path and isinstance(value, dict):
        yield value
    elif path and isinstance(value, dict) and path[0] in value:
        yield from _values_at(value[path[0]], path[1:])


def _key_characters(value: Any, room: int) -> int:
    """Return how long the paths of all scalars in a value are together, or any number above ``room``."""
    total = 0
    waiting = [(value, 0)]
    while waiting and total <= room:
        node, length = waiting.pop()
        if type(node) is dict:
            for key, each in node.items():
                path = length + len(key) + 1
                total += path
                if type(each) in _CONTAINERS:
                    waiting.append((each, path))
        else:
            inner = [each for each in node if type(each) in _CONTAINERS]
            waiting.extend((each, length) for each in inner)
            total += length * (len(node) - len(inner))
    return total
