"""What a schema says of a message decides what is indexed of it."""

from typing import Any

import pytest

from backends.elasticsearch.mapping import make_mappings
from support.awkward_schemas import AWKWARD, COUNT, TEXT, of
from support.mapped_values import leaves, total

FREE_TEXT = {"type": "text", "fields": {"keyword": {"type": "keyword", "ignore_above": 1024}}}
LISTED = {"type": "keyword", "ignore_above": 8191, "fields": {"keyword": {"type": "keyword", "ignore_above": 1024}}}
KEYWORD = {"type": "keyword", "ignore_above": 8191}
FLATTENED = {"type": "flattened", "ignore_above": 1024, "depth_limit": 64}
IP = {"type": "ip", "ignore_malformed": True}


def number(kind: str) -> dict[str, Any]:
    """Return the field for numbers."""
    return {"type": kind, "ignore_malformed": True}


def fields(schema: Any) -> Any:
    """Return the fields inside `message`."""
    return make_mappings(schema)["properties"]["message"]["properties"]


def field(schema: Any) -> Any:
    """Return the field of a member with a schema, or None when it is not indexed."""
    return fields(of(it=schema, other=COUNT)).get("it")


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        (TEXT, FREE_TEXT),
        ({"type": "string", "pattern": "^a", "maxLength": 3}, FREE_TEXT),
        ({"type": "string", "format": "uuid"}, KEYWORD),
        ({"type": "string", "format": "ipv4"}, IP),
        ({"type": "string", "format": "ipv6"}, IP),
        ({"type": "string", "format": "hostname"}, FREE_TEXT),
        ({"enum": ["a", "b"]}, LISTED),
        ({"type": "string", "enum": ["a", "b", None]}, LISTED),
        ({"const": "a"}, LISTED),
        ({"type": "boolean"}, {"type": "boolean"}),
        ({"const": True}, {"type": "boolean"}),
        ({"type": "number"}, number("double")),
        ({"type": "number", "minimum": 0, "maximum": 1}, number("double")),
        ({"enum": [1, 2.5]}, number("double")),
    ],
)
def test_a_scalar_is_indexed_as_what_it_is(schema: Any, expected: Any) -> None:
    """By its type, format or list; a text without either is free."""
    assert field(schema) == expected


def test_a_time_is_a_date_that_never_refuses() -> None:
    """The format takes what the schema's format asserts; what it can't express is ignored."""
    date = field({"type": "string", "format": "date-time"})
    assert (date["type"], date["ignore_malformed"]) == ("date", True)
    assert date["format"].startswith("strict_date_optional_time||")


@pytest.mark.parametrize(
    ("bounds", "kind"),
    [
        ({}, "long"),
        ({"minimum": 0}, "long"),
        ({"maximum": 5}, "long"),
        ({"minimum": -128, "maximum": 127}, "byte"),
        ({"minimum": -129, "maximum": 127}, "short"),
        ({"minimum": 0, "exclusiveMaximum": 128}, "byte"),
        ({"exclusiveMinimum": -129, "maximum": 0}, "byte"),
        ({"minimum": 0, "maximum": 128}, "short"),
        ({"minimum": 0.5, "maximum": 127.5}, "byte"),
        ({"minimum": 0, "maximum": 2**15}, "integer"),
        ({"minimum": 0, "maximum": 2**31 - 1}, "integer"),
        ({"minimum": 0, "maximum": 2**31}, "long"),
        ({"minimum": 0, "maximum": 2**63 - 1}, "long"),
        ({"minimum": 0, "maximum": 2**63}, "double"),
        ({"minimum": 2**64}, "double"),
        ({"enum": [1, 300]}, "short"),
        ({"const": 7.0}, "byte"),
    ],
)
def test_an_integer_is_as_wide_as_its_range(bounds: dict[str, Any], kind: str) -> None:
    """The smallest type that holds it; beyond 64 bits one that compares, though it is not exact."""
    assert field({"type": "integer", **bounds}) == number(kind)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": ["integer", "null"]},
        {"anyOf": [COUNT, {"type": "null"}]},
        {"type": "array", "items": COUNT},
        {"type": ["integer", "array"], "items": {"type": "array", "items": COUNT}},
        {"type": "array", "prefixItems": [COUNT, COUNT], "items": False},
    ],
)
def test_null_and_arrays_change_nothing(schema: Any) -> None:
    """An array is indexed as its elements."""
    assert field(schema) == field(COUNT)


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"description": "Anything."},
        True,
        False,
        {"type": "null"},
        {"type": "array"},
        {"type": "array", "items": {}},
        {"type": "array", "prefixItems": [COUNT]},
        {"type": ["object", "string"]},
        {"properties": {"a": TEXT}},
        {"anyOf": [TEXT, {"type": "object"}]},
        {"not": TEXT},
        {"$ref": "other.json#/properties/other"},
        {"$ref": "#/$defs/nowhere"},
        {"$ref": "#anchor"},
        {"type": "object", "additionalProperties": False},
    ],
)
def test_what_is_left_open_is_not_indexed(schema: Any) -> None:
    """Nothing is guessed, and nothing is indexed that some valid value would not fit."""
    assert field(schema) is None


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object"},
        {"type": ["object", "null"]},
        {"type": "object", "additionalProperties": TEXT},
        {"type": "object", "patternProperties": {"^a": COUNT}, "additionalProperties": False},
        {"type": "object", "properties": {"a": {}}},
        {"type": "array", "items": {"type": "object"}},
    ],
)
def test_an_object_without_known_fields_is_flattened(schema: Any) -> None:
    """Every member is found by its exact text, and none adds a field."""
    assert field(schema) == FLATTENED


def test_objects_have_the_fields_that_are_described() -> None:
    """Others are not indexed; an array of objects is like an object."""
    schema = {"type": "object", "properties": {"size": COUNT, "open": {}}, "additionalProperties": TEXT}
    expected = {"type": "object", "dynamic": False, "properties": {"size": number("long")}}
    assert field(schema) == expected
    assert field({"type": "array", "items": schema}) == expected


def test_a_message_that_nobody_described_is_flattened() -> None:
    """The whole of it."""
    assert make_mappings({"type": "object"})["properties"]["message"] == FLATTENED
    assert make_mappings({})["properties"]["message"] == FLATTENED


def test_a_message_that_is_always_empty_has_no_field() -> None:
    """There would be nothing in it."""
    assert "message" not in make_mappings(AWKWARD["only closed"])["properties"]


@pytest.mark.parametrize(
    ("schemas", "expected"),
    [
        ([COUNT, {"type": "integer", "minimum": 0}], number("long")),
        ([COUNT, {"type": "number"}], number("double")),
        ([{"const": 1}, {"const": 300}], number("short")),
        ([{"const": 1}, {"const": -300}], number("short")),
        ([{"type": "array", "items": COUNT}, {"type": "array", "items": TEXT}], FREE_TEXT),
        ([{"type": "array", "items": COUNT}, {"type": "array", "items": {"type": "object"}}], None),
        ([{"type": "array", "items": COUNT}, {"type": "number"}], number("double")),
        ([{"type": "string", "format": "ipv4"}, {"type": "string", "format": "ipv6"}], IP),
        ([{"const": "a"}, {"const": "b"}], LISTED),
        ([COUNT, {"const": "all"}], LISTED),
        ([COUNT, {"type": "boolean"}], KEYWORD),
        ([COUNT, {"type": "string", "format": "date-time"}], KEYWORD),
        ([COUNT, {"type": "string", "format": "ipv4"}], KEYWORD),
        ([{"type": "string", "format": "uuid"}, {"type": "string", "format": "ipv4"}], KEYWORD),
        ([{"type": "string", "format": "uuid"}, TEXT], FREE_TEXT),
        ([COUNT, TEXT], FREE_TEXT),
        ([TEXT, {"type": "object"}], None),
        ([{"type": "object", "properties": {"a": COUNT}}, {"type": "object"}], FLATTENED),
    ],
)
@pytest.mark.parametrize("keyword", ["anyOf", "oneOf"])
def test_alternatives_are_indexed_as_what_takes_them_all(keyword: str, schemas: list[Any], expected: Any) -> None:
    """In whatever order they stand."""
    assert field({keyword: schemas}) == expected
    assert field({keyword: schemas[::-1]}) == expected


@pytest.mark.parametrize(
    ("schemas", "expected"),
    [
        ([{}, COUNT], number("long")),
        ([{"minimum": 0}, {"maximum": 9}, COUNT], number("byte")),
        ([{"type": ["integer", "string"]}, {"type": ["integer", "object"]}], number("long")),
        ([TEXT, {"format": "ipv4"}], IP),
        ([{"type": "string", "format": "uuid"}, {"enum": ["a"]}], LISTED),
        ([{"type": "object"}, {"properties": {"a": COUNT}}], {"a": number("long")}),
        (
            [{"type": "object", "properties": {"a": COUNT}}, {"properties": {"b": COUNT}}],
            dict.fromkeys("ab", number("long")),
        ),
        ([{"type": "object", "properties": {"a": {}}}, {"additionalProperties": COUNT}], {"a": number("long")}),
        ([{"type": "object", "properties": {"a": COUNT}}, {"additionalProperties": False}], None),
        ([COUNT, TEXT], None),
    ],
)
def test_what_must_hold_together_is_merged(schemas: list[Any], expected: Any) -> None:
    """In whatever order it stands."""
    found = field({"allOf": schemas})
    assert (found or {}).get("properties", found) == expected
    assert field({"allOf": schemas[::-1]}) == found


def test_a_member_that_one_alternative_leaves_open_is_not_indexed() -> None:
    """In the other alternative it may be anything; closed alternatives leave nothing open."""
    assert {"radius", "side"}.isdisjoint(fields(AWKWARD["alternatives"]))
    assert fields(AWKWARD["closed alternatives"]) == {
        "kind": LISTED,
        "x": number("long"),
        "y": {"type": "boolean"},
        "z": FREE_TEXT,
    }


def test_conditions_narrow_only_where_both_branches_do() -> None:
    """What one branch leaves open stays open."""
    assert fields(AWKWARD["conditions"]) == {"state": LISTED, "code": number("long")}


def test_references_are_followed() -> None:
    """Through escapes of JSON Pointer and of URIs."""
    job = {"type": "object", "dynamic": False, "properties": {"id": KEYWORD, "name": FREE_TEXT}}
    assert fields(AWKWARD["references"]) == {"job": job, "jobs": job}


def test_recursion_ends_in_a_flattened_field() -> None:
    """What refers to itself without end says nothing, and is not indexed."""
    tree = {"type": "object", "dynamic": False, "properties": {"children": FLATTENED, "name": FREE_TEXT}}
    assert fields(AWKWARD["recursion"]) == {"tree": tree}


def test_references_that_multiply_end() -> None:
    """Thirty definitions that name the next one twice stand for a thousand million places."""
    definitions = {f"d{n}": of(a={"$ref": f"#/$defs/d{n + 1}"}, b={"$ref": f"#/$defs/d{n + 1}"}) for n in range(30)}
    schema = {**of(a={"$ref": "#/$defs/d0"}), "$defs": {**definitions, "d30": TEXT}}
    assert total(make_mappings(schema)["properties"]) <= 1000


def test_names_that_can_not_be_fields_are_left_out() -> None:
    """Nor is `a` a field where `a.b` is a name, since the two can't be told apart."""
    assert set(fields(AWKWARD["names"])) == {
        *("_id", "_source", "properties", "type", "*", " x ", "\u0000", 'é"\\/😀', "x" * 2000)
    }


def test_what_is_too_deep_is_not_indexed() -> None:
    """Elasticsearch takes 20 levels."""
    paths = [path for path, _ in leaves(make_mappings(AWKWARD["deep"])["properties"]) if path[0] == "message"]
    assert max(map(len, paths)) == 20


def test_there_are_never_more_fields_than_elasticsearch_takes() -> None:
    """It takes 1,000, sub-fields and objects counted; ten are left to the store. First names and first levels stay."""
    mappings = make_mappings(AWKWARD["wide"])
    names = sorted(mappings["properties"]["message"]["properties"])
    assert 989 <= total(mappings["properties"]) <= 990
    assert names == sorted(AWKWARD["wide"]["properties"])[: len(names)]
    deep = of(a=of(leaf=COUNT), b=of(inner=AWKWARD["wide"]), z=COUNT)
    assert fields(deep)["a"]["properties"] == {"leaf": number("long")}
    assert fields(deep)["z"] == number("long")
    assert total(make_mappings(deep)["properties"]) <= 990
