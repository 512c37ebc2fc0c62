"""Why a message does not fit its schema, in words for the person who made it.

Judged by the same validator as traffic, piece by piece; what fits is not entered, so the work is bounded by the way
to the violations that are asked for. (``jsonschema-rs`` itself finds all violations before it returns the first: a
second and more, holding the interpreter, for a message of 60,000 wrong items.)
"""

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from eventserver.refusal import Violation
from eventserver.schemas.tree import COMPANIONS, escape
from eventserver.schemas.validation import compile_schema
from eventserver.schemas.wording import listed, rule, shown

MAXIMUM_VIOLATIONS = 20
_LONGEST_NAME = 200
"""A member with a longer name is pointed at by its object, so that an answer stays small."""
_ITEMS_AT_ONCE = 1000
"""Items that are judged together, so that a wrong one is found soon behind 100,000 that fit."""
_ORDER = (
    *("type", "required", "dependentRequired", "enum", "const", "format", "pattern"),
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength"),
    *("properties", "patternProperties", "additionalProperties", "propertyNames", "dependentSchemas"),
    *("prefixItems", "items", "contains", "minItems", "maxItems", "uniqueItems", "minProperties", "maxProperties"),
    *("allOf", "anyOf", "oneOf", "not", "if"),
)
"""All keywords that can be violated by themselves, the plainest first."""


class Explainer:
    """Explains what is wrong with values under one schema (without references). May be used by several threads."""

    def __init__(self, schema: dict[str, Any]) -> None:
        """Keep the schema; a part of it is compiled when it is first asked for."""
        self._schema = schema
        self._judges: dict[tuple[int, str], Callable[[Any], bool]] = {}
        self._entered: dict[str, Callable[[dict[str, Any], Any, str], Iterator[Violation]]] = {
            "required": self._required,
            "dependentRequired": self._dependent_required,
            "properties": self._properties,
            "patternProperties": self._pattern_properties,
            "additionalProperties": self._additional_properties,
            "propertyNames": self._property_names,
            "dependentSchemas": self._dependent_schemas,
            "prefixItems": self._prefix_items,
            "items": self._items,
            "allOf": self._all_of,
            "if": self._if,
        }

    def violations(self, value: Any, pointer: str) -> list[Violation]:
        """Return what is wrong with a value, at most 20 things, none when it fits; blocking.

        Args:
            value: as for ``compile_schema``.
            pointer: the value's own place, a JSON Pointer.

        """
        return list(islice(self._explain(self._schema, value, pointer), MAXIMUM_VIOLATIONS))

    def _fits(self, schema: Any, value: Any, keyword: str = "") -> bool:
        """Judge a value by a part of the schema, or by one keyword of that part."""
        key = (id(schema), keyword)
        if key not in self._judges:
            names = (keyword, *COMPANIONS.get(keyword, ()))
            self._judges[key] = compile_schema(
                {name: schema[name] for name in names if name in schema} if keyword else schema
            )
        return self._judges[key](value)

    def _explain(self, schema: Any, value: Any, pointer: str) -> Iterator[Violation]:
        """Explain by one part of the schema."""
        if self._fits(schema, value):
            return
        if isinstance(schema, bool):
            yield Violation(pointer, "is not allowed here; leave it out")
            return
        for keyword in _ORDER:
            if keyword not in schema or self._fits(schema, value, keyword):
                continue
            if keyword in self._entered:
                yield from self._entered[keyword](schema, value, pointer)
            else:
                yield Violation(pointer, f"{rule(schema, keyword)}; it is {shown(value)}")
            if keyword == "type":
                return

    def _required(self, schema: dict[str, Any], value: Any, pointer: str) -> Iterator[Violation]:
        for name in schema["required"]:
            if name not in value:
                yield Violation(pointer, f"the member {shown(name)} is missing")

    def _dependent_required(self, schema: dict[str, Any], value: Any, pointer: str) -> Iterator[Violation]:
        for name, demanded in schema["dependentRequired"].items():
            for other in demanded:
                if name in value and other not in value:
                    yield Violation(pointer, f"the member {shown(other)} is missing beside {shown(name)}")

    def _properties(self, schema: dict[str, Any], value: Any, pointer: str) -> Iterator[Violation]:
        for name, subschema in schema["properties"].items():
            if name in value:
                yield from self._explain(subschema, value[name], _child(pointer, name))

    def _pattern_properties(self, schema: dict[str, Any], value: Any, pointer: str) -> Iterator[Violation]:
        for pattern, subschema in schema["patternProperties"].items():
            matches = compile_schema({"pattern": pattern})
            for name in value:
                if matches(name):
                    yield from self._explain(subschema, value[name], _child(pointer, name))

    def _additional_properties(self, schema: dict[str, Any], value: Any, pointer: str) -> Iterator[Violation]:
        known = schema.get("properties", {})
        matchers = [compile_schema({"pattern": pattern}) for pattern in schema.get("patternProperties", {})]
        for name in value:
            if name in known or any(matches(name) for matches in matchers):
                continue
            if schema["additionalProperties"] is False:
                may_be = f"; known are {listed(list(known))}" if known else ""
                yield Violation(_child(pointer, name), f"the member {shown(name)} is not known{may_be}")
            else:
                yield from self._explain(schema["additionalProperties"], value[name], _child(pointer, name))

    def _property_names(self, schema: dict[str, Any], value: Any, pointer: str) -> Iterator[Violation]:
        for name in value:
            for violation in islice(self._explain(schema["propertyNames"], name, ""), 1):
                yield Violation(_child(pointer, name), f"the name of this member {violation.message}")

    def _dependent_schemas(self, schema: dict[str, Any], value: Any, pointer: str) -> Iterator[Violation]:
        for name, subschema in schema["dependentSchemas"].items():
            if name in value:
                yield from self._explain(subschema, value, pointer)

    def _prefix_items(self, schema: dict[str, Any], value: Any, pointer: str) -> Iterator[Violation]:
        for index, (subschema, item) in enumerate(zip(schema["prefixItems"], value, strict=False)):
            yield from self._explain(subschema, item, _child(pointer, index))

    def _items(self, schema: dict[str, Any], value: Any, pointer: str) -> Iterator[Violation]:
        judge = compile_schema({"items": schema["items"]})
        for start in range(len(schema.get("prefixItems", ())), len(value), _ITEMS_AT_ONCE):
            items = value[start : start + _ITEMS_AT_ONCE]
            if not judge(items):
                for index, item in enumerate(items, start):
                    yield from self._explain(schema["items"], item, _child(pointer, index))

    def _all_of(self, schema: dict[str, Any], value: Any, pointer: str) -> Iterator[Violation]:
        for subschema in schema["allOf"]:
            yield from self._explain(subschema, value, pointer)

    def _if(self, schema: dict[str, Any], value: Any, pointer: str) -> Iterator[Violation]:
        branch = "then" if self._fits(schema["if"], value) else "else"
        yield from self._explain(schema[branch], value, pointer)


def _child(pointer: str, token: str | int) -> str:
    """Return the pointer to a member or an item, or to what holds it when its name is too long to be repeated."""
    return pointer if isinstance(token, str) and len(token) > _LONGEST_NAME else f"{pointer}/{escape(token)}"
