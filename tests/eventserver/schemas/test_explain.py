"""A refusal says where the message is wrong and what would be right, whatever was sent."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventserver.config import packaged_schemas
from eventserver.refusal import Code, Refusal
from eventserver.schemas import SchemaRegistry
from eventserver.schemas.explain import Explainer
from eventserver.schemas.validation import compile_schema
from support.schema_directory import VALUES, SchemaDirectory, described, instances

SHIPPED = SchemaRegistry(packaged_schemas())
SHIPPED.load()


def errors(schema: dict[str, Any], message: Any) -> list[tuple[str, str]]:
    """Return the violations as (pointer, message)."""
    return [tuple(violation) for violation in Explainer(schema).violations(message, "/message")]


def explain(schema: dict[str, Any], message: Any) -> tuple[str, str]:
    """Return the only violation."""
    (violation,) = errors(schema, message)
    return violation


AT_THE_ROOT = [
    ({"type": "object"}, [], "must be an object; it is an array with 0 items"),
    ({"required": ["a"]}, {}, 'the member "a" is missing'),
    ({"enum": ["x", 1, None]}, "y", 'must be one of "x", 1, null; it is "y"'),
    ({"const": "x"}, 1.5, 'must be "x"; it is 1.5'),
    ({"type": ["integer", "null"]}, True, "must be an integer or null; it is true"),
    ({"maxItems": 1}, [1, 2], "must have at most 1 items; it is an array with 2 items"),
    ({"uniqueItems": True}, [1, 1], "must not hold the same item twice; it is an array with 2 items"),
    ({"contains": {"const": 1}}, [2], "does not hold the items that it must; it is an array with 1 items"),
    ({"minLength": 3}, "ab", 'must have at least 3 characters; it is "ab"'),
    ({"pattern": "^a$"}, "b", 'must match the pattern "^a$"; it is "b"'),
    ({"maximum": 5}, 6, "must be at most 5; it is 6"),
    ({"format": "ipv4"}, "x", 'must be an IPv4 address, such as 192.0.2.1; it is "x"'),
    ({"dependentRequired": {"a": ["b"]}}, {"a": 1}, 'the member "b" is missing beside "a"'),
    ({"dependentSchemas": {"a": {"required": ["c"]}}}, {"a": 1}, 'the member "c" is missing'),
    ({"allOf": [{"required": ["a"]}]}, {}, 'the member "a" is missing'),
    ({"if": {"required": ["a"]}, "then": {"required": ["b"]}}, {"a": 1}, 'the member "b" is missing'),
    ({"if": {"required": ["a"]}, "else": {"required": ["b"]}}, {}, 'the member "b" is missing'),
    ({"anyOf": [{"type": "string"}]}, 1, "fits none of the forms that are allowed here; it is 1"),
    ({"oneOf": [{}, {}]}, 1, "must fit exactly one of the forms that are allowed here; it is 1"),
    ({"not": {"type": "null"}}, None, "is one of the values that are not allowed here; it is null"),
]
INSIDE = [
    ({"properties": {"a": {"type": "string"}}}, {"a": None}, "/a", "must be text; it is null"),
    ({"properties": {"a/~b": {"type": "string"}}}, {"a/~b": 1}, "/a~1~0b", "must be text; it is 1"),
    ({"items": {"type": "integer"}}, [1, "2"], "/1", 'must be an integer; it is "2"'),
    ({"prefixItems": [{}], "items": False}, [1, 2], "/1", "is not allowed here; leave it out"),
    ({"prefixItems": [{"type": "integer"}]}, ["x"], "/0", 'must be an integer; it is "x"'),
    ({"additionalProperties": False}, {"b": 1}, "/b", 'the member "b" is not known'),
    (
        {"additionalProperties": False, "properties": {"a": {}}, "patternProperties": {"^x": {}}},
        {"b": 1, "xy": 1},
        "/b",
        'the member "b" is not known; known are "a"',
    ),
    ({"additionalProperties": {"type": "integer"}}, {"b": "x"}, "/b", 'must be an integer; it is "x"'),
    ({"patternProperties": {"^x": {"type": "null"}}}, {"xy": "z", "y": 1}, "/xy", 'must be null; it is "z"'),
    (
        {"propertyNames": {"maxLength": 1}},
        {"ab": 1},
        "/ab",
        'the name of this member must have at most 1 characters; it is "ab"',
    ),
]


@pytest.mark.parametrize(
    ("schema", "message", "place", "text"),
    [*((schema, value, "", text) for schema, value, text in AT_THE_ROOT), *INSIDE],
)
def test_each_rule_has_its_words(schema: dict[str, Any], message: Any, place: str, text: str) -> None:
    """The pointer is into the event as sent."""
    assert explain(schema, message) == (f"/message{place}", text)


def test_a_message_of_60000_wrong_items_gives_20_violations() -> None:
    """And no more are looked for: the 21st judge is never asked."""
    schema = {"properties": {"movieIds": {"items": {"type": "string"}}}}
    explainer = Explainer(schema)
    asked: list[Any] = []
    item = schema["properties"]["movieIds"]["items"]
    explainer._judges[id(item), ""] = lambda value: bool(asked.append(value))
    found = explainer.violations({"movieIds": list(range(60_000))}, "/message")
    assert len(found) == 20
    assert len(asked) <= 21


def test_a_wrong_item_behind_many_that_fit_is_found_at_its_place() -> None:
    """Behind the ones that stand first, too."""
    schema = {"prefixItems": [{"type": "null"}], "items": {"type": "string"}}
    assert explain(schema, [None, *["a"] * 100_000, 7, "b"]) == ("/message/100001", "must be text; it is 7")


def test_what_is_huge_is_not_repeated() -> None:
    """Long texts, names, numbers and types are cut; the whole refusal stays small."""
    schema = {"additionalProperties": {"type": "null"}}
    message = {"a": "x" * 1_000_000, "n" * 1_000_000: 1, "d": Decimal("1" * 500_000), "i": 10**5000, "l": [1] * 100_000}
    assert sum(len(pointer) + len(text) for pointer, text in errors(schema, message)) < 1_000
    closed = errors({"additionalProperties": False}, message)
    assert sum(len(pointer) + len(text) for pointer, text in closed) < 1_000
    refusal = SHIPPED.explain("x" * 1_000_000, 10**5000, {})
    assert len(refusal.detail) + sum(len(error.message) for error in refusal.errors) < 2_000


DECIMALS = [
    Decimal("1E+400"),
    Decimal("-1E+999999"),
    Decimal("1" * 5000),
    Decimal("1.5"),
    Decimal("1E-400"),
    Decimal("1.0"),
]


@pytest.mark.parametrize("number", DECIMALS, ids=lambda number: str(number)[:10])
def test_numbers_beyond_a_float_are_judged_and_explained_as_decimals(number: Decimal) -> None:
    """Whole ones are integers, the others numbers; none is text; limits hold."""
    whole = number == number.to_integral_value()
    assert compile_schema({"type": "number"})(number)
    assert compile_schema({"type": "integer"})(number) == whole
    assert compile_schema({"maximum": 5})(number) == (number <= 5)
    pointer, text = explain({"properties": {"n": {"type": "string"}}}, {"n": number})
    assert pointer == "/message/n"
    assert text.startswith(f"must be text; it is {str(number)[:20]}")
    message = {"jobId": number, "jobTypeId": "x", "state": "y"}
    assert SHIPPED.validators["smrtlink_job_change_state", 1](message) == whole
    assert bool(SHIPPED.explain("smrtlink_job_change_state", 1, message).errors) != whole


def test_an_unknown_type_is_told_the_nearest() -> None:
    """A misspelling is the likely cause."""
    refusal = SHIPPED.explain("smrtlink_job_changed_state", 1, {})
    assert refusal.code is Code.UNKNOWN_EVENT_TYPE
    assert 'did you mean "smrtlink_job_change_state"' in refusal.detail
    assert [error.pointer for error in refusal.errors] == ["/eventTypeId"]


def test_a_type_like_no_other_is_told_all() -> None:
    """So that the sender can choose."""
    detail = SHIPPED.explain("zzz", 1, {}).detail
    assert all(event_type_id in detail for event_type_id, _ in SHIPPED.versions)


def test_an_unknown_version_is_told_the_known_ones() -> None:
    """Of its own type."""
    refusal = SHIPPED.explain("smrtlink_job_change_state", 7, {})
    assert refusal.code is Code.UNKNOWN_EVENT_TYPE
    assert "known are 1, 2" in refusal.detail
    assert [error.pointer for error in refusal.errors] == ["/eventTypeVersion"]


def test_a_message_that_has_become_valid_meanwhile_is_told_to_come_again(directory: SchemaDirectory) -> None:
    """A reload may fall between the verdict and its explanation."""
    directory.write(properties={"name": described(type="string")})
    registry = SchemaRegistry(directory.path)
    registry.load()
    refusal = registry.explain("sl_thing", 1, {"name": "valid"})
    assert (refusal.code, list(refusal.errors)) == (Code.SCHEMA_VIOLATION, [])


@given(st.sampled_from(list(SHIPPED.versions)), VALUES, st.data())
def test_explain_never_raises(key: tuple[str, int], value: Any, data: st.DataObject) -> None:
    """Whatever is sent, a refusal comes back."""
    assert isinstance(SHIPPED.explain(*key, value), Refusal)
    assert isinstance(SHIPPED.explain(*key, data.draw(instances(SHIPPED.schemas[key]))), Refusal)
