"""Where schemas lie inside a schema, and how a place in JSON is written."""

from collections.abc import Iterator
from typing import Any

ONE = frozenset({"additionalProperties", "items", "contains", "propertyNames", "not", "if", "then", "else"})
"""Keywords whose value is a schema."""
MANY = frozenset({"prefixItems", "allOf", "anyOf", "oneOf"})
"""Keywords whose value is an array of schemas."""
NAMED = frozenset({"properties", "patternProperties", "dependentSchemas", "$defs"})
"""Keywords whose value is an object of schemas."""


COMPANIONS = {
    "additionalProperties": ("properties", "patternProperties"),
    "items": ("prefixItems",),
    "contains": ("minContains", "maxContains"),
    "if": ("then", "else"),
}
"""Keywords that a keyword means something together with."""


def escape(token: str | int) -> str:
    """Return a member name or an index as a reference token of a JSON Pointer (RFC 6901 section 3)."""
    return str(token).replace("~", "~0").replace("/", "~1")


def subschemas(schema: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Return each schema directly inside a schema, with its JSON Pointer relative to it."""
    for keyword, value in schema.items():
        if keyword in ONE:
            yield f"/{escape(keyword)}", value
        elif keyword in MANY and isinstance(value, list):
            for index, subschema in enumerate(value):
                yield f"/{keyword}/{index}", subschema
        elif keyword in NAMED and isinstance(value, dict):
            for name, subschema in value.items():
                yield f"/{keyword}/{escape(name)}", subschema


def walk(schema: Any, pointer: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Return a schema and all schemas in it that are objects, outer ones first, with their JSON Pointers."""
    if isinstance(schema, dict):
        yield pointer, schema
        for suffix, subschema in subschemas(schema):
            yield from walk(subschema, pointer + suffix)
