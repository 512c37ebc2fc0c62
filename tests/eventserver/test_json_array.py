"""Cutting a JSON array: the texts of its elements, each as it was sent, or a refusal of the whole."""

import asyncio
import json
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from eventserver import json_array
from eventserver.json_array import split_array
from eventserver.refusal import Code, Refusal
from support.json_texts import spaces, texts

PROPERTY = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
WHOLE_WINDOWS = (4 * 1024, 64 * 1024, 1024 * 1024)
SMALL_WINDOWS = (20, 24, 40)
WINDOWS = [WHOLE_WINDOWS, SMALL_WINDOWS]
"""With small ones, values meet the end of a window at each of their tokens."""

LARGE = 1024 * 1024 + 100
ODD_STRING = '"' + '\\"]},[{' * (LARGE // 8) + '"'

almost_json = st.text('[]{},:"\\ \t\n\r0123456789.eE+-truefalsn\u00e9', max_size=40)


@pytest.fixture(params=WINDOWS, ids=["windows as they are", "small windows"])
def windows(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> tuple[int, ...]:
    """Let the decoder see so many characters at a time."""
    monkeypatch.setattr(json_array, "_WINDOWS", request.param)
    sizes: tuple[int, ...] = request.param
    return sizes


def split(text: str | bytes, most: int = 10_000) -> list[str]:
    """Return the elements as texts."""
    body = text.encode() if isinstance(text, str) else text
    return [element.decode() for element in asyncio.run(split_array(body, most=most))]


def refusal_of(text: str | bytes, most: int = 10_000) -> Refusal:
    """Return why an array is refused."""
    with pytest.raises(Refusal) as caught:
        split(text, most)
    return caught.value


@PROPERTY
@given(elements=st.lists(texts, max_size=8), before=spaces, after=spaces)
@example(elements=["1" * 20 + ".5", "2"], before="", after="")
@example(elements=["1" * 39 + ".5", "[]"], before="", after="")
@example(elements=["1" * 100, "{}", "[]"], before=" ", after="\n")
@example(elements=["1" * 37 + "e+5"], before="", after="")
@example(elements=['"' + "x" * 17 + '\\"]"', "{}"], before="", after="")
@example(elements=["[" + '"\\u00e9\\ud834\\udd1e",' * 9 + "true]"], before="", after="")
def test_each_element_is_the_text_that_was_sent(
    windows: tuple[int, ...], elements: list[str], before: str, after: str
) -> None:
    """Whatever space is around them, and wherever a window ends: no character of an element is changed or lost."""
    array = f"{before}[{','.join(before + element + after for element in elements)}]{after}"
    assert split(array) == elements


@PROPERTY
@given(text=almost_json | st.builds("[{}]".format, almost_json))
@example(text="")
@example(text="[")
@example(text="[,]")
@example(text="[1,]")
@example(text="[1 2]")
@example(text="[1]]")
@example(text="[1],[2]")
@example(text="[01]")
@example(text="[[NaN]]")
@example(text='["\\x"]')
@example(text='["a\nb"]')
def test_it_takes_the_arrays_that_another_reader_takes_and_no_other_text(text: str) -> None:
    """A second opinion by ``json.loads``: the same texts are arrays, and their elements have the same values."""
    value = _read(text)
    if not isinstance(value, list):
        assert refusal_of(text).code is Code.MALFORMED_JSON
    else:
        assert [_read(element) for element in split(text)] == value


@PROPERTY
@given(elements=st.lists(texts, min_size=1, max_size=4), data=st.data())
def test_a_part_of_an_array_is_refused_whole(
    windows: tuple[int, ...], elements: list[str], data: st.DataObject
) -> None:
    """However it was cut off, no element of a text that has no end is taken."""
    array = f"[{','.join(elements)}]"
    kept = data.draw(st.integers(0, len(array) - 1), label="characters kept")
    assert refusal_of(array[:kept]).code is Code.MALFORMED_JSON


def _read(text: str) -> Any:
    """Return a value with its numbers as texts, or a text that says that it is none."""
    try:
        return json.loads(text, object_pairs_hook=tuple, parse_int=str, parse_float=str, parse_constant=_no_json)
    except ValueError:
        return "no JSON"


def _no_json(constant: str) -> Any:
    raise ValueError(constant)


@pytest.mark.parametrize("text", ["{}", '{"events":[]}', "1", '"[]"', "null", "\ufeff[]", "x[]"])
def test_what_is_no_array_is_told_what_would_be_right(text: str) -> None:
    """Whoever sends one event, or an object around the array, reads what belongs here."""
    refusal = refusal_of(text)
    assert refusal.code is Code.MALFORMED_JSON
    assert "array" in refusal.detail
    assert "application/x-ndjson" in refusal.detail


def test_bytes_that_are_not_utf_8_are_refused_with_their_place() -> None:
    """It is told where the first of them is."""
    refusal = refusal_of(b'["\xff"]')
    assert refusal.code is Code.MALFORMED_JSON
    assert "byte 2" in refusal.detail


def test_a_fault_is_told_with_its_place_in_the_whole_text() -> None:
    """Not with its place in the part that was looked at."""
    for text, wrong in (('[{"a":1}, {"b" 2}]', "2"), ("[{}, [] x]", "x"), ("[" + "1, " * 2000 + "wrong]", "wrong")):
        assert f"character {text.index(wrong)}" in refusal_of(text).detail


@pytest.mark.parametrize(
    "element", ['{"a":1,"a":2}', '"\\ud800"', "[" * 70 + "]" * 70, '{"a":' * 100_000 + "[]" + "}" * 100_000]
)
def test_what_is_not_strict_within_an_element_is_no_matter_of_the_array(element: str) -> None:
    """It is JSON by the grammar, so it costs that event only: each one is judged strictly afterwards."""
    assert split(f'[{element},{{"b":2}}]') == [element, '{"b":2}']


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity"])
@pytest.mark.parametrize("element", ["{}", '{{"a":{}}}', '{{"a":[1,{}],"b":2}}'])
def test_a_constant_that_json_does_not_know_makes_the_array_malformed(
    windows: tuple[int, ...], constant: str, element: str
) -> None:
    """The decoder knows them, the grammar does not; the array is refused as it is for any other word."""
    refusal = refusal_of(f'[{{"a":1}}, {element.format(constant)}]')
    assert refusal.code is Code.MALFORMED_JSON
    assert f"{constant} is no JSON value" in refusal.detail
    assert "character 10" in refusal.detail


def test_a_text_that_looks_like_a_constant_is_a_text() -> None:
    """Also as a name."""
    assert split('[{"NaN":"-Infinity"},"NaN"]') == ['{"NaN":"-Infinity"}', '"NaN"']


@pytest.mark.parametrize("large", ['"' + "\\n" * 600_000, "[1" + ',"a"' * 300_000, "[" + ODD_STRING[:-1], "1" * LARGE])
def test_a_large_element_that_breaks_off_is_refused_with_the_whole(large: str) -> None:
    """As a small one is."""
    assert refusal_of(f"[{large}").code is Code.MALFORMED_JSON


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_nesting_without_end_is_refused_and_breaks_nothing(opening: str) -> None:
    """A million levels are a refusal like any other."""
    assert refusal_of("[" + opening * 1_000_000).code is Code.MALFORMED_JSON


@pytest.mark.parametrize("number", [0, 1, 3])
def test_so_many_elements_are_taken_and_no_more(number: int) -> None:
    """One too many, and the whole is refused: its code tells that it is too large."""
    array = f"[{','.join(['1'] * number)}]"
    assert len(split(array, most=number)) == number
    if number:
        assert refusal_of(array, most=number - 1).code is Code.PAYLOAD_TOO_LARGE


@pytest.mark.parametrize(
    "large",
    [
        pytest.param(f'"{"x" * LARGE}"', id="string"),
        pytest.param(ODD_STRING, id="string with brackets and quotes"),
        pytest.param(f"[{ODD_STRING}, [[]], {{}}]", id="array"),
        pytest.param(f'{{"a":{{"b":{ODD_STRING}}}, "c":[{{}}]}}', id="object"),
        pytest.param("1" * LARGE, id="number"),
        pytest.param("1" * (LARGE - 100) + ".5", id="number across the end of the last window"),
    ],
)
def test_an_element_larger_than_any_event_is_still_one_element(large: str) -> None:
    """It is refused by itself, later; the ones beside it are none of its matter."""
    assert split(f'[{{"a":1}},{large}, {{"b":2}}]') == ['{"a":1}', large, '{"b":2}']


@pytest.fixture
def ticking(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each look at the clock be one in which a millisecond has passed."""
    ticks = count()
    monkeypatch.setattr(json_array, "perf_counter", lambda: next(ticks) / 1000)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"[" + b",".join([b"{}"] * 1000) + b"]", id="many elements"),
        pytest.param(b"[[" + b",".join([b"[]"] * 400_000) + b"]]", id="one large element"),
        pytest.param(b"[[" + b"1," * 8_000_000 + b"1]]", id="one large element without brackets"),
        pytest.param(b"[[" + b'"a",' * 4_000_000 + b"1]]", id="one large element of strings"),
        pytest.param(b"[" + b"1" * 16_000_000 + b"]", id="one large number"),
        pytest.param(b'["' + b"x" * 16_000_000 + b'"]', id="one large string"),
        pytest.param(b'[["' + b"\\n" * 8_000_000 + b'"]]', id="one large string of escapes"),
    ],
)
async def test_the_event_loop_is_given_back_while_it_works(ticking: None, body: bytes) -> None:
    """Every few milliseconds others have their turn, also within one large element."""
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(others())
    await split_array(body, most=10_000)
    task.cancel()
    assert turns > 40
