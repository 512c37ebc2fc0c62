"""Events that would take a server's memory are known before they are sent to it."""

import json
from typing import Any

import pytest

from backends.elasticsearch.mapping import Flattening, make_mappings
from support.awkward_schemas import AWKWARD, COUNT, of

OPEN = Flattening(make_mappings({"type": "object"}))
INNER = Flattening(make_mappings(AWKWARD["objects"]))
FULL = 1_000_000


def event(message: Any) -> bytes:
    """Return an event with a message."""
    return json.dumps({"eventTypeId": "sl_test_event", "message": message}, separators=(",", ":")).encode()


def members(number: int) -> dict[str, int]:
    """Return an object with that many members."""
    return {f"{index:x}": 1 for index in range(number)}


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"text": "x" * FULL},
        {"numbers": list(range(150_000))},
        members(90_000),
        {"jobs": [{"jobId": index, "state": "SUCCESSFUL", "comment": None} for index in range(20_000)]},
        {"k" * 500_000: "x" * 400_000},
        {"k" * 1000: members(7000)},
    ],
)
def test_ordinary_events_are_indexed(message: Any) -> None:
    """Large ones too."""
    assert not OPEN.is_excessive(event(message))


def nested(value: Any, key: str, levels: int) -> Any:
    """Return a value inside objects with one member each."""
    for _ in range(levels):
        value = {key: value}
    return value


@pytest.mark.parametrize(
    "message",
    [
        {"k" * 10_000: members(90_000)},
        {"k" * 10_000: [1] * 400_000},
        {"k" * 10_000: [[1, [2]]] * 50_000},
        {"k" * 10_000: [{"a": 1}] * 90_000},
        nested(members(80_000), "k" * 500, 60),
        {str(index): {"k" * 30_000: members(1000)} for index in range(20)},
    ],
)
def test_events_whose_paths_multiply_are_not(message: Any) -> None:
    """A long key above many values, however they are nested."""
    assert OPEN.is_excessive(event(message))


def test_only_flattened_fields_count() -> None:
    """They are found wherever they are, in arrays too; what is not indexed costs nothing."""
    heavy = {"k" * 10_000: members(90_000)}
    assert INNER.is_excessive(event({"labels": heavy}))
    assert INNER.is_excessive(event({"open": [[heavy]]}))
    assert not INNER.is_excessive(event({"site": heavy}))
    assert not INNER.is_excessive(event(heavy))
    assert not Flattening(make_mappings(of(a=COUNT))).is_excessive(event(heavy))


def test_mappings_may_come_from_elasticsearch() -> None:
    """It shows objects without a type."""
    shown = {"properties": {"message": {"properties": {"open": {"type": "flattened"}}}}}
    assert Flattening(shown).is_excessive(event({"open": {"k" * 10_000: members(90_000)}}))


def test_numbers_that_nothing_reads_are_excessive() -> None:
    """Elasticsearch refuses numbers of over 1,000 digits in any case."""
    assert OPEN.is_excessive(b'{"message":{"n":' + b"9" * 9000 + b"}}")


def test_small_events_are_not_even_read() -> None:
    """They are most of the traffic."""
    assert not OPEN.is_excessive(b"no JSON" * 1000)
