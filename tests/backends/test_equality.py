"""When two events of one uuid are the same event."""

import json
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from backends.equality import same_content

ENVELOPE = '{"uuid":"83927d00-f46c-11e6-9f9b-3c15c2cc8f88","smrtlinkId":"2319db24-f46e-11e6-a35c-3c15c2cc8f88"%s}'


def event(rest: str = "") -> bytes:
    """Return an event with a text behind its two uuids."""
    return (ENVELOPE % rest).encode()


def number(text: str) -> bytes:
    """Return an event that holds this JSON value."""
    return event(f',"message":{{"n":{text}}}')


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (event(), event()),
        (event(',"a":1,"b":[2]'), event(' , "b" : [ 2 ]\n, "a":1')),
        (event(r',"a":"\u0041\/\u00e9\ud83d\ude00"'), event(',"a":"A/é😀"')),
        (event(r',"\u0061":1'), event(',"a":1')),
        (event(), event().replace(b"smrtlinkId", b"smrtLinkId")),
        (event(), event().replace(b"f46c", b"F46C").replace(b"f46e", b"F46E")),
        (number("9" * 5000), number("9" * 5000 + " ")),
        (number("1E+400"), number(" 1E+400")),
        (number("-0"), number(" -0")),
    ],
)
def test_the_same_value_in_another_spelling_is_the_same_content(first: bytes, second: bytes) -> None:
    """Order, white space, escapes, the system's key, the case of its two uuids."""
    assert same_content(first, second)
    assert same_content(second, first)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (number("1"), number("1.0")),
        (number("1.0"), number("1.00")),
        (number("100"), number("1e2")),
        (number("1e2"), number("1E2")),
        (number("0"), number("-0")),
        (number("1E+400"), number("1E+401")),
        (number("12345678901234567890.123"), number("12345678901234567890.124")),
        (number("1"), number('"1"')),
        (number("1"), number('["1"]')),
        (number("1"), number("[1]")),
        (number("1"), number("true")),
        (number("0"), number("false")),
        (number("null"), number("false")),
        (number("[]"), number("{}")),
        (number("[1,2]"), number("[2,1]")),
        (number('"a"'), number('"A"')),
        (number('"2017-02-16T16:36:21Z"'), number('"2017-02-16T08:36:21-08:00"')),
        (number('"é"'), number('"e\u0301"')),
        (event(',"createdAt":"2017-02-16T16:36:21Z"'), event(',"createdAt":"2017-02-16T16:36:21.0Z"')),
        (event(), event(',"dnsName":null')),
        (event(), event().replace(b"f46c", b"f46d")),
        (event(), event().replace(b"f46e", b"f46d")),
        (event(',"message":{"uuid":"ab"}'), event(',"message":{"uuid":"AB"}')),
        (event(',"message":{"smrtlinkId":"ab"}'), event(',"message":{"smrtLinkId":"ab"}')),
        (event(',"Uuid":"ab"'), event(',"Uuid":"AB"')),
    ],
)
def test_another_value_is_other_content(first: bytes, second: bytes) -> None:
    """Numbers and times by their text; below the top level nothing is special."""
    assert not same_content(first, second)
    assert not same_content(second, first)


# Values as models: (kind, content). Two models are equal if and only if the contents should be.

NUMBERS = st.sampled_from(["0", "-0", "1", "1.0", "1.00", "1e2", "1E2", "100", "1E+400", "9" * 4400])
TEXTS = st.text(alphabet=st.sampled_from('aA1é"\\/\n😀'), max_size=3)
VALUES = st.recursive(
    st.one_of(
        st.sampled_from([("word", "null"), ("word", "true"), ("word", "false")]),
        NUMBERS.map(lambda text: ("number", text)),
        TEXTS.map(lambda text: ("text", text)),
    ),
    lambda below: st.one_of(
        st.lists(below, max_size=3).map(lambda items: ("array", items)),
        st.dictionaries(TEXTS, below, max_size=3).map(lambda members: ("object", members)),
    ),
    max_leaves=8,
)
KEYS = ["createdAt", "message", "dnsName", "note"]
EVENTS = st.tuples(
    st.sampled_from(["83927d00", "83927d01"]),
    st.sampled_from(["2319db24", "2319db25"]),
    st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=3),
)


@st.composite
def spelt(draw: st.DrawFn, model: Any) -> bytes:
    """Return one of the many texts of an event."""
    uuid, system, rest = model
    members = [
        f'"uuid":"{draw(st.sampled_from([uuid, uuid.upper()]))}"',
        f'"{draw(st.sampled_from(["smrtlinkId", "smrtLinkId"]))}":"{draw(st.sampled_from([system, system.upper()]))}"',
        *(f'"{key}":{draw(spelt_value(value))}' for key, value in rest.items()),
    ]
    return ("{" + ",".join(draw(st.permutations(members))) + "}").encode()


@st.composite
def spelt_value(draw: st.DrawFn, model: Any) -> str:
    """Return one of the many texts of a value."""
    kind, content = model
    space = draw(st.sampled_from(["", " ", "\n"]))
    if kind == "text":
        return space + json.dumps(content, ensure_ascii=draw(st.booleans())) + space
    if kind == "array":
        return f"[{','.join(draw(spelt_value(item)) for item in content)}{space}]"
    if kind == "object":
        members = [f"{draw(spelt_value(('text', key)))}:{draw(spelt_value(value))}" for key, value in content.items()]
        return f"{{{space}{','.join(draw(st.permutations(members)))}}}"
    return space + str(content) + space


@settings(deadline=None)
@given(st.data(), EVENTS)
def test_any_two_spellings_of_one_event_are_the_same(data: st.DataObject, model: Any) -> None:
    """Whatever was drawn."""
    assert same_content(data.draw(spelt(model)), data.draw(spelt(model)))


@settings(deadline=None, max_examples=300)
@given(st.data(), EVENTS, EVENTS)
def test_any_two_events_are_not(data: st.DataObject, model: Any, other: Any) -> None:
    """Unless one was drawn twice."""
    assume(model != other)
    assert not same_content(data.draw(spelt(model)), data.draw(spelt(other)))


@settings(deadline=None, max_examples=300)
@given(st.data(), VALUES, VALUES)
def test_one_value_makes_the_difference(data: st.DataObject, value: Any, other: Any) -> None:
    """Events that differ in a single value are the same when the values are."""
    first = ("83927d00", "2319db24", {"message": ("object", {"deep": ("array", [value])})})
    second = ("83927d00", "2319db24", {"message": ("object", {"deep": ("array", [other])})})
    assert same_content(data.draw(spelt(first)), data.draw(spelt(second))) == (value == other)


def test_64_levels_and_a_megabyte_are_compared() -> None:
    """As much as the service takes."""
    deep = ",".join(["[" * 61 + "1" + "]" * 61] * 8000)
    assert same_content(number(f"[{deep}]"), number(f"[{deep} ]"))
    assert not same_content(number(f"[{deep}]"), number(f"[{deep.removesuffix('1' + ']' * 61)}2{']' * 61}]"))


def test_what_is_not_json_is_an_error() -> None:
    """It can't have been stored."""
    with pytest.raises(ValueError, match="Expecting"):
        same_content(event(), b"{")
