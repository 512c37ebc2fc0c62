"""Whatever a schema takes fits the fields that are made from it."""

import json
import random
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backends.elasticsearch.mapping import make_mappings
from support.awkward_schemas import COUNT, SCHEMAS, TEXT, of
from support.mapped_values import refused_places
from support.valid_instances import valid_instances


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_order_of_keys_does_not_matter(name: str) -> None:
    """The same schema gives the same text of mappings."""
    shuffled = shuffle(SCHEMAS[name], random.Random(name))
    assert json.dumps(make_mappings(shuffled)) == json.dumps(make_mappings(SCHEMAS[name]))


def shuffle(value: Any, source: random.Random) -> Any:
    """Return a value with the keys of its objects in another order."""
    if isinstance(value, list):
        return [shuffle(each, source) for each in value]
    if not isinstance(value, dict):
        return value
    return {key: shuffle(value[key], source) for key in source.sample(sorted(value), len(value))}


@pytest.mark.parametrize("name", SCHEMAS)
def test_no_object_grows_fields_by_itself(name: str) -> None:
    """All of them say so, whatever stands above them."""
    mappings = make_mappings(SCHEMAS[name])
    objects = [mappings]
    while objects:
        each = objects.pop()
        assert each["dynamic"] is False
        objects += [inner for inner in each["properties"].values() if "properties" in inner]


@pytest.mark.parametrize("name", [name for name in SCHEMAS if name != "names"])
def test_every_valid_message_fits_the_fields(name: str) -> None:
    """By a model of Elasticsearch's parser: objects where objects belong, scalars where scalars do."""
    mapped = make_mappings(SCHEMAS[name])["properties"]

    @settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
    @given(valid_instances(SCHEMAS[name]))
    def check(message: Any) -> None:
        assert list(refused_places(mapped, {"message": message})) == []

    check()


SMALL = st.sampled_from(
    [
        {},
        True,
        TEXT,
        COUNT,
        {"type": "object"},
        {"type": ["object", "integer"]},
        {"type": "array"},
        {"enum": [1, "a", {"a": 1}, [[2]], None]},
        {"const": {"a": {"b": 1}}},
        {"type": "string", "format": "ipv4"},
    ]
)


def composed(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return schemas made of schemas."""
    members = st.dictionaries(st.sampled_from("abc"), inner, max_size=2)
    several = st.lists(inner, min_size=1, max_size=3)
    return st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(["object", ["object", "array"], ["string", "object"]]),
            "properties": members,
            "additionalProperties": inner | st.booleans(),
            "patternProperties": st.dictionaries(st.just("b"), inner, max_size=1),
            "items": inner | st.booleans(),
            "allOf": several,
            "anyOf": several,
            "oneOf": several,
            "if": inner,
            "then": inner,
            "else": inner,
        },
    )


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(0, 3) | st.sampled_from(["", "a", "192.0.2.1", 1.5]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=1500, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.recursive(SMALL, composed, max_leaves=12), st.lists(JSON, max_size=30))
def test_whatever_the_schema_a_valid_message_fits_the_fields(schema: Any, values: list[Any]) -> None:
    """Any schema that hypothesis composes, and any value that it takes."""
    validator = jsonschema_rs.Draft202012Validator(of(a=schema, b=COUNT), validate_formats=True)
    mapped = make_mappings(of(a=schema, b=COUNT))["properties"]
    for value in values:
        if validator.is_valid({"a": value}):
            assert list(refused_places(mapped, {"message": {"a": value}})) == []
