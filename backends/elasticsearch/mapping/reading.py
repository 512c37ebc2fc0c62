"""From JSON Schema 2020-12 to the shape of what it takes.

What is not understood only ever narrows, so it is left out. That holds for ``not``, ``contains``, ``pattern``,
``required`` and their like, and for every keyword of another vocabulary.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import unquote

from backends.elasticsearch.mapping.shape import (
    ANYTHING,
    FREE,
    KINDS,
    NOTHING,
    Shape,
    any_of,
    both,
    either,
    of_kinds,
    of_value,
)

FORMATS: Final = frozenset({"date-time", "uuid", "ipv4", "ipv6"})
"""The formats that schemas may rely on; any other is taken for free text."""
MAXIMUM_SCHEMAS: Final = 10_000
"""Schemas that are looked at; what comes after them may be anything. References can multiply without limit."""
MAXIMUM_DEPTH: Final = 64
"""Schemas inside schemas."""
_KINDS_OF_TYPES: Final = {"number": ("integer", "fraction")}


def read_shape(schema: Any) -> Shape:
    """Return the shape of what a schema takes, or a larger one.

    Args:
        schema: an object or a boolean. References within it (``#/...``) are followed; one that leads elsewhere may name
            anything, and so may one that leads back to where it stands, but for its type.

    """
    return _Reader(schema).read(schema, ())


class _Reader:
    """One schema, and how much of it was looked at."""

    def __init__(self, root: Any) -> None:
        self._root = root
        self._count = 0
        self._depth = 0

    def read(self, schema: Any, trail: tuple[str, ...]) -> Shape:
        """Return the shape of one schema; the trail holds the references that led here."""
        if not isinstance(schema, Mapping):
            return NOTHING if schema is False else ANYTHING
        self._count += 1
        if self._count > MAXIMUM_SCHEMAS or self._depth >= MAXIMUM_DEPTH or ("$id" in schema and self._count > 1):
            return ANYTHING
        self._depth += 1
        shape = ANYTHING
        for part in self._parts(schema, trail):
            shape = both(shape, part)
        self._depth -= 1
        return shape

    def _parts(self, schema: Mapping[str, Any], trail: tuple[str, ...]) -> Iterator[Shape]:
        """Return the shapes that a value must all have."""
        yield of_kinds(_kinds(schema))
        yield from _values(schema)
        yield _texts(schema)
        yield _numbers(schema)
        yield self._objects(schema, trail)
        yield self._arrays(schema, trail)
        if "$ref" in schema:
            yield self._reference(schema["$ref"], trail)
        for part in schema.get("allOf", ()):
            yield self.read(part, trail)
        for keyword in ("anyOf", "oneOf"):
            if keyword in schema:
                yield any_of(self.read(part, trail) for part in schema[keyword])
        if "if" in schema:
            then = both(self.read(schema["if"], trail), self.read(schema.get("then", True), trail))
            yield either(then, self.read(schema.get("else", True), trail))

    def _objects(self, schema: Mapping[str, Any], trail: tuple[str, ...]) -> Shape:
        """Return what is said of objects. A member that also fits a pattern is taken for what its name says."""
        properties = schema.get("properties", {})
        patterns = schema.get("patternProperties", {})
        if not properties and not patterns and "additionalProperties" not in schema:
            return ANYTHING
        others = any_of(
            self.read(part, trail) for part in (*patterns.values(), schema.get("additionalProperties", True))
        )
        return ANYTHING._replace(
            members={name: self.read(properties[name], trail) for name in sorted(properties)},
            others=None if others is ANYTHING else others,
        )

    def _arrays(self, schema: Mapping[str, Any], trail: tuple[str, ...]) -> Shape:
        """Return what is said of arrays."""
        first = schema.get("prefixItems", ())
        if not first and "items" not in schema:
            return ANYTHING
        items = any_of(self.read(part, trail) for part in (*first, schema.get("items", True)))
        return ANYTHING._replace(items=None if items is ANYTHING else items)

    def _reference(self, reference: Any, trail: tuple[str, ...]) -> Shape:
        """Return the shape of what a reference names."""
        try:
            target = self._lookup(reference)
        except (LookupError, TypeError, ValueError):
            return ANYTHING
        if reference in trail:
            return of_kinds(_kinds(target)) if isinstance(target, Mapping) else ANYTHING
        return self.read(target, (*trail, reference))

    def _lookup(self, reference: Any) -> Any:
        """Return the part of the schema that a JSON Pointer in a fragment names."""
        place, _, pointer = reference.partition("#")
        if place or (pointer and not pointer.startswith("/")):
            raise LookupError(reference)
        part = self._root
        for token in unquote(pointer).split("/")[1:]:
            key = token.replace("~1", "/").replace("~0", "~")
            part = part[int(key)] if isinstance(part, list) else part[key]
        return part


def _kinds(schema: Mapping[str, Any]) -> frozenset[str]:
    """Return the kinds of value that ``type`` takes."""
    types = schema.get("type", KINDS)
    names = (types,) if isinstance(types, str) else types
    return frozenset(kind for name in names for kind in _KINDS_OF_TYPES.get(name, (name,)))


def _values(schema: Mapping[str, Any]) -> Iterator[Shape]:
    """Return the shape of the listed values."""
    if "const" in schema:
        yield of_value(schema["const"])
    if "enum" in schema:
        yield any_of(map(of_value, schema["enum"]))


def _texts(schema: Mapping[str, Any]) -> Shape:
    """Return what ``format`` says of texts."""
    name = schema.get("format", FREE)
    return ANYTHING._replace(texts=frozenset({name})) if name in FORMATS else ANYTHING


def _numbers(schema: Mapping[str, Any]) -> Shape:
    """Return what bounds say of whole numbers."""
    low = max(schema.get("minimum", -math.inf), _next(schema.get("exclusiveMinimum", -math.inf), math.floor, 1))
    high = min(schema.get("maximum", math.inf), _next(schema.get("exclusiveMaximum", math.inf), math.ceil, -1))
    return ANYTHING if (low, high) == (-math.inf, math.inf) else ANYTHING._replace(low=low, high=high)


def _next(bound: float, whole: Callable[[float], int], step: int) -> float:
    """Return the whole number beyond an exclusive bound."""
    return bound if math.isinf(bound) else whole(bound) + step
