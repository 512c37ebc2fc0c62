"""Strict JSON: one meaning for every reader, or a refusal; and never another exception, whatever the bytes."""

from decimal import Decimal, InvalidOperation
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import event, example, given, settings
from hypothesis import strategies as st

from eventserver.message import SystemMessage, parse
from eventserver.refusal import Code, Refusal
from support.reference_json import Number, instant_of, judge, read_strictly

HUGE = b"9" * 5000
ENVELOPE = (
    b'{"smrtlinkId":"2319db24-f46e-11e6-a35c-3c15c2cc8f88","uuid":"83927d00-f46c-11e6-9f9b-3c15c2cc8f88",'
    b'"createdAt":"2017-02-16T08:36:21.082-08:00","eventTypeId":"sl_test_event","eventTypeVersion":1,"message":%b}'
)


def with_message(message: bytes) -> bytes:
    """Return an event that holds this message."""
    return ENVELOPE % message


REFUSED = {
    "duplicate key": b'{"a":1,"a":2}',
    "duplicate key by escape": rb'{"a":1,"\u0061":2}',
    "duplicate key below": b'{"x":[{"a":1,"a":1}]}',
    "NaN": b'{"a":NaN}',
    "Infinity": b'{"a":Infinity}',
    "-Infinity": b'{"a":-Infinity}',
    "lone high surrogate": rb'{"a":"\ud800"}',
    "lone low surrogate": rb'{"a":"\udc00"}',
    "surrogates the wrong way round": rb'{"a":"\udc00\ud800"}',
    "high surrogate and a letter": rb'{"a":"\ud800\u0041"}',
    "lone surrogate in a key": rb'{"\ud800":1}',
    "surrogate as UTF-8": b'{"a":"\xed\xa0\x80"}',
    "invalid UTF-8": b'{"a":"\xff"}',
    "overlong UTF-8": b'{"a":"\xc0\x80"}',
    "control character": b'{"a":"\x01"}',
    "line feed in text": b'{"a":"\n"}',
    "unknown escape": rb'{"a":"\x41"}',
    "escape of too few digits": rb'{"a":"\u12"}',
    "escape of no digits": rb'{"a":"\u 123"}',
    "trailing comma": b'{"a":[1,]}',
    "missing comma": b'{"a":[1 2]}',
    "leading zero": b'{"a":01}',
    "plus sign": b'{"a":+1}',
    "no digit behind the point": b'{"a":1.}',
    "no digit before the point": b'{"a":.5}',
    "hexadecimal": b'{"a":0x10}',
    "underscore": b'{"a":1_000}',
    "single quotes": b"{'a':1}",
    "comment": b'{"a":1/* one */}',
    "form feed as white space": b'{"a":\x0c1}',
    "no-break space as white space": b'{"a":\xc2\xa01}',
    "63 levels in a message, which make 65": b'{"a":' + b"[" * 63 + b"]" * 63 + b"}",
}


@pytest.mark.parametrize("message", REFUSED.values(), ids=REFUSED.keys())
def test_what_readers_disagree_on_is_refused(message: bytes) -> None:
    """Each rule by itself, and the reference agrees."""
    assert judge(with_message(message)) == "malformed_json"
    with pytest.raises(Refusal) as caught:
        parse(with_message(message))
    assert caught.value.code is Code.MALFORMED_JSON


@pytest.mark.parametrize("message", REFUSED.values(), ids=REFUSED.keys())
@pytest.mark.parametrize("number", [HUGE, b"1E+400", HUGE + b".5", b"-" + HUGE])
def test_a_number_that_needs_decimals_does_not_open_a_second_door(message: bytes, number: bytes) -> None:
    """The slow path is as strict as the fast one, before and behind the number."""
    for text in (
        with_message(b'{"n":' + number + b"," + message[1:]),
        with_message(message[:-1] + b',"n":' + number + b"}"),
        with_message(message)[:-1] + b',"n":' + number + b"}",
    ):
        with pytest.raises(Refusal) as caught:
            parse(text)
        assert caught.value.code is Code.MALFORMED_JSON
        assert len(caught.value.detail) < 300
        caught.value.detail.encode()


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "is empty"),
        (b" \r\n", "is empty"),
        (b"\xef\xbb\xbf" + with_message(b"{}"), "byte order mark"),
        (with_message(b"{}").decode().encode("utf-16"), "expected value"),
        (with_message(b"{}") + b"x", "trailing"),
        (with_message(b"{}") + b"\x00", "trailing"),
        (with_message(b"{}") + with_message(b"{}"), "trailing"),
        (with_message(b"{}")[:-1], "EOF"),
        (b"[" * 100_000, "recursion limit"),
        (b'{"a":' * 100_000, "recursion limit"),
        (b"[" + HUGE + b"," + b"[" * 100_000, "64 levels"),
    ],
)
def test_the_refusal_says_what_is_wrong(body: bytes, reason: str) -> None:
    """In a sentence."""
    with pytest.raises(Refusal, match=reason) as caught:
        parse(body)
    assert caught.value.code is Code.MALFORMED_JSON


def test_64_levels_are_taken() -> None:
    """The event is the first, its message the second; brackets inside text are no levels."""
    message = b'{"a":' + b"[" * 62 + b'"' + b"[{" * 100 + b'"' + b"]" * 62 + b"}"
    assert parse(with_message(message)).event_type_version == 1


def test_the_sender_is_not_echoed_at_length() -> None:
    """A duplicate key of a megabyte makes no refusal of a megabyte."""
    key = b'"' + b"k" * 500_000 + b'":1'
    with pytest.raises(Refusal) as caught:
        parse(b"{" + key + b"," + key + b"}")
    assert len(caught.value.detail) < 300


@pytest.mark.parametrize(
    "number",
    [
        "1E+400",
        "-1e400",
        "123456789e301",
        "1" * 310 + ".5",
        "9" * 4301,
        "-" + "9" * 5000,
        "9" * 5000 + ".5",
        "9" * 5000 + "e-5000",
        "1e999999999999999999",
        "0." + "0" * 5000 + "1e6000",
    ],
)
def test_a_number_beyond_floats_is_legal_and_exact(number: str) -> None:
    """It is read as a decimal, so that a schema judges the number that was sent."""
    for message in (f'{{"n":{number}}}', f'{{"deep":[[{{"n":[{number}]}}]]}}'):
        read = parse(with_message(message.encode()))
        assert read.original == with_message(message.encode())
        value: Any = read.message
        while isinstance(value, dict | list):
            (value,) = value.values() if isinstance(value, dict) else value
        assert value == Decimal(number)
        assert isinstance(value, Decimal)


@pytest.mark.parametrize("number", ["1e99999999999999999999", "-1.5E+1000000000000000000", "0.1e1000000000000000001"])
def test_an_exponent_beyond_decimals_becomes_the_largest(number: str) -> None:
    """No schema can tell the difference; what is stored is the text."""
    value = parse(with_message(b'{"n":%b}' % number.encode())).message["n"]
    assert value == Decimal(f"{'-' * number.startswith('-')}1E+999999999999999999")


def test_tiny_and_zero_numbers_beside_a_huge_one_stay_what_they_are() -> None:
    """Zero is zero whatever its exponent, and what is tiny is not zero."""
    message = parse(with_message(b'{"a":1e400,"b":0e99999999999999999999,"c":-1e-99999999999999999999}')).message
    assert message["b"] == 0
    assert -Decimal("1e-1000") < message["c"] < 0


def test_ordinary_numbers_are_floats_and_integers() -> None:
    """Decimals are for what needs them."""
    message = parse(with_message(b'{"a":1.5,"b":12345678901234567890123,"c":1e308,"d":-0,"e":1e-400}')).message
    assert message == {"a": 1.5, "b": 12345678901234567890123, "c": 1e308, "d": 0, "e": 0.0}
    assert not any(isinstance(value, Decimal) for value in message.values())


def test_a_megabyte_of_digits_is_read() -> None:
    """In linear time: as an integer it would take seconds."""
    number = b"9" * 1_000_000
    assert parse(with_message(b'{"n":' + number + b"}")).message["n"].adjusted() == 999_999


# Fuzzing: bodies legal and flawed, judged against the reference.

SPACES = st.sampled_from(["", "", "", " ", "\n", "\r\n\t"])
NUMBERS = st.one_of(
    st.sampled_from(["0", "-0", "1", "1.0", "1e5", "1E+400", "-1e400", "1e-400", "0e0", "2147483648"]),
    st.sampled_from([4301, 310]).map(lambda digits: "9" * digits),
    st.from_regex(r"-?(0|[1-9][0-9]{0,2})(\.[0-9]{1,3})?([eE][+-]?[0-9]{1,4})?", fullmatch=True),
)
CHARACTERS = st.one_of(
    st.characters(codec="utf-8", exclude_characters='"\\', min_codepoint=32),
    st.sampled_from([r"\"", r"\\", r"\/", r"\n", r"\u0041", r"\u00e9", r"\ud83d\ude00", "[", "{"]),
)
STRINGS = st.lists(CHARACTERS, max_size=4).map(lambda parts: f'"{"".join(parts)}"')
ARRAYS_IN_ARRAYS = st.integers(1, 66).map(lambda depth: "[" * depth + "]" * depth)
FLAWS = st.sampled_from(
    [
        *["01", "1.", ".5", "+1", "NaN", "-", "Infinity", "-Infinity", "1e", "nul", "True", "[1,]", "[,1]", '{"a":1,}'],
        *[
            r'"\ud83d"',
            r'"\ude00"',
            r'"\x"',
            '"\x00"',
            '"',
            '{"a":1,"a":1}',
            r'{"a":1,"\u0061":1}',
            "\x0c1",
            "[1 2]",
            "",
        ],
        *["[" * 64 + "]" * 64, "[" * 1000, "\xa01", "1,", "1}", "1]"],
    ]
)


def arrays(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Return texts of arrays."""
    return st.tuples(SPACES, st.lists(values, max_size=3)).map(lambda parts: f"[{(parts[0] + ',').join(parts[1])}]")


def objects(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Return texts of objects, mostly without duplicate keys."""
    members = st.lists(st.tuples(STRINGS, values), max_size=3, unique_by=lambda member: member[0])
    return st.tuples(SPACES, members).map(
        lambda parts: "{" + ",".join(f"{parts[0]}{key}{parts[0]}:{value}" for key, value in parts[1]) + "}"
    )


def values(*leaves: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Return texts of JSON values, with leaves besides the legal ones."""
    return st.recursive(
        st.one_of(st.sampled_from(["null", "true", "false"]), NUMBERS, STRINGS, ARRAYS_IN_ARRAYS, *leaves),
        lambda below: st.one_of(arrays(below), objects(below)),
        max_leaves=6,
    )


LEGAL = values()
FLAWED = values(FLAWS, FLAWS, FLAWS)
GOOD = {
    "uuid": st.sampled_from(['"83927D00-f46c-11e6-9f9b-3c15c2cc8f88"', r'"83927d00-f46c-11e6-9f9b-3c15c2cc8f8\u0038"']),
    "smrtlinkId": st.just('"2319DB24-F46E-11E6-A35C-3C15C2CC8F88"'),
    "createdAt": st.sampled_from(
        ['"2017-02-16T08:36:21.082-08:00"', '"0000-12-31T23:59:60Z"', '"2024-02-29t00:00:00z"']
    ),
    "eventTypeId": STRINGS,
    "eventTypeVersion": st.sampled_from(["1", "2147483647"]),
    "message": objects(LEGAL),
}
WRONG = st.one_of(
    st.sampled_from(['"83927d00f46c11e69f9b3c15c2cc8f88"', '"2017-02-30T08:36:21Z"', '"9999-12-31T23:59:60Z"']),
    st.sampled_from(["0", "-0", "1.0", "2147483648", "1e400", "{}", "[]", "null", "true"]),
)


@st.composite
def events(draw: st.DrawFn, *, flawed: bool) -> str:
    """Return the text of an event: a good one, or one with one thing that may be wrong with it."""
    members = {key: draw(texts) for key, texts in GOOD.items()}
    names = {key: key for key in members} | {"smrtlinkId": draw(st.sampled_from(["smrtlinkId", "smrtLinkId"]))}
    extra = draw(st.sampled_from(["", "dnsName", "note"]))
    if extra:
        members[extra] = draw(LEGAL if extra == "note" else st.one_of(STRINGS, st.just("null")))
    if flawed:
        key = draw(st.sampled_from([*members, "@at", r"\u0040", "dnsName", "smrtLinkId", "message"]))
        members[key] = draw(st.one_of(WRONG, FLAWED, objects(FLAWED), st.just("")))
        if not members[key]:
            del members[key]
    keys = draw(st.permutations(list(members)))
    return "{" + ",".join(f'"{names.get(key, key)}":{members[key]}' for key in keys) + "}"


MUTATIONS = st.lists(
    st.tuples(
        st.integers(0, 400),
        st.integers(0, 3),
        st.sampled_from([bytes([byte]) for byte in b'"\\{}[],:0e.@u \n\xff\x00']),
    ),
    min_size=1,
    max_size=2,
)


@st.composite
def mutated_events(draw: st.DrawFn) -> bytes:
    """Return an event with some bytes of it replaced."""
    body = draw(events(flawed=False)).encode()
    for place, removed, inserted in draw(MUTATIONS):
        at = place % (len(body) + 1)
        body = body[:at] + inserted + body[at + removed :]
    return body


def check(body: bytes) -> None:
    """Hold what is made of a body against the reference, and its message against a validator."""
    verdict = judge(body)
    event(verdict)
    if verdict != "accepted":
        check_refusal(body, verdict)
        return
    message = parse(body)
    check_keys(message, read_strictly(body))
    jsonschema_rs.validator_for({"additionalProperties": {"minimum": 0, "multipleOf": 2}}).is_valid(message.message)


def check_refusal(body: bytes, code: str) -> None:
    """Hold a refusal against the code it should have; it is small and can be sent."""
    with pytest.raises(Refusal) as caught:
        parse(body)
    refusal = caught.value
    assert refusal.code.value == code
    assert bool(refusal.errors) == (refusal.code is Code.INVALID_EVENT)
    assert len(refusal.errors) <= 20
    assert len(refusal.detail) < 500
    for text in (refusal.detail, *(violation.pointer + violation.message for violation in refusal.errors)):
        text.encode()


def check_keys(message: SystemMessage, sent: dict[str, Any]) -> None:
    """Hold the keys and the message that were read against the reference."""
    assert message.uuid == sent["uuid"].lower()
    assert message.smrtlink_id == sent.get("smrtLinkId", sent.get("smrtlinkId")).lower()
    assert message.event_type_id == sent["eventTypeId"]
    assert message.event_type_version == int(sent["eventTypeVersion"].text)
    assert message.at == instant_of(sent["createdAt"])
    assert same(message.message, sent["message"])
    assert read_strictly(message.original) == sent
    assert message.original[:1] + message.original[-1:] == b"{}"


def same(value: Any, reference: Any) -> bool:
    """Tell whether a value is what the reference read; infinity is nothing's value."""
    if isinstance(reference, dict):
        return value.keys() == reference.keys() and all(same(value[key], reference[key]) for key in reference)
    if isinstance(reference, list):
        return len(value) == len(reference) and all(same(*pair) for pair in zip(value, reference, strict=True))
    if isinstance(reference, Number):
        try:
            exact = Decimal(reference.text)
        except InvalidOperation:  # an exponent of over 18 digits
            return bool(value == 0) or (isinstance(value, Decimal) and abs(value.adjusted()) > 10**17)
        return bool(value == exact) or (type(value) is float and value == float(exact) and abs(value) != float("inf"))
    return type(value) is type(reference) and bool(value == reference)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_taken_or_refused(body: bytes) -> None:
    """Never another exception."""
    check(body)


@settings(max_examples=400, deadline=None)
@given(events(flawed=False).map(str.encode))
@example(with_message(b'{"a":1e400,"b":"\\ud83d\\ude00"}'))
def test_any_good_event_is_read_as_by_the_reference(body: bytes) -> None:
    """The same keys, the same message; refused only where two keys or 65 levels came about."""
    check(body)


@settings(max_examples=800, deadline=None)
@given(st.one_of(events(flawed=True), FLAWED).map(str.encode))
@example(b"1e400")
@example(with_message(b'{"a":9e-' + HUGE + b"}"))
@example(with_message(b'{"a":-9e' + HUGE + b"}"))
@example(with_message(b'{"a":9e-' + HUGE + b',"b":1e400}'))
def test_any_flaw_is_judged_as_by_the_reference(body: bytes) -> None:
    """The same verdict."""
    check(body)


@settings(max_examples=500, deadline=None)
@given(mutated_events())
def test_any_damaged_event_is_judged_as_by_the_reference(body: bytes) -> None:
    """A byte lost, a byte too many."""
    check(body)
