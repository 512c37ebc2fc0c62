"""Strict JSON (RFC 8259): what one reader takes and another refuses or reads otherwise is refused here.

Refused beyond the grammar: duplicate keys, NaN and Infinity, lone surrogates, a byte order mark, nesting over 64
levels. jiter judges all but the nesting. Numbers beyond its range are legal JSON: what holds one is read again, with
decimals.
"""

import json
from collections import Counter
from collections.abc import Iterable
from decimal import MAX_EMAX, Decimal, InvalidOperation
from typing import Any, Final

from jiter import from_json

from backends.collector import collector_paused
from eventserver.refusal import Code, Refusal

MAX_DEPTH: Final = 64
_SCALARS: Final = frozenset((str, int, bool, type(None)))
_INFINITIES: Final = frozenset((float("inf"), float("-inf")))
_LONGEST_INT: Final = 300  # int() of a text takes quadratic time; beyond this a decimal does as well
_LARGE: Final = 64 * 1024
_LONGEST_REASON: Final = 200
_TOO_DEEP: Final = f"it is nested deeper than {MAX_DEPTH} levels"


def decode(body: bytes) -> Any:
    """Read one JSON value.

    Args:
        body: UTF-8, white space around it allowed.

    Returns:
        The value. If any number in it is beyond the range of a float or over 4,300 digits long, all fractions and all
        integers over 300 digits are ``Decimal``, else they are ``float`` and ``int``. Infinity never occurs.

    Raises:
        Refusal: ``malformed_json``.

    """
    if len(body) <= _LARGE:
        return _decode(body)
    with collector_paused():
        return _decode(body)


def _decode(body: bytes) -> Any:
    try:
        # Only keys are cached: values such as uuids are new each time, and looking for them costs a tenth.
        value = from_json(body, catch_duplicate_keys=True, allow_inf_nan=False, cache_mode="keys")
    except ValueError as error:
        if "number out of range" not in str(error):
            raise malformed(_reason(body, error)) from None
        return _decode_exactly(body)
    return _decode_exactly(body) if _holds_infinity(value) else value


def malformed(reason: str) -> Refusal:
    """Make the refusal of a body that is not strict JSON, for this reason."""
    return Refusal(Code.MALFORMED_JSON, f"The body is not strict JSON: {reason[:_LONGEST_REASON]}.")


def _reason(body: bytes, error: ValueError) -> str:
    if not body.strip(b" \t\n\r"):
        return "it is empty"
    if body.startswith(b"\xef\xbb\xbf"):
        return "it begins with a byte order mark, which must be left out"
    return str(error)


def _holds_infinity(value: Any) -> bool:
    """Tell whether any number in a value is infinite; refuse a value that nests too deep.

    Level by level: 0.4 us for the typical event; a pattern that looks for long exponents and digits takes 1.5 us.
    """
    found = False
    depth, level = (0, [value]) if type(value) is dict else (-1, [[value]])
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise malformed(_TOO_DEEP)
        below: list[Any] = []
        for container in level:
            items: Iterable[Any] = container.values() if type(container) is dict else container
            for item in items:
                kind = type(item)
                if kind in _SCALARS:
                    continue
                if kind is float:
                    found = found or item in _INFINITIES
                elif kind is not Decimal:
                    below.append(item)
        level = below
    return found


def _decode_exactly(body: bytes) -> Any:
    """Read with decimals, as strictly as jiter does; in linear time, but some 20 times slower."""
    try:
        text = body.decode()
        value = json.loads(
            text,
            object_pairs_hook=_object,
            parse_float=_decimal,
            parse_int=_integer,
            parse_constant=_refuse_constant,
        )
        _holds_infinity(value)  # for its nesting only
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False, default=str).encode()  # fails for a lone surrogate
    except RecursionError:
        raise malformed(_TOO_DEEP) from None
    except ValueError as error:
        raise malformed(str(error)) from None
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        key, _ = Counter(key for key, _ in pairs).most_common(1)[0]
        msg = f"Detected duplicate key {json.dumps(key)}"
        raise ValueError(msg)
    return value


def _integer(text: str) -> int | Decimal:
    return int(text) if len(text) <= _LONGEST_INT else Decimal(text)


def _decimal(text: str) -> Decimal:
    """Read a number; an exponent beyond what Decimal knows (18 digits) becomes the largest that it knows."""
    try:
        return Decimal(text)
    except InvalidOperation:
        mantissa, _, exponent = text.lower().partition("e")
        if not Decimal(mantissa):
            return Decimal(mantissa)
        return Decimal(f"{'-' * text.startswith('-')}1E{'-' * exponent.startswith('-')}{MAX_EMAX}")


def _refuse_constant(name: str) -> Any:
    msg = f"{name} is not a JSON value"
    raise ValueError(msg)
