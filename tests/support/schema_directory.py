"""A directory of schemas that a test writes, and values made to fit or nearly fit a schema."""

import json
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

METASCHEMA = "https://json-schema.org/draft/2020-12/schema"


class SchemaDirectory:
    """Writes schemas that are sound but for what a test says otherwise."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True)

    def write(self, event_type_id: str = "sl_thing", version: int = 1, **schema: Any) -> Path:
        """Write one version with its examples; a keyword with the value None is left out."""
        whole = {"$schema": METASCHEMA, "title": "A thing", "type": "object", "examples": [{"name": "a"}], **schema}
        path = self.path / event_type_id / f"{version}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({keyword: value for keyword, value in whole.items() if value is not None}))
        self.write_examples(event_type_id, version)
        return path

    def write_examples(
        self, event_type_id: str = "sl_thing", version: int = 1, *, valid: Any = None, invalid: Any = None
    ) -> Path:
        """Write the examples of one version."""
        path = self.path / event_type_id / f"{version}.examples.json"
        if valid is None:
            valid = [{"name": "a"}]
        if invalid is None:
            invalid = [{"message": [], "why": "a message is an object"}]
        path.write_text(json.dumps({"valid": valid, "invalid": invalid}))
        return path


def described(**schema: Any) -> dict[str, Any]:
    """Return a property's schema with its description."""
    return {"description": "What it is.", **schema}


TEXTS = st.one_of(
    st.text(max_size=6),
    st.sampled_from(["SUCCESSFUL", "2026-11-24T12:20:51.544Z", "2026-11-24", "a", "ab", "192.0.2.1", "::1"]),
    st.uuids().map(str),
    st.datetimes().map(lambda moment: moment.isoformat() + "Z"),
)
NUMBERS = st.one_of(st.integers(-3, 5), st.integers(), st.sampled_from([0.5, 1.0, 1.5, -2.0, 1e15]))
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.sampled_from(["a", "b", "ab", "name", "é"]), inner, max_size=4)
    ),
    max_leaves=8,
)
"""Any JSON value."""


def instances(schema: Any) -> st.SearchStrategy[Any]:
    """Return values that fit a schema, nearly fit it, or have nothing to do with it."""
    if not isinstance(schema, dict):
        return VALUES
    kinds = schema.get("type", [])
    fitting = [_of_type(kind, schema) for kind in ([kinds] if isinstance(kinds, str) else kinds)]
    fitting += [st.sampled_from(schema["enum"])] if schema.get("enum") else []
    fitting += [st.just(schema["const"])] if "const" in schema else []
    return st.one_of(*fitting, *fitting, *fitting, VALUES)


def _of_type(kind: str, schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Return values of one JSON type whose parts are instances of the schema's parts."""
    if kind == "object":
        parts = {name: instances(part) for name, part in schema.get("properties", {}).items()}
        known = st.fixed_dictionaries({}, optional=parts)
        full = st.fixed_dictionaries(parts)
        extra = st.dictionaries(st.sampled_from(["a", "b", "extra", "é"]), VALUES, max_size=2)
        return st.builds(lambda other, one: {**other, **one}, extra, st.one_of(full, full, known))
    if kind == "array":
        return st.lists(instances(schema.get("items")), max_size=4)
    scalars = {
        "string": TEXTS,
        "integer": st.integers(-5, 10),
        "number": NUMBERS,
        "boolean": st.booleans(),
        "null": st.none(),
    }
    return scalars[kind]
