"""A change is compatible only when it is proved that all that was valid stays valid."""

from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from eventserver.schemas import compare
from eventserver.schemas.validation import compile_schema
from support.schema_directory import described, instances

BASE: dict[str, Any] = {
    "type": "object",
    "properties": {
        "id": described(type="integer", minimum=0),
        "state": described(enum=["RUNNING", "FAILED"]),
        "tags": described(type="array", items={"type": "string"}),
    },
    "required": ["id"],
}


def changed(**properties: Any) -> dict[str, Any]:
    """Return the base schema with properties put in or replaced."""
    return {**BASE, "properties": {**BASE["properties"], **properties}}


@pytest.mark.parametrize(
    "new",
    [
        BASE,
        {**BASE, "title": "Another title"},
        {**BASE, "required": []},
        changed(id=described(type="number", minimum=0)),
        changed(id=described(type="integer", minimum=-1)),
        changed(id=described(type=["integer", "string"], minimum=0)),
        changed(id=described(anyOf=[{"type": "integer"}, {"type": "null"}])),
        changed(state=described(enum=["FAILED", "RUNNING", "CREATED"])),
        changed(state=described(type="string")),
        changed(tags=described(type="array")),
        changed(tags=described()),
        {"type": "object"},
    ],
)
def test_what_widens_is_compatible(new: dict[str, Any]) -> None:
    """And so is what only says the same in other words."""
    assert compare(BASE, new) == (True, ())


@pytest.mark.parametrize(
    ("new", "reason"),
    [
        ({**BASE, "required": ["id", "state"]}, "at /state: it must be there now, and could be left out before"),
        (changed(id=described(type="string")), "at /id: it must be text now, and could be an integer before"),
        (changed(id=described(type="integer", minimum=1)), "at /id: can't prove that the new minimum takes all"),
        (changed(id=described(type="integer", maximum=9)), "at /id: it must be at most 9 now, which was not demanded"),
        (changed(state=described(enum=["RUNNING"])), 'at /state: these values are not allowed any more: "FAILED"'),
        (changed(tags=described(type="array", items={"type": "null"})), "at /tags/*: it must be null now"),
        (changed(tags=described(type="array", uniqueItems=True)), "at /tags: it must not hold the same item twice now"),
        (changed(new=described(type="string")), "at /new: it must be text now, and could be anything before"),
        (changed(**{"a/b": described(type="string")}), "at /a~1b: it must be text now"),
        (changed(name=described(format="uuid")), "at /name: it must be a UUID of 8-4-4-4-12 hexadecimal digits now"),
        (changed(id=False), "at /id: nothing is allowed any more"),
        ({**BASE, "additionalProperties": False}, "members that are not listed are refused now"),
        ({**BASE, "if": {"required": ["x"]}, "then": {"required": ["y"]}}, "must fit what 'if' says now"),
    ],
)
def test_what_narrows_is_refused_with_place_and_reason(new: dict[str, Any], reason: str) -> None:
    """So that the author of the schema sees what to take back."""
    verdict = compare(BASE, new)
    assert not verdict.compatible
    assert any(reason in each for each in verdict.reasons), verdict.reasons


def test_what_cannot_be_told_is_refused() -> None:
    """It widens in truth; nobody proves it, and a wrong guess would lose events."""
    old, new = ({"type": "object", "properties": {"a": {"pattern": pattern}}} for pattern in ("^a+$", "^a*$"))
    verdict = compare(old, new)
    assert not verdict.compatible
    assert "can't prove" in verdict.reasons[0]


def test_at_most_20_reasons_are_given() -> None:
    """Of a hundred."""
    new = changed(**{f"p{number}": described(type="string") for number in range(100)})
    assert len(compare(BASE, new).reasons) == 20


Change = tuple[dict[str, Any], dict[str, Any]]
"""A schema, and what somebody made of it."""

NAMES = st.sampled_from(["a", "b", "name"])
PATTERNS = st.sampled_from(["^a", "b$", "^a*$", "", "a|b"])
TYPES = st.sampled_from(["string", "integer", "number", "boolean", "null", "array", "object"])
MULTIPLES = st.integers(1, 3)
LEAVES = st.one_of(
    st.fixed_dictionaries(
        {"type": st.sampled_from(["string", "integer", "number", "boolean", "null", "array", "object"])}
    ),
    st.fixed_dictionaries({"enum": st.lists(st.sampled_from(["a", "SUCCESSFUL", 1, 1.5, None, True, []]), min_size=1)}),
    st.fixed_dictionaries({"const": st.sampled_from(["a", 1, False, {"a": 1}])}),
    st.fixed_dictionaries(
        {"type": st.sampled_from(["integer", "number", ["integer", "null"]])},
        optional={
            "minimum": st.integers(-2, 2),
            "exclusiveMaximum": st.integers(0, 5),
            "multipleOf": MULTIPLES,
        },
    ),
    st.fixed_dictionaries(
        {"type": st.just("string")},
        optional={
            "minLength": st.integers(0, 2),
            "maxLength": st.integers(0, 30),
            "pattern": PATTERNS,
            "format": st.sampled_from(["date-time", "uuid", "ipv4", "ipv6"]),
        },
    ),
)


def _around(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return schemas that hold others."""
    objects = st.fixed_dictionaries(
        {"type": st.just("object"), "properties": st.dictionaries(NAMES, inner, max_size=3)},
        optional={
            "required": st.lists(NAMES, unique=True, max_size=2),
            "additionalProperties": st.one_of(st.booleans(), inner),
            "patternProperties": st.dictionaries(PATTERNS, inner, max_size=1),
            "propertyNames": inner,
            "maxProperties": st.integers(0, 4),
            "dependentRequired": st.dictionaries(NAMES, st.lists(NAMES, unique=True, max_size=1), max_size=1),
        },
    )
    arrays = st.fixed_dictionaries(
        {"type": st.just("array"), "items": inner},
        optional={
            "prefixItems": st.lists(inner, min_size=1, max_size=2),
            "contains": inner,
            "maxItems": st.integers(0, 3),
            "uniqueItems": st.booleans(),
        },
    )
    several = st.lists(inner, min_size=1, max_size=3)
    joined = st.one_of(several.map(lambda each: {"anyOf": each}), several.map(lambda each: {"allOf": each}))
    others = st.one_of(several.map(lambda each: {"oneOf": each}), inner.map(lambda each: {"not": each}))
    return st.one_of(objects, objects, arrays, joined, others)


SCHEMAS = st.recursive(LEAVES, _around, max_leaves=6)


@st.composite
def changes(draw: st.DrawFn) -> Change:
    """Return a change."""
    old = draw(SCHEMAS)
    new = dict(old)
    for keyword in draw(st.lists(st.sampled_from(sorted(old)), unique=True, max_size=2)):
        new.pop(keyword)
    new.update(draw(st.one_of(st.just({}), SCHEMAS)))
    return old, new


@given(changes(), st.data())
def test_a_verdict_of_compatible_is_never_contradicted(change: Change, data: st.DataObject) -> None:
    """No instance that the old schema takes is refused by one that is said to take them all."""
    old, new = change
    verdict = compare(old, new)
    assume(verdict.compatible)
    takes, still_takes = compile_schema(old), compile_schema(new)
    for value in data.draw(st.lists(instances(old), min_size=5, max_size=10)):
        assert still_takes(value) or not takes(value)


@given(changes())
def test_an_incompatible_change_always_has_a_reason(change: Change) -> None:
    """In words, whatever was changed."""
    verdict = compare(*change)
    assert verdict.compatible == (not verdict.reasons)
