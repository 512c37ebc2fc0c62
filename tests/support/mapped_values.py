"""What a mapping promises of an event: that it is taken, and by which queries it is found again."""

import json
import math
import re
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from typing import Any

Query = dict[str, Any]

_BITS = {"byte": 8, "short": 16, "integer": 32, "long": 64}
_EXPRESSIBLE_DATE = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-5][0-9](\.[0-9]{1,9})?([Zz]|[+-]((0[0-9]|1[0-7]):[0-9]{2}|18:00))"
)
_CONTAINERS = (dict, list)


def leaves(
    fields: Mapping[str, Any], above: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Mapping[str, Any]]]:
    """Return each field that indexes values, with its path."""
    for name, field in fields.items():
        if "properties" in field:
            yield from leaves(field["properties"], (*above, name))
        else:
            yield (*above, name), field


def total(fields: Mapping[str, Any]) -> int:
    """Count fields as Elasticsearch does: with sub-fields and objects."""
    return sum(1 + len(each.get("fields", ())) + total(each.get("properties", {})) for each in fields.values())


def values_at(value: Any, path: tuple[str, ...]) -> Iterator[Any]:
    """Return what stands at a path; arrays are their elements."""
    if isinstance(value, list):
        for each in value:
            yield from values_at(each, path)
    elif not path:
        yield value
    elif isinstance(value, dict) and path[0] in value:
        yield from values_at(value[path[0]], path[1:])


def refused_places(fields: Mapping[str, Any], value: Any, above: str = "") -> Iterator[str]:
    """Return where a value has an object in a field for scalars or the reverse: a model of the parser."""
    if isinstance(value, list):
        for each in value:
            yield from refused_places(fields, each, above)
    elif isinstance(value, dict):
        for name in value:
            head = name.partition(".")[0]
            if name in fields:
                yield from _refused_in(fields[name], value[name], f"{above}.{name}")
            elif head in fields and head != name and name.strip("."):
                yield f"{above}.{name} stands inside the field {head}"


def _refused_in(field: Mapping[str, Any], value: Any, place: str) -> Iterator[str]:
    for each in values_at(value, ()):
        if each is None:
            continue
        for_objects = "properties" in field or field["type"] == "flattened"
        if isinstance(each, dict) != for_objects:
            yield f"{place} is {each!r} in a field of type {field['type']}"
        elif "properties" in field:
            yield from refused_places(field["properties"], each, place)


def queries(mappings: Mapping[str, Any], event: Any) -> list[Query]:
    """Return queries that must all find an event: one for each value in each indexed field of its message."""
    found: dict[str, Query] = {}
    for path, field in leaves(mappings["properties"]):
        if path[0] != "message" or field.get("index") is False:
            continue
        for value in values_at(event, path):
            for query in _queries_for(".".join(path), field, value):
                found[json.dumps(query)] = query
    return list(found.values())


def _queries_for(name: str, field: Mapping[str, Any], value: Any) -> Iterator[Query]:
    kind = field["type"]
    if value is None:
        return
    if kind == "flattened":
        for path, leaf in _flat_leaves(value, ()):
            if len(leaf.encode("utf-16-le")) // 2 <= field["ignore_above"]:
                yield {"term": {".".join([name, *path]): {"value": leaf}}}
    elif kind == "text":
        text = token(value)
        if re.search("[A-Za-z0-9]", text):
            yield {"match": {name: text[:2550]}}
        yield from _keyword_queries(f"{name}.keyword", field["fields"]["keyword"], value)
    elif kind == "keyword":
        yield from _keyword_queries(name, field, value)
        for inner, subfield in field.get("fields", {}).items():
            yield from _keyword_queries(f"{name}.{inner}", subfield, value)
    elif _is_expressible(kind, value):
        yield {"term": {name: {"value": value}}}


def _keyword_queries(name: str, field: Mapping[str, Any], value: Any) -> Iterator[Query]:
    text = token(value)
    if len(text.encode("utf-16-le")) // 2 <= field["ignore_above"]:
        yield {"term": {name: {"value": text}}}


def _is_expressible(kind: str, value: Any) -> bool:
    """Tell whether a value is within what a field of that type can hold; all others are ignored."""
    if kind == "date":
        return _EXPRESSIBLE_DATE.fullmatch(value) is not None
    if kind == "ip":
        return bool(ip_address(value))
    if kind == "boolean":
        return isinstance(value, bool)
    if kind == "double":
        return math.isfinite(value)
    return -(2 ** (_BITS[kind] - 1)) <= value < 2 ** (_BITS[kind] - 1)


def _flat_leaves(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    if isinstance(value, dict):
        for name, each in value.items():
            yield from _flat_leaves(each, (*path, name))
    elif isinstance(value, list):
        for each in value:
            yield from _flat_leaves(each, path)
    elif value is not None:
        yield path, token(value)


def token(value: Any) -> str:
    """Return a scalar as the text that a keyword field makes of it: a text as it is, anything else as it is spelt."""
    return value if isinstance(value, str) else json.dumps(value)
