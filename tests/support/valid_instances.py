"""Messages that a schema takes, made from it by hypothesis."""

from collections.abc import Mapping
from typing import Any

import jsonschema_rs
from hypothesis import strategies as st

TEXTS = st.one_of(
    st.text(max_size=8),
    st.sampled_from(
        ["SUCCESSFUL", "two words", "1", "true", "2017-02-16", "192.0.2.1", "a-b_c.d", "\x00", "Ünïcödé 😀"]
    ),
)
DATE_TIMES = st.builds(
    lambda moment, digits, zone: f"{moment.isoformat()[:19]}{digits}{zone}",
    st.datetimes(),
    st.sampled_from(["", ".5", ".082", ".123456789", ".0000000000001"]),
    st.sampled_from(["Z", "z", "+00:00", "-08:00", "+05:30", "-18:00", "+23:59"]),
) | st.sampled_from(
    ["2016-12-31T23:59:60Z", "0000-01-01T00:00:00Z", "2017-02-16t08:36:21z", "9999-12-31T23:59:59.999Z"]
)
FORMATS = {
    "date-time": DATE_TIMES,
    "uuid": st.uuids().map(str) | st.uuids().map(lambda uuid: str(uuid).upper()),
    "ipv4": st.ip_addresses(v=4).map(str),
    "ipv6": st.ip_addresses(v=6).map(str) | st.sampled_from(["::", "::ffff:192.0.2.1", "2001:DB8::1"]),
}
WHOLE_NUMBERS = st.integers(-3, 300) | st.integers() | st.sampled_from([2**31, 2**63 - 1, 2**63, -(10**30), 3.0, 1e20])
NUMBERS = WHOLE_NUMBERS | st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from([0.5, 1.10, 5e-324])
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS)
HARMLESS_NAMES = st.sampled_from(["a", "b", "a.b", "_id", "name", "x y", "é", "@at"])
NAMES = st.sampled_from(["", "a", "b", "a.b", "a..b", "_id", "name", "x y", "é"])
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)
"""Any JSON value."""
KINDS = ("null", "boolean", "integer", "number", "string", "array", "object")


def valid_instances(schema: Mapping[str, Any], *, extras: bool = False) -> st.SearchStrategy[Any]:
    """Return values that a schema takes.

    Args:
        schema: references within it are followed to some depth.
        extras: whether there are members that the schema leaves open beside those that it describes.

    """
    validator = jsonschema_rs.Draft202012Validator(dict(schema), validate_formats=True, offline=True)
    return _Maker(schema, extras=extras).instances(schema, 5).filter(validator.is_valid)


class _Maker:
    """Makes strategies for the parts of one schema."""

    def __init__(self, root: Any, *, extras: bool) -> None:
        self._root = root
        self._extras = extras

    def instances(self, schema: Any, depth: int) -> st.SearchStrategy[Any]:
        """Return values that mostly fit a schema."""
        if not isinstance(schema, Mapping):
            return VALUES
        return self._alternatives(schema, depth).flatmap(lambda whole: self._simple(whole, depth))

    def _alternatives(self, schema: Mapping[str, Any], depth: int) -> st.SearchStrategy[dict[str, Any]]:
        """Return the schema with one of its alternatives merged into it."""
        rest = {
            key: value
            for key, value in schema.items()
            if key not in {"allOf", "anyOf", "oneOf", "$ref", "if", "then", "else"}
        }
        branches: list[list[Any]] = [[part] for part in schema.get("allOf", [])]
        branches += [schema[key] for key in ("anyOf", "oneOf") if key in schema]
        if "if" in schema:
            branches.append([{"allOf": [schema["if"], schema.get("then", {})]}, schema.get("else", {})])
        if "$ref" in schema and depth > 0:
            branches.append([self._lookup(schema["$ref"])])
        if not branches:
            return st.just(rest)
        whole = [st.sampled_from(each).flatmap(lambda part: self._alternatives(part, depth - 1)) for each in branches]
        return st.tuples(*whole).map(lambda parts: _merged([rest, *parts]))

    def _simple(self, schema: Mapping[str, Any], depth: int) -> st.SearchStrategy[Any]:
        """Return values for a schema without alternatives."""
        if "const" in schema:
            return st.just(schema["const"])
        if "enum" in schema:
            return st.sampled_from(schema["enum"])
        kinds = schema.get("type")
        if kinds is None:
            kinds = ["object"] if "properties" in schema else KINDS
        kinds = [kinds] if isinstance(kinds, str) else kinds
        return st.sampled_from(kinds).flatmap(lambda kind: self._of_kind(kind, schema, depth))

    def _of_kind(self, kind: str, schema: Mapping[str, Any], depth: int) -> st.SearchStrategy[Any]:
        if kind == "object":
            return self._objects(schema, depth)
        if kind == "array":
            return self._arrays(schema, depth)
        if kind == "string":
            return FORMATS.get(schema.get("format", ""), TEXTS)
        if kind == "integer" and "maximum" in schema:
            ends = st.integers(schema.get("minimum", schema.get("exclusiveMinimum", -(10**20)) + 1), schema["maximum"])
            return ends | st.just(schema["maximum"])
        numbers = st.floats(0, 1) if "maximum" in schema else NUMBERS
        whole = st.integers(0) if "minimum" in schema else WHOLE_NUMBERS
        return {"null": st.none(), "boolean": st.booleans(), "integer": whole, "number": numbers}[kind]

    def _objects(self, schema: Mapping[str, Any], depth: int) -> st.SearchStrategy[Any]:
        if depth <= 0:
            return st.just({})
        described = {name: self.instances(part, depth - 1) for name, part in schema.get("properties", {}).items()}
        if len(described) > 100:
            described = dict(list(described.items())[:20] + list(described.items())[-20:])
        required = set(schema.get("required", ())) & set(described)
        known = st.fixed_dictionaries(
            {name: described[name] for name in described if name in required},
            optional={name: described[name] for name in described if name not in required},
        )
        others = schema.get("additionalProperties", not schema.get("properties") or self._extras)
        patterns = list(schema.get("patternProperties", {}).values())
        values = [self.instances(part, depth - 1) for part in [*patterns, *([] if others is False else [others])]]
        names = st.text("abc", min_size=1, max_size=3) if patterns or not self._extras else HARMLESS_NAMES
        more = st.dictionaries(names, st.one_of(values), max_size=3) if values else st.just({})
        return st.builds(lambda one, other: {**one, **other}, more, known)

    def _arrays(self, schema: Mapping[str, Any], depth: int) -> st.SearchStrategy[Any]:
        first = [self.instances(part, depth - 1) for part in schema.get("prefixItems", [])]
        if first:
            return st.tuples(*first).map(list)
        return st.lists(self.instances(schema.get("items", True), depth - 1), max_size=3)

    def _lookup(self, reference: str) -> Any:
        part = self._root
        for token in reference.replace("%25", "%").split("/")[1:]:
            part = part[token.replace("~1", "/").replace("~0", "~")]
        return part


def _merged(parts: list[Mapping[str, Any]]) -> dict[str, Any]:
    """Return one schema for what several demand together, as far as that is simple."""
    whole: dict[str, Any] = {}
    for part in parts if all(isinstance(part, Mapping) for part in parts) else []:
        for keyword, value in part.items():
            if keyword == "properties":
                members = whole.setdefault("properties", {})
                whole["properties"] = {
                    **members,
                    **{
                        name: {"allOf": [members[name], each]} if name in members else each
                        for name, each in value.items()
                    },
                }
            elif keyword == "required":
                whole["required"] = [*whole.get("required", []), *value]
            elif keyword == "type" and "type" in whole:
                one = [whole["type"]] if isinstance(whole["type"], str) else whole["type"]
                other = [value] if isinstance(value, str) else value
                whole["type"] = [kind for kind in one if kind in other] or one
            else:
                whole[keyword] = value
    return whole
