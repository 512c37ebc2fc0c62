"""What values a schema lets stand at one place: never fewer than it takes, so that no valid value is a surprise.

``either`` is the union of two shapes (``anyOf``), ``both`` their intersection (``allOf``). Where one can't be told
exactly, it is too large, never too small.
"""

from collections.abc import Iterable, Mapping
from functools import reduce
from typing import Any, Final, NamedTuple

KINDS: Final = frozenset({"null", "boolean", "integer", "fraction", "string", "object", "array"})
"""Kinds of JSON values; ``integer`` and ``fraction`` (what is no whole number) together are ``number``."""
FREE: Final = "free"
"""A text of any form."""
LISTED: Final = "listed"
"""A text that an ``enum`` or a ``const`` lists."""
_NUMBERS: Final = frozenset({"integer", "fraction"})
_INFINITY: Final = float("inf")


class Shape(NamedTuple):
    """The values that may stand at a place. A component means something only while its kind is among ``kinds``."""

    kinds: frozenset[str]
    texts: frozenset[str] = frozenset()
    """Forms of text: ``FREE``, ``LISTED`` or names of formats."""
    low: float = _INFINITY
    high: float = -_INFINITY
    """Bounds of whole numbers, inclusive."""
    members: Mapping[str, "Shape"] = {}
    """Members of objects, by name."""
    others: "Shape | None" = None
    """Members with any other name; None stands for ``ANYTHING``, which holds itself."""
    items: "Shape | None" = None
    """Items of arrays; None stands for ``ANYTHING``."""


NOTHING: Final = Shape(frozenset())
ANYTHING: Final = Shape(KINDS, frozenset({FREE}), -_INFINITY, _INFINITY)


def of_kinds(kinds: Iterable[str]) -> Shape:
    """Return the shape of all values of some kinds."""
    if kinds == KINDS:
        return ANYTHING
    return _pruned(ANYTHING._replace(kinds=frozenset(kinds)))


def either(one: Shape, other: Shape) -> Shape:
    """Return the shape of the values that have one shape or the other."""
    if one is ANYTHING or other is ANYTHING:
        return ANYTHING
    if not one.kinds or not other.kinds:
        return one if one.kinds else other
    return Shape(
        one.kinds | other.kinds,
        one.texts | other.texts,
        min(one.low, other.low),
        max(one.high, other.high),
        {name: either(member(one, name), member(other, name)) for name in _names(one, other)},
        _optional(either(_others(one), _others(other))),
        _optional(either(_items(one), _items(other))),
    )


def both(one: Shape, other: Shape) -> Shape:
    """Return the shape of the values that have one shape and the other, or a larger one."""
    if one is ANYTHING or other is ANYTHING:
        return other if one is ANYTHING else one
    if one.kinds.isdisjoint(other.kinds):
        return NOTHING
    return _pruned(
        Shape(
            one.kinds & other.kinds,
            _common_texts(one.texts, other.texts),
            max(one.low, other.low),
            min(one.high, other.high),
            {name: both(member(one, name), member(other, name)) for name in _names(one, other)},
            _optional(both(_others(one), _others(other))),
            _optional(both(_items(one), _items(other))),
        )
    )


def any_of(shapes: Iterable[Shape]) -> Shape:
    """Return the shape of the values that have one of the shapes."""
    return reduce(either, shapes, NOTHING)


def of_value(value: Any) -> Shape:
    """Return the shape that a value of a ``const`` or an ``enum`` has."""
    if value is None:
        return of_kinds({"null"})
    if isinstance(value, bool):
        return of_kinds({"boolean"})
    if isinstance(value, str):
        return Shape(frozenset({"string"}), frozenset({LISTED}))
    if isinstance(value, int | float):
        kind = "integer" if isinstance(value, int) or value.is_integer() else "fraction"
        return Shape(frozenset({kind}), low=value, high=value)
    if isinstance(value, list):
        return Shape(frozenset({"array"}), items=any_of(map(of_value, value)))
    members = {name: of_value(each) for name, each in value.items()}
    return Shape(frozenset({"object"}), members=members, others=NOTHING)


def member(shape: Shape, name: str) -> Shape:
    """Return the shape of the member of that name, in the objects among the values."""
    if "object" not in shape.kinds:
        return NOTHING
    return shape.members[name] if name in shape.members else _others(shape)


def elements(shape: Shape) -> Shape:
    """Return the shape with arrays, however deep, replaced by what they hold.

    To Elasticsearch an array is its elements, and one value is an array of one.
    """
    while "array" in shape.kinds and shape is not ANYTHING:
        shape = either(_pruned(shape._replace(kinds=shape.kinds - {"array"})), _items(shape))
    return shape


def is_empty_object(shape: Shape) -> bool:
    """Tell whether objects of this shape have no members."""
    return not _others(shape).kinds and not any(each.kinds for each in shape.members.values())


def _pruned(shape: Shape) -> Shape:
    """Return the same shape without components whose kind is not there."""
    changes: dict[str, Any] = {}
    if "string" not in shape.kinds:
        changes["texts"] = frozenset()
    if not shape.kinds & _NUMBERS:
        changes |= {"low": _INFINITY, "high": -_INFINITY}
    if "object" not in shape.kinds:
        changes |= {"members": {}, "others": None}
    if "array" not in shape.kinds:
        changes["items"] = None
    return shape._replace(**changes)


def _others(shape: Shape) -> Shape:
    if "object" not in shape.kinds:
        return NOTHING
    return ANYTHING if shape.others is None else shape.others


def _items(shape: Shape) -> Shape:
    if "array" not in shape.kinds:
        return NOTHING
    return ANYTHING if shape.items is None else shape.items


def _optional(shape: Shape) -> Shape | None:
    return None if shape is ANYTHING else shape


def _names(one: Shape, other: Shape) -> set[str]:
    return {*one.members, *other.members}


def _common_texts(one: frozenset[str], other: frozenset[str]) -> frozenset[str]:
    """Return the forms that both allow; two forms that differ (a listed uuid) may be those of one text."""
    if FREE in one or FREE in other:
        return other if FREE in one else one
    return one & other or one | other
