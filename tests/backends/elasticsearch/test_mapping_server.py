"""A real Elasticsearch takes every valid event, and finds it again by each of its indexed fields."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from elasticsearch import ApiError
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from backends.elasticsearch.mapping import Flattening, added_fields, make_as_is_mappings, make_mappings
from servers.elasticsearch import Elasticsearch
from support.awkward_schemas import AWKWARD, COUNT, SCHEMAS, SHIPPED, TEXT, of
from support.mapped_index import NUMBERS, MappedIndex, put_one, record
from support.mapped_values import queries
from support.valid_instances import valid_instances

pytestmark = pytest.mark.slow


def expect_found(index: MappedIndex, mappings: dict[str, Any], messages: Sequence[Any]) -> None:
    """Index events with these messages; all of them are taken, and found by each of their indexed fields."""
    named = {str(next(NUMBERS)): message for message in messages}
    taken = index.put({name: record(message) for name, message in named.items()})
    assert {name: reason for name, reason in taken.items() if reason} == {}
    wanted = {name: queries(mappings, {"message": message}) for name, message in named.items()}
    assert [(named[name], query) for name, query in index.missing(wanted)] == []


@pytest.mark.parametrize("name", SHIPPED)
def test_every_valid_example_is_found_by_each_of_its_fields(
    elasticsearch: Elasticsearch, prefix: str, name: str
) -> None:
    """As the schemas' files give them."""
    mappings = make_mappings(SHIPPED[name])
    examples = json.loads(Path(f"schemas/{name}.examples.json").read_text())["valid"]
    with MappedIndex(elasticsearch.url, f"{prefix}-a", mappings) as index:
        expect_found(index, mappings, [*examples, *SHIPPED[name]["examples"]])
        assert all(queries(mappings, {"message": each}) for each in examples if each)


@pytest.mark.parametrize("extras", [False, True])
@pytest.mark.parametrize("name", [name for name in SCHEMAS if name != "names"])
def test_every_valid_message_is_found_by_each_of_its_fields(
    elasticsearch: Elasticsearch, prefix: str, name: str, *, extras: bool
) -> None:
    """As hypothesis makes them; with members that the schema leaves open, unless their names can't be read."""
    mappings = make_mappings(SCHEMAS[name])
    with MappedIndex(elasticsearch.url, f"{prefix}-a", mappings) as index:

        @settings(max_examples=6, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
        @given(st.lists(valid_instances(SCHEMAS[name], extras=extras), min_size=5, max_size=15))
        def check(messages: list[Any]) -> None:
            expect_found(index, mappings, messages)

        check()


def test_names_that_can_be_fields_are_found(elasticsearch: Elasticsearch, prefix: str) -> None:
    """Each by itself; those that can't be fields, and are no fault to the parser, do no harm."""
    mappings = make_mappings(AWKWARD["names"])
    harmless = set(AWKWARD["names"]["properties"]) - {"", " ", "c..d", ".e", ".", "\u2003", "type"}
    with MappedIndex(elasticsearch.url, f"{prefix}-a", mappings) as index:
        expect_found(
            index, mappings, [{name: 1} for name in sorted(harmless)] + [dict.fromkeys(harmless, 1), {"type": "t"}]
        )


LONG_TEXT = "x" * 100_000
LONG_WORDS = "word " * 20_000


@pytest.mark.parametrize(
    ("message", "ignored"),
    [
        (f'{{"whole":{"9" * 30},"number":{"9" * 30}}}', {"whole"}),
        ('{"whole":-1E+400,"number":1E+400}', {"whole", "number"}),
        ('{"whole":1.0,"number":1E-400}', set()),
        ('{"whole":9223372036854775808}', {"whole"}),
        ('{"at":"2016-12-31T23:59:60Z"}', {"at"}),
        ('{"at":"2017-02-16T08:36:21+23:59"}', {"at"}),
        (f'{{"text":"{LONG_TEXT}"}}', {"text.keyword"}),
        (f'{{"text":"{LONG_WORDS}"}}', {"text.keyword"}),
    ],
)
def test_values_that_a_field_can_not_hold_are_ignored(
    elasticsearch: Elasticsearch, prefix: str, message: str, ignored: set[str]
) -> None:
    """The event is taken all the same, and found by its other fields."""
    mappings = make_mappings(AWKWARD["scalars"])
    with MappedIndex(elasticsearch.url, f"{prefix}-a", mappings) as index:
        name, reason = put_one(index, record(message[:-1] + ',"kind":"job"}'))
        assert reason is None
        assert index.ignored(name) == {f"message.{each}" for each in ignored}
        assert index.ids({"term": {"message.kind": "job"}}) == {name}


def test_a_number_is_found_as_it_is_spelt_where_texts_are_allowed_too(
    elasticsearch: Elasticsearch, prefix: str
) -> None:
    """Beyond the range of every number, too."""
    schema = of(it={"type": ["integer", "boolean"]}, open={"type": "object"})
    with MappedIndex(elasticsearch.url, f"{prefix}-a", make_mappings(schema)) as index:
        for text in ("1E+400", "1.10", "9" * 30, "-0", "true"):
            name, reason = put_one(index, record(f'{{"it":{text},"open":{{"a":{text}}}}}'))
            assert reason is None
            assert index.ids({"term": {"message.it": text}}) == {name}
            assert index.ids({"term": {"message.open.a": text}}) == {name}


def test_a_long_text_is_found_by_its_words(elasticsearch: Elasticsearch, prefix: str) -> None:
    """One of 100 kB."""
    with MappedIndex(elasticsearch.url, f"{prefix}-a", make_mappings(of(text=TEXT))) as index:
        name, _ = put_one(index, record({"text": LONG_WORDS + "needle"}))
        assert index.ids({"match": {"message.text": "needle"}}) == {name}


@pytest.mark.parametrize("make", [lambda: make_mappings({}), make_as_is_mappings], ids=["events", "as is"])
def test_a_system_is_found_by_either_spelling_in_any_case(elasticsearch: Elasticsearch, prefix: str, make: Any) -> None:
    """The two keys are one field; a uuid sorts and is found in small letters."""
    low, high = "2319db24-f46e-11e6-a35c-3c15c2cc8f88", "2319DB24-F46E-11E6-A35C-3C15C2CC8F88"
    with MappedIndex(elasticsearch.url, f"{prefix}-a", make()) as index:
        texts = [
            json.dumps({key: value, "uuid": value}) for key in ("smrtlinkId", "smrtLinkId") for value in (low, high)
        ]
        named = {str(number): text.encode() for number, text in enumerate(texts)}
        assert set(index.put(named).values()) == {None}
        for field in ("smrtlinkId", "smrtLinkId", "uuid"):
            for value in (low, high):
                assert index.ids({"term": {field: value}}) == set(named)
                assert index.ids({"query_string": {"query": f'{field}:"{value}"'}}) == set(named)
        body = {"aggs": {"systems": {"terms": {"field": "smrtlinkId"}}}, "sort": ["uuid"]}
        found = index.call("POST", "/_search", body)
        assert [each["key"] for each in found["aggregations"]["systems"]["buckets"]] == [low]
        assert {tuple(hit["sort"]) for hit in found["hits"]["hits"]} == {(low,)}


def test_the_envelope_is_found_by_each_of_its_keys(elasticsearch: Elasticsearch, prefix: str) -> None:
    """The sort key as text and as a date; a name may be missing."""
    with MappedIndex(elasticsearch.url, f"{prefix}-a", make_mappings({})) as index:
        name, _ = put_one(index, record({}, dnsName="smrt.example.org"))
        _, reason = put_one(index, record({}, dnsName=None))
        assert reason is None
        for query in (
            {"term": {"eventTypeId": "sl_test_event"}},
            {"term": {"eventTypeVersion": 1}},
            {"term": {"dnsName": "smrt.example.org"}},
            {"term": {"@at": "2017-02-16T16:36:21.082000000Z"}},
            {"term": {"@at.date": "2017-02-16T16:36:21.082Z"}},
            {"term": {"createdAt": "2017-02-16T16:36:21.082Z"}},
            {"range": {"@received": {"gte": "2026-11-24T11:22:33.123Z", "lt": "2026-11-24T11:22:33.124Z"}}},
        ):
            assert name in index.ids(query)


@pytest.mark.parametrize(
    "text",
    [
        "2017-02-16T08:36:21.082-08:00",
        "2017-02-16T08:36:21.082-0800",
        "2017-02-16t16:36:21.082z",
        "2017-02-16t08:36:21.082-0800",
    ],
)
def test_created_at_is_a_date_in_every_spelling(elasticsearch: Elasticsearch, prefix: str, text: str) -> None:
    """One that Elasticsearch can't express is ignored; `@at` is there for it."""
    with MappedIndex(elasticsearch.url, f"{prefix}-a", make_mappings({})) as index:
        index.put({"1": json.dumps({"createdAt": text}).encode(), "2": b'{"createdAt":"2016-12-31T23:59:60.082Z"}'})
        assert index.ids({"term": {"createdAt": "2017-02-16T16:36:21.082Z"}}) == {"1"}
        assert index.ignored("2") == {"createdAt"}


def test_the_as_is_index_keeps_any_record(elasticsearch: Elasticsearch, prefix: str) -> None:
    """One of 1 MiB comes back as it is; it is found by its envelope, and not by its text."""
    text = record(f'{{"":"{"é" * 520_000}","n":{"9" * 5000}}}').decode()
    document = {"uuid": "A", "eventTypeId": "sl_test_event", "@at": "2017-02-16T16:36:21.082000000Z", "record": text}
    with MappedIndex(elasticsearch.url, f"{prefix}-asis", make_as_is_mappings()) as index:
        assert index.put({"1": json.dumps(document).encode()}) == {"1": None}
        assert index.call("GET", "/_doc/1")["_source"]["record"] == text
        assert index.ids({"term": {"uuid": "a"}}) == {"1"}
        with pytest.raises(ApiError):
            index.ids({"term": {"record": text[:10]}})


def test_the_limits_are_those_of_the_server(elasticsearch: Elasticsearch, prefix: str) -> None:
    """Ten fields can be added to whatever `make_mappings` makes, not eleven; nor one level."""
    wide = make_mappings(of(**{f"field{number:04}": COUNT for number in range(1500)}))
    wide["properties"] |= {f"added{number}": {"type": "long"} for number in range(10)}
    MappedIndex(elasticsearch.url, f"{prefix}-full", wide).close()
    wide["properties"]["one_more"] = {"type": "long"}
    with pytest.raises(ApiError, match="Limit of total fields"):
        MappedIndex(elasticsearch.url, f"{prefix}-a", wide)
    deep = make_mappings(AWKWARD["deep"])
    inner = deep["properties"]["message"]
    while "properties" in inner["properties"]["inner"]:
        inner = inner["properties"]["inner"]
    inner["properties"]["inner"] = {"properties": {"leaf": {"type": "long"}}}
    with pytest.raises(ApiError, match="Limit of mapping depth"):
        MappedIndex(elasticsearch.url, f"{prefix}-b", deep)


def test_an_index_takes_the_fields_of_a_wider_schema(elasticsearch: Elasticsearch, prefix: str) -> None:
    """Compared with the mappings as the server shows them; afterwards nothing is left to add."""
    old, new = (
        make_mappings(of(a=COUNT, b=of(c=COUNT))),
        make_mappings(of(a=TEXT, b=of(c=COUNT, d=TEXT), e=of(f=COUNT))),
    )
    with MappedIndex(elasticsearch.url, f"{prefix}-a", old) as index:
        index.call("PUT", "/_mapping", added_fields(old, new))
        shown = index.call("GET", "/_mapping")[index.name]["mappings"]
        assert added_fields(shown, new) == {}
        expect_found(index, {"properties": shown["properties"]}, [{"a": 1, "b": {"c": 2, "d": "x"}, "e": {"f": 3}}])


def test_the_largest_event_that_is_not_excessive_is_indexed(elasticsearch: Elasticsearch, prefix: str) -> None:
    """With the paths of its 16 Mi characters, on a server with half a gigabyte."""
    message = {"k" * 10_000: {f"{index:x}": 1 for index in range(1600)}}
    mappings = make_mappings({"type": "object"})
    assert not Flattening(mappings).is_excessive(record(message))
    with MappedIndex(elasticsearch.url, f"{prefix}-a", mappings) as index:
        assert put_one(index, record(message))[1] is None
