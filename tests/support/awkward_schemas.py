"""Schemas of messages that use what a mapping can get wrong."""

import json
from pathlib import Path
from typing import Any

TEXT = {"type": "string"}
COUNT = {"type": "integer"}


def of(**properties: Any) -> dict[str, Any]:
    """Return the schema of a message with these members."""
    return {"type": "object", "properties": properties}


AWKWARD: dict[str, dict[str, Any]] = {
    "scalars": of(
        text=TEXT,
        state={"enum": ["SUCCESSFUL", "FAILED", None]},
        kind={"const": "job"},
        at={"type": "string", "format": "date-time"},
        run={"type": "string", "format": "uuid"},
        four={"type": "string", "format": "ipv4"},
        six={"type": "string", "format": "ipv6"},
        whole=COUNT,
        number={"type": "number"},
        flag={"type": "boolean"},
        nothing={"type": "null"},
    ),
    "ranges": of(
        byte={"type": "integer", "minimum": -128, "maximum": 127},
        short={"type": "integer", "exclusiveMinimum": -129, "maximum": 32767},
        integer={"type": "integer", "minimum": 0, "maximum": 2147483647},
        long={"type": "integer", "minimum": 0, "maximum": 2147483648},
        from_zero={"type": "integer", "minimum": 0},
        beyond={"type": "integer", "minimum": 0, "maximum": 10**30},
        ratio={"type": "number", "minimum": 0, "maximum": 1},
        code={"enum": [1, 2, 300]},
    ),
    "nullable": of(
        text={"type": ["string", "null"]},
        whole={"type": ["integer", "null"]},
        flag={"type": ["boolean", "null"]},
        at={"anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}]},
        inner={"type": ["object", "null"], "properties": {"name": TEXT}},
    ),
    "arrays": of(
        names={"type": "array", "items": TEXT},
        matrix={"type": "array", "items": {"type": "array", "items": {"type": "number"}}},
        parts={"type": "array", "items": {"type": "object", "properties": {"size": COUNT, "name": TEXT}}},
        pair={"type": "array", "prefixItems": [COUNT, TEXT], "items": False},
        one_or_many={"type": ["string", "array"], "items": TEXT},
        anything={"type": "array"},
        stages={"type": "array", "items": {"type": "array", "items": {"type": "object", "properties": {"n": COUNT}}}},
    ),
    "objects": of(
        site={
            "type": "object",
            "properties": {
                "name": TEXT,
                "host": {"type": "object", "properties": {"address": {"type": "string", "format": "ipv4"}}},
            },
        },
        labels={"type": "object", "additionalProperties": TEXT},
        counters={"type": "object", "patternProperties": {"^[a-z]+$": COUNT}, "additionalProperties": False},
        open={"type": "object"},
        empty={"type": "object", "additionalProperties": False},
        left_open={},
        left_open_too={"description": "Anything."},
    ),
    "only closed": {"type": "object", "additionalProperties": False},
    "map": {"type": "object", "additionalProperties": {"type": "number"}},
    "alternatives": {
        "type": "object",
        "properties": {
            "id": {"oneOf": [COUNT, {"type": "string", "format": "uuid"}]},
            "address": {"oneOf": [{"type": "string", "format": "ipv4"}, {"type": "string", "format": "ipv6"}]},
            "when": {"anyOf": [{"type": "string", "format": "date-time"}, TEXT]},
            "size": {"anyOf": [COUNT, {"type": "number"}]},
            "who": {"oneOf": [TEXT, {"type": "object", "properties": {"name": TEXT}}]},
            "flag": {"enum": [True, False, "unknown"]},
            "mixed": {"type": ["string", "integer"]},
            "limit": {"allOf": [{"type": ["integer", "string"]}, {"type": "integer", "minimum": 0}, {"maximum": 100}]},
        },
        "oneOf": [
            {"properties": {"shape": {"const": "circle"}, "radius": {"type": "number"}}, "required": ["shape"]},
            {"properties": {"shape": {"const": "square"}, "side": {"type": "number"}}, "required": ["shape"]},
        ],
    },
    "closed alternatives": {
        "type": "object",
        "oneOf": [
            {
                "properties": {"kind": {"const": "a"}, "x": COUNT, "z": TEXT},
                "required": ["kind"],
                "additionalProperties": False,
            },
            {
                "properties": {"kind": {"const": "b"}, "y": {"type": "boolean"}, "z": COUNT},
                "required": ["kind"],
                "additionalProperties": False,
            },
        ],
    },
    "conditions": {
        "type": "object",
        "properties": {"state": {"enum": ["ok", "bad"]}, "code": {"type": ["integer", "object"]}, "why": {}},
        "if": {"properties": {"state": {"const": "bad"}}, "required": ["state"]},
        "then": {"properties": {"code": {"type": "integer"}, "why": TEXT}, "required": ["code"]},
        "else": {"properties": {"code": {"type": "integer", "maximum": 0}}},
        "dependentSchemas": {"code": {"properties": {"extra": COUNT}}},
    },
    "references": {
        "type": "object",
        "properties": {"job": {"$ref": "#/$defs/job"}, "jobs": {"type": "array", "items": {"$ref": "#/$defs/job"}}},
        "$defs": {
            "job": {"type": "object", "properties": {"id": {"$ref": "#/$defs/a~1b%25"}, "name": TEXT}},
            "a/b%": {"type": "string", "format": "uuid"},
        },
    },
    "recursion": {
        "type": "object",
        "properties": {"tree": {"$ref": "#/$defs/node"}, "self": {"$ref": "#/$defs/self"}},
        "$defs": {
            "node": {
                "type": "object",
                "properties": {"name": TEXT, "children": {"type": "array", "items": {"$ref": "#/$defs/node"}}},
            },
            "self": {"$ref": "#/$defs/self"},
        },
    },
    "names": of(
        **{
            "": COUNT,
            " ": COUNT,
            "a.b": COUNT,
            "a": COUNT,
            "c..d": COUNT,
            ".e": COUNT,
            "f.": COUNT,
            ".": COUNT,
            "_id": COUNT,
            "_source": COUNT,
            "properties": COUNT,
            "type": TEXT,
            "*": COUNT,
            " x ": COUNT,
            "\u2003": COUNT,
            "\u0000": COUNT,
            'é"\\/😀': COUNT,
            "x" * 2000: COUNT,
        }
    ),
    "deep": {},
    "wide": of(**{f"field{number:04}": TEXT for number in range(1500)}),
}
AWKWARD["deep"] = of(leaf=COUNT)
for _ in range(30):
    AWKWARD["deep"] = of(inner=AWKWARD["deep"], leaf=COUNT)

SHIPPED: dict[str, dict[str, Any]] = {
    f"{path.parent.name}/{path.stem}": json.loads(path.read_text())
    for path in sorted(Path("schemas").glob("*/[0-9]*.json"))
    if ".examples" not in path.name
}
"""Every schema of this project."""
SCHEMAS = {**SHIPPED, **AWKWARD}
