"""The two validators: ``jsonschema-rs`` judges traffic, ``jsonschema`` gives a second opinion on examples only."""

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any

import jsonschema
import jsonschema_rs
import re2  # type: ignore[import-untyped]
from jsonschema.protocols import Validator
from jsonschema.validators import extend

from eventserver.schemas.formats import FORMATS


def compile_schema(schema: dict[str, Any] | bool) -> Callable[[Any], bool]:  # noqa: FBT001 -- a schema may be one
    """Return the function that judges values in the hot path.

    It takes values as ``jiter`` or ``json`` make them, and ``Decimal`` for numbers beyond a float's range or beyond the
    length at which Python prints integers. Patterns run in linear time, formats are asserted, nothing is fetched.

    Args:
        schema: without references.

    Raises:
        ValueError: it can't be compiled.

    """
    return jsonschema_rs.Draft202012Validator(
        schema,
        validate_formats=True,
        ignore_unknown_formats=False,
        pattern_options=jsonschema_rs.RegexOptions(),
        offline=True,
    ).is_valid


def second_opinion(schema: dict[str, Any] | bool) -> Callable[[Any], bool]:  # noqa: FBT001 -- a schema may be one
    """Return the function that judges examples a second time, written by other people in another language.

    Args:
        schema: without references, fit for the metaschema.

    """
    validator = _SecondValidator(schema, format_checker=_format_checker())
    return lambda value: bool(validator.is_valid(value))


def metaschema_faults(schema: Any) -> Iterator[str]:
    """Return where and how a schema does not fit the metaschema of JSON Schema 2020-12."""
    try:
        jsonschema.Draft202012Validator.check_schema(schema, format_checker=jsonschema.FormatChecker(formats=()))
    except jsonschema.SchemaError as error:
        yield f"does not fit the metaschema of JSON Schema 2020-12 at {error.json_path}: {error.message[:300]}"


def _format_checker() -> jsonschema.FormatChecker:
    """Return a checker that knows our formats and no other."""
    checker = jsonschema.FormatChecker(formats=())
    for name, judge in FORMATS.items():
        checker.checks(name)(lambda value, judge=judge: not isinstance(value, str) or judge(value))
    return checker


def _matches(pattern: str, text: str) -> bool:
    """Tell whether a pattern matches somewhere in a text, in linear time."""
    return re2.search(pattern, text) is not None


def _pattern(validator: Validator, pattern: str, value: Any, _schema: Any) -> Iterator[jsonschema.ValidationError]:
    """Assert ``pattern`` by RE2 in place of Python's backtracking ``re``."""
    if validator.is_type(value, "string") and not _matches(pattern, value):
        yield jsonschema.ValidationError(f"does not match {pattern!r}")


def _pattern_properties(
    validator: Validator, patterns: Mapping[str, Any], value: Any, _schema: Any
) -> Iterator[jsonschema.ValidationError]:
    """Assert ``patternProperties`` by RE2."""
    if validator.is_type(value, "object"):
        for pattern, subschema in patterns.items():
            for name in value:
                if _matches(pattern, name):
                    yield from validator.descend(value[name], subschema, path=name)  # type: ignore[attr-defined]


def _additional_properties(
    validator: Validator, subschema: Any, value: Any, schema: Mapping[str, Any]
) -> Iterator[jsonschema.ValidationError]:
    """Assert ``additionalProperties`` by RE2."""
    if validator.is_type(value, "object"):
        for name in value:
            known = name in schema.get("properties", {})
            if not known and not any(_matches(pattern, name) for pattern in schema.get("patternProperties", {})):
                yield from validator.descend(value[name], subschema, path=name)  # type: ignore[attr-defined]


def _is_integer(_checker: Any, value: Any) -> bool:
    """Tell whether a value is a whole number, however it is spelt."""
    if isinstance(value, Decimal):
        return value == value.to_integral_value()
    return (isinstance(value, int) and not isinstance(value, bool)) or (isinstance(value, float) and value.is_integer())


_SecondValidator = extend(  # type: ignore[no-untyped-call]
    jsonschema.Draft202012Validator,
    validators={
        "pattern": _pattern,
        "patternProperties": _pattern_properties,
        "additionalProperties": _additional_properties,
    },
    type_checker=jsonschema.Draft202012Validator.TYPE_CHECKER.redefine("integer", _is_integer),
)
