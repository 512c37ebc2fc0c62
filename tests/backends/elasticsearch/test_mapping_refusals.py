"""What a real Elasticsearch takes though nobody described it, and what it refuses: that is for the as-is index."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from backends.elasticsearch.mapping import make_mappings
from servers.elasticsearch import Elasticsearch
from support.awkward_schemas import COUNT, of
from support.mapped_index import MappedIndex, put_one, record

REFUSED = "document_parsing_exception"
"""The error's type for whatever belongs in the as-is index."""
LONG_TEXT = "x" * 100_000
DEPTH = 62
DEEP_OBJECTS = '{"a":' * DEPTH + "1" + "}" * DEPTH
DEEP_ARRAYS = "[" * DEPTH + "1" + "]" * DEPTH
DESCRIBED = of(n=COUNT, jobs=of(n=COUNT))
OPEN = {"type": "object"}


def refusals(elasticsearch: Elasticsearch, name: str, schema: Any, documents: Sequence[bytes]) -> list[str | None]:
    """Return the type of the error with which each document is refused, or None where it is taken."""
    with MappedIndex(elasticsearch.url, name, make_mappings(schema)) as index:
        reasons = [put_one(index, document)[1] for document in documents]
    return [reason and reason.partition(":")[0] for reason in reasons]


@pytest.mark.parametrize("schema", [OPEN, DESCRIBED], ids=["open", "described"])
def test_what_nobody_described_does_no_harm(elasticsearch: Elasticsearch, prefix: str, schema: dict[str, Any]) -> None:
    """Keys, depths and sizes that are legal in an event."""
    messages = [
        '{"a.b":1}',
        '{"a.":1}',
        '{"_id":1,"_source":{},"_routing":[]}',
        '{"other":{"":1,"a..b":{"":[{".":1}]}," ":2}}',
        '{"other":[{"":1},[{"a..b":2}]]}',
        f'{{"other":{DEEP_OBJECTS[5:-1]}}}',
        f'{{"other":{DEEP_ARRAYS[1:-1]}}}',
        f'{{"n":{DEEP_ARRAYS[1:-1]}}}',
        f'{{"other":"{LONG_TEXT}"}}',
        f'{{"{"k" * 30_000}":null}}',
        '{"n":1E+400,"other":1E+400}',
        f'{{"n":{"9" * 1000},"other":{"9" * 1000}}}',
    ]
    reasons = refusals(elasticsearch, f"{prefix}-a", schema, [record(message) for message in messages])
    assert reasons == [None] * len(messages)


def test_a_flattened_message_takes_keys_that_a_described_one_does_not(
    elasticsearch: Elasticsearch, prefix: str
) -> None:
    """Those go to the as-is index, and by this error's type they are known."""
    messages = ['{"":1}', '{" ":1}', '{".":1}', '{"a..b":1}', '{".a":1}', '{"a. .b":1}']
    documents = [record(message) for message in messages]
    inner = [record(f'{{"jobs":[{message}]}}') for message in messages]
    assert refusals(elasticsearch, f"{prefix}-a", OPEN, documents + inner) == [None] * 12
    assert refusals(elasticsearch, f"{prefix}-b", DESCRIBED, documents + inner) == [REFUSED] * 12


def test_what_the_parser_does_not_read_is_known_by_the_error_too(elasticsearch: Elasticsearch, prefix: str) -> None:
    """A dot behind a field's name, a number of over 1,000 characters, a key that is no term."""
    number = record(f'{{"other":{"9" * 1001}}}')
    keys = ['{"\\u0000":1}', f'{{"{"k" * 32_766}":1}}', f'{{"{"k" * 32_000}":"{"x" * 1000}"}}']
    assert refusals(elasticsearch, f"{prefix}-a", DESCRIBED, [record('{"n.x":1}'), number]) == [REFUSED] * 2
    assert refusals(elasticsearch, f"{prefix}-b", OPEN, [number, *map(record, keys)]) == [REFUSED] * 4


def test_keys_of_the_senders_own_do_no_harm(elasticsearch: Elasticsearch, prefix: str) -> None:
    """Beside the envelope's, with any value; they are not indexed."""
    keys = ["a.b", "@x", "x y", "*", "a.", "jobId", "record", "LONG" * 10_000]
    values = [1, "text", {"": {"a..b": [[1]]}}, [{"": 1}], LONG_TEXT, json.loads(DEEP_OBJECTS)]
    documents = [record({"n": 1}, **{key: value}) for key in keys for value in values]
    assert refusals(elasticsearch, f"{prefix}-a", DESCRIBED, documents) == [None] * len(documents)


def test_keys_of_the_senders_own_that_the_parser_does_not_read_are_known_by_the_error(
    elasticsearch: Elasticsearch, prefix: str
) -> None:
    """They go to the as-is index."""
    keys = ["", " ", ".", "a..b", ".a", "_id", "_source", "_routing", "uuid.x", "eventTypeVersion.x", "message.n"]
    documents = [record({"n": 1}, **{key: {}}) for key in keys]
    assert refusals(elasticsearch, f"{prefix}-a", DESCRIBED, documents) == [REFUSED] * len(documents)
