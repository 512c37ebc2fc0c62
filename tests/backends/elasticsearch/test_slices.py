"""Documents are cut out of answers byte for byte."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.elasticsearch.slices import cut_sources

AWKWARD = [
    "{}",
    '{"n":1.10,"m":1E+400,"o":-0}',
    r'{"t":"\"","u":"\\","v":"\\\"}{","w":"\\\\"}',
    r'{"a{":"}","b\"{":{"c":"{\"_source\":{}}"}}',
    '{"_source":{"_source":{"x":1}},"found":true}',
    '{"m":{"x":1,"@crc":"00000000"},"sort":["a","b"],"y":[{"_source":{}}]}',
    '{ "a" :\t[ ] , "b":{ } }',
    '{"é":"漢😀\u2028"}',
    '{"a":' * 64 + "[1]" + "}" * 64,
    '{"t":"' + "\\\\" * 3000 + '\\""}',
]
ANY_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text()
    | st.sampled_from(["{", "}", '"', "\\", '\\"', '"_source":{']),
    lambda values: st.lists(values, max_size=4) | st.dictionaries(st.text() | st.just("_source"), values, max_size=4),
    max_leaves=12,
)


def searched(sources: list[str]) -> bytes:
    """Return the answer of a search, written by hand as Elasticsearch writes it."""
    hits = (
        f'{{"_index":"i","_id":"{n}","_score":null,"_source":{s},"sort":["a","{n}"]}}' for n, s in enumerate(sources)
    )
    return f'{{"took":1,"_shards":{{"total":1}},"hits":{{"max_score":null,"hits":[{",".join(hits)}]}}}}'.encode()


def got(sources: list[str | None]) -> bytes:
    """Return the answer of an ``_mget``; None is a document that is not there."""
    documents = (
        f'{{"_index":"i","_id":"{n}","found":false}}'
        if s is None
        else f'{{"_index":"i","_id":"{n}","_version":1,"found":true,"_source":{s}}}'
        for n, s in enumerate(sources)
    )
    return f'{{"docs":[{",".join(documents)}]}}'.encode()


@pytest.mark.parametrize("source", AWKWARD)
def test_a_document_is_cut_byte_for_byte(source: str) -> None:
    """Braces and quotes in strings, escapes, documents inside documents: what was sent comes out."""
    for answer, depth in ((searched([source, "{}", source]), 3), (got([source, None, "{}", source]), 2)):
        rest, sources = cut_sources(answer, depth)
        assert sources == [source.encode(), b"{}", source.encode()]
        assert json.dumps(rest).count('"_source": ') == 3


@given(values=st.lists(st.dictionaries(st.text(), ANY_JSON, max_size=4), max_size=5), ascii_only=st.booleans())
def test_any_documents_are_cut_byte_for_byte(values: list[dict[str, Any]], *, ascii_only: bool) -> None:
    """Whatever the documents are, and however they are spelt."""
    texts = [json.dumps(value, ensure_ascii=ascii_only) for value in values if "\\ud" not in json.dumps(value)]
    for answer, depth in ((searched(texts), 3), (got([*texts, None]), 2)):
        rest, sources = cut_sources(answer, depth)
        assert sources == [text.encode() for text in texts]
        hits = rest["hits"]["hits"] if depth == 3 else rest["docs"][:-1]
        assert [hit["_source"] for hit in hits] == list(range(len(texts)))
        assert [hit["_id"] for hit in hits] == [str(number) for number in range(len(texts))]


def test_an_answer_without_documents_has_none() -> None:
    """It is decoded all the same."""
    assert cut_sources(b'{"docs":[]}', 2) == ({"docs": []}, [])


@pytest.mark.parametrize("answer", [b"", b"[]", b"<html>", b'{"docs":[{"_source":{', b'{"a":"', b"{}}", b'{"a":1,}'])
def test_what_is_no_whole_answer_is_refused(answer: bytes) -> None:
    """A part of an answer is never taken for one."""
    with pytest.raises(ValueError, match=r".+"):
        cut_sources(answer, 2)
