"""Values and rules in plain words, short whatever the value."""

import json
from decimal import Decimal
from typing import Any

LONGEST_VALUE = 60
"""Characters of a value that are shown at most."""
_LONGEST_LIST = 600
_PRINTED_BITS = 256
_TYPES = {
    "object": "an object",
    "array": "an array",
    "string": "text",
    "integer": "an integer",
    "number": "a number",
    "boolean": "true or false",
    "null": "null",
}
_FORMATS = {
    "date-time": "a date-time of RFC 3339 with an offset, such as 2026-11-24T12:20:51.544Z",
    "uuid": "a UUID of 8-4-4-4-12 hexadecimal digits",
    "ipv4": "an IPv4 address, such as 192.0.2.1",
    "ipv6": "an IPv6 address, such as 2001:db8::1",
}
_LIMITS = {
    "minimum": "must be at least {}",
    "maximum": "must be at most {}",
    "exclusiveMinimum": "must be greater than {}",
    "exclusiveMaximum": "must be less than {}",
    "multipleOf": "must be a multiple of {}",
    "minLength": "must have at least {} characters",
    "maxLength": "must have at most {} characters",
    "minItems": "must have at least {} items",
    "maxItems": "must have at most {} items",
    "minProperties": "must have at least {} members",
    "maxProperties": "must have at most {} members",
    "pattern": "must match the pattern {}",
}
_FIXED = {
    "uniqueItems": "must not hold the same item twice",
    "contains": "does not hold the items that it must",
    "not": "is one of the values that are not allowed here",
    "anyOf": "fits none of the forms that are allowed here",
    "oneOf": "must fit exactly one of the forms that are allowed here",
}


def rule(schema: dict[str, Any], keyword: str) -> str:
    """Return what a keyword of a schema demands, as the end of a sentence about the value."""
    demanded = schema[keyword]
    match keyword:
        case "type":
            phrase = f"must be {kinds(demanded)}"
        case "enum":
            phrase = f"must be one of {listed(demanded)}"
        case "const":
            phrase = f"must be {shown(demanded)}"
        case "format":
            phrase = f"must be {_FORMATS[demanded]}"
        case _ if keyword in _LIMITS:
            phrase = _LIMITS[keyword].format(shown(demanded))
        case _:
            phrase = _FIXED.get(keyword, f"must fit what {keyword!r} says")
    return phrase


def kinds(types: str | list[str]) -> str:
    """Return the JSON types that a schema names."""
    return " or ".join(_TYPES[name] for name in ([types] if isinstance(types, str) else types))


def listed(values: list[Any]) -> str:
    """Return the values of a list as JSON, as many as fit into a sentence."""
    text = ""
    for index, value in enumerate(values):
        part = (", " if text else "") + shown(value)
        if len(text) + len(part) > _LONGEST_LIST:
            return f"{text} and {len(values) - index} more"
        text += part
    return text


def shown(value: Any) -> str:
    """Return a value as a person would call it: scalars as JSON, cut short; containers by their size."""
    if isinstance(value, str):
        if len(value) > LONGEST_VALUE:
            return f"{json.dumps(value[:LONGEST_VALUE], ensure_ascii=False)}... ({len(value)} characters)"
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, dict):
        return f"an object with {len(value)} members"
    if isinstance(value, (list, tuple)):
        return f"an array with {len(value)} items"
    if isinstance(value, Decimal) or (
        isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > _PRINTED_BITS
    ):
        return _long_number(value)
    return json.dumps(value)


def _long_number(value: Decimal | int) -> str:
    """Return a number that may have thousands of digits (Python refuses to print such an integer)."""
    if isinstance(value, int):
        return f"an integer of about {int(value.bit_length() * 0.30103) + 1} digits"
    text = str(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}..."
