"""The part of JSON Schema 2020-12 that schemas are written in here, and what each schema must say of itself.

Whatever is not on the list is refused: a misspelt keyword would otherwise pass for a rule that always holds, and two
validators can only agree on what both know.
"""

from collections.abc import Iterator
from typing import Any

from eventserver.schemas.formats import FORMATS
from eventserver.schemas.patterns import pattern_fault
from eventserver.schemas.tree import MANY, NAMED, ONE, escape, walk

METASCHEMA = "https://json-schema.org/draft/2020-12/schema"

ANNOTATIONS = frozenset({"title", "description", "default", "examples", "deprecated", "$comment"})
"""Keywords that say something and refuse nothing."""
_NUMBERS = frozenset(
    {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength"}
    | {"minItems", "maxItems", "minContains", "maxContains", "minProperties", "maxProperties"}
)
_LARGEST_NUMBER = 2**53
_ASSERTIONS = _NUMBERS | {"type", "enum", "const", "pattern", "format", "required", "dependentRequired", "uniqueItems"}
KEYWORDS = ANNOTATIONS | _ASSERTIONS | ONE | MANY | (NAMED - {"$defs"})
"""Keywords of a schema whose references are resolved; ``$schema`` stands at the root besides."""


def dialect_faults(schema: Any) -> Iterator[str]:
    """Return what is wrong with a resolved schema that fits the metaschema, in plain words, each with its place."""
    if not isinstance(schema, dict):
        yield "is not an object: a schema for messages says at least title, type and examples"
        return
    yield from _root_faults(schema)
    for pointer, part in walk(schema):
        yield from _part_faults(pointer, part)


def _root_faults(schema: dict[str, Any]) -> Iterator[str]:
    """Check what only the outermost schema must say."""
    if schema.get("$schema") != METASCHEMA:
        yield f'has no "$schema": "{METASCHEMA}"'
    if schema.get("type") != "object":
        yield 'has no "type": "object"; a message is always an object'
    if not schema.get("title"):
        yield "has no title"
    if not schema.get("examples"):
        yield "has no examples"


def _part_faults(pointer: str, part: dict[str, Any]) -> Iterator[str]:
    """Check one schema, without those inside it."""
    where = f"at {pointer or 'the root'}"
    for keyword in part:
        if keyword not in KEYWORDS and (pointer or keyword != "$schema"):
            yield f"{where}: the keyword {keyword!r} is not known here (misspelt, or left out on purpose)"
    for name, subschema in part.get("properties", {}).items():
        if not isinstance(subschema, dict) or not subschema.get("description"):
            yield f"at {pointer}/properties/{escape(name)}: the property has no description"
    if part.get("format", "uuid") not in FORMATS:
        yield f"{where}: the format {part['format']!r} is not asserted; known are {', '.join(sorted(FORMATS))}"
    for pattern in [*([part["pattern"]] if "pattern" in part else []), *part.get("patternProperties", {})]:
        if fault := pattern_fault(pattern):
            yield f"{where}: the pattern {pattern!r} {fault}"
    yield from _number_faults(where, part)


def _number_faults(where: str, part: dict[str, Any]) -> Iterator[str]:
    """Refuse numbers that two validators may compute differently."""
    if not isinstance(part.get("multipleOf", 1), int):
        yield f"{where}: multipleOf is not a whole number; binary fractions make it a matter of luck"
    for keyword in _NUMBERS.intersection(part):
        if abs(part[keyword]) > _LARGEST_NUMBER:
            yield f"{where}: {keyword} is beyond {_LARGEST_NUMBER}, up to which every validator computes exactly"
