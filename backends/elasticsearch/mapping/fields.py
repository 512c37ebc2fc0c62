"""From the shape of values to the field that indexes them.

A field is chosen only where it takes every value of the shape; where none does, the place is not indexed. To a parser
that meets a place without a field, nothing there is a fault.
"""

import math
from collections import deque
from collections.abc import Iterable
from typing import Any, Final

from backends.elasticsearch.mapping.shape import FREE, LISTED, Shape, elements, is_empty_object

Field = dict[str, Any]

DATE_FORMAT: Final = (
    "strict_date_optional_time"
    "||uuuu-MM-dd['T']['t']HH:mm:ss"
    "[.SSSSSSSSS][.SSSSSSSS][.SSSSSSS][.SSSSSS][.SSSSS][.SSSS][.SSS][.SS][.S][XXX][XX]['z']"
)
"""Date-times of RFC 3339, small ``t`` and ``z`` and offsets without a colon among them. What Elasticsearch can't
express (second 60, more than nine digits, an offset beyond 18 hours) is ignored as malformed, never refused."""
LONGEST_KEYWORD: Final = 8191
"""UTF-16 units. Lucene takes terms of 32,766 bytes, and a unit is three bytes at most."""
LONGEST_SUBFIELD: Final = 1024
"""UTF-16 units of free text that are also kept as one keyword, and of texts in objects that are left open."""
MAXIMUM_FIELDS: Final = 1000
"""Elasticsearch's default for ``index.mapping.total_fields.limit``."""
MAXIMUM_DEPTH: Final = 20
"""Elasticsearch's default for ``index.mapping.depth.limit``."""
_DEEPEST_EVENT: Final = 64
_INTEGERS: Final = {"byte": 8, "short": 16, "integer": 32, "long": 64}
_NUMBERS: Final = frozenset({"integer", "fraction"})
_IP: Final = frozenset({"ipv4", "ipv6"})


def make_field(shape: Shape, depth: int) -> Field | None:
    """Return the field for values of a shape, or None where no field takes them all.

    Args:
        shape: what may stand there. Arrays are their elements.
        depth: the number of names in the field's path.

    """
    shape = elements(shape)
    kinds = shape.kinds - {"null"}
    if not kinds or depth > MAXIMUM_DEPTH:
        return None
    if "object" in kinds:
        return _object(shape, depth) if len(kinds) == 1 else None
    if kinds <= _NUMBERS:
        return {"type": _number_type(shape), "ignore_malformed": True}
    if kinds == {"boolean"}:
        return {"type": "boolean"}
    return _text(shape.texts, mixed=kinds != {"string"})


def _text(texts: frozenset[str], *, mixed: bool) -> Field:
    """Return the field for texts, or for scalars of several kinds: as texts they can stand together."""
    if FREE in texts:
        return {"type": "text", "fields": {"keyword": {"type": "keyword", "ignore_above": LONGEST_SUBFIELD}}}
    if texts == {"date-time"} and not mixed:
        return {"type": "date", "format": DATE_FORMAT, "ignore_malformed": True}
    if texts and texts <= _IP and not mixed:
        return {"type": "ip", "ignore_malformed": True}
    keyword: Field = {"type": "keyword", "ignore_above": LONGEST_KEYWORD}
    if LISTED in texts:
        # Another version may leave free what this one lists: `.keyword` is then one field over both.
        keyword["fields"] = {"keyword": {"type": "keyword", "ignore_above": LONGEST_SUBFIELD}}
    return keyword


def _number_type(shape: Shape) -> str:
    """Return the smallest type that holds a range; ``long`` where there is no bound."""
    if "fraction" in shape.kinds:
        return "double"
    low, high = shape.low, shape.high
    for name, bits in _INTEGERS.items():
        if -(2 ** (bits - 1)) <= low and high < 2 ** (bits - 1):
            return name
    # A double is not exact beyond 64 bits, but it compares and adds up, as a keyword does not.
    return "double" if any(map(_is_beyond_long, (low, high))) else "long"


def _is_beyond_long(bound: float) -> bool:
    return math.isfinite(bound) and not -(2**63) <= bound < 2**63


def _object(shape: Shape, depth: int) -> Field | None:
    """Return the field for objects: with the members that are described, or else flattened.

    Arrays of objects are ``object``, not ``nested``: every member is found and aggregated like any other field, in
    Kibana too. (Nested ones would be hidden documents, of which ten thousand in one event are refused. What is lost is
    that two conditions hold for the same element.)
    """
    fields = {}
    for name in indexable_names(shape.members):
        if field := make_field(shape.members[name], depth + 1):
            fields[name] = field
    if fields:
        return {"type": "object", "dynamic": False, "properties": fields}
    return None if is_empty_object(shape) else flattened()


def flattened() -> Field:
    """Return the field for an object with members that nobody described: each is found by its exact text."""
    return {"type": "flattened", "ignore_above": LONGEST_SUBFIELD, "depth_limit": _DEEPEST_EVENT}


def indexable_names(names: Iterable[str]) -> list[str]:
    """Return, sorted, the names of members that can be fields.

    Elasticsearch splits names at dots, so ``a.b`` can't be told from a member ``b`` of ``a``: where a schema has names
    with dots, neither these are fields, nor is ``a``.
    """
    prefixes = {name.partition(".")[0] for name in names if "." in name}
    return sorted(name for name in names if name.strip() and "." not in name and name not in prefixes)


def limit_fields(properties: Field, room: int) -> None:
    """Remove, in place, the fields for which there is no room, the deepest first, and last names before first ones.

    Args:
        properties: fields by name, with those inside them.
        room: how many there may be; sub-fields count, and so do objects.

    """
    level = deque([properties])
    while level:
        fields = level.popleft()
        for name, field in list(fields.items()):
            size = 1 + len(field.get("fields", ()))
            if size > room:
                del fields[name]
                continue
            room -= size
            if "properties" in field:
                level.append(field["properties"])
