"""Patterns take linear time and mean the same to both validators."""

import subprocess
import sys

import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from eventserver.schemas.patterns import pattern_fault
from eventserver.schemas.validation import compile_schema, second_opinion

HOSTILE = ["^(a+)+$", "^(a|aa)+$", "^(a*)*b$", "(a?){100}a{100}$", "^(.*a){20}$", r"^(\w+\s?)*$".replace(r"\s", " ")]


def test_a_hostile_pattern_cannot_stall() -> None:
    """What takes a backtracking engine longer than the universe's age is answered by both validators.

    In a process of its own with a limit of time, since an engine that hangs can't be interrupted.
    """
    program = f"""
from eventserver.schemas.patterns import pattern_fault
from eventserver.schemas.validation import compile_schema, second_opinion
text = "a" * 50_000 + "!"
for pattern in {HOSTILE!r}:
    assert pattern_fault(pattern) is None
    for schema, value in (({{"pattern": pattern}}, text), ({{"patternProperties": {{pattern: False}}}}, {{text: 1}})):
        assert compile_schema(schema)(value) == second_opinion(schema)(value)
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


@pytest.mark.parametrize("pattern", ["^(?=a)b", r"(a)\1"])
def test_the_hot_path_has_no_engine_that_backtracks(pattern: str) -> None:
    """What needs one can't even be compiled, should it ever pass the checks before."""
    with pytest.raises(ValueError, match="regex"):
        compile_schema({"pattern": pattern})


@pytest.mark.parametrize(
    ("pattern", "word"),
    [
        ("(?=a)b", "look-around"),
        ("(?<!a)b", "look-around"),
        ("(?i)a", "flags"),
        ("(?P<name>a)", "named groups"),
        (r"(a)\1", "back-reference"),
        (r"\ba", "not the same to every engine"),
        (r"\s", "not the same to every engine"),
        (r"[\s]", "not the same to every engine"),
        (r"\u00e9", "not the same to every engine"),
        (r"\Aa\z", "not the same to every engine"),
        ("[a&&b]", "inside a class"),
        ("[[:alpha:]]", "inside a class"),
        ("[]a]", "inside a class"),
        ("[a", "not closed"),
        ("a]", "bare"),
        ("a{,2}", "bare"),
        ("a\\", "middle of an escape"),
        ("a{1001}", "RE2"),
        ("(a", "RE2"),
        ("a**", "RE2"),
    ],
)
def test_what_is_not_common_to_all_engines_is_refused_in_plain_words(pattern: str, word: str) -> None:
    """The fault says what is wrong."""
    assert word in str(pattern_fault(pattern))


@pytest.mark.parametrize(
    "pattern", ["^m[0-9]{5}_[0-9]{6}$", r"^[\w.-]+$", r"^\d+\.\d+$", r"^(?:a|b)*\/c?$", r"^\p{L}+$", ""]
)
def test_ordinary_patterns_are_taken(pattern: str) -> None:
    """What people write for names and versions."""
    assert pattern_fault(pattern) is None
    compile_schema({"pattern": pattern})


ESCAPES = ["\\d", "\\D", "\\w", "\\W", "\\n", "\\.", "\\[", "\\p{L}"]
PIECES = st.sampled_from([*"ab.é^$|()[]*+?-\n ", *ESCAPES, "(?:", "[^", "{2}", "{1,3}", "{,2}"])


@given(st.lists(PIECES, max_size=8).map("".join), st.text("ab.é-9_\n\r \u2028[", max_size=6))
def test_both_engines_agree_wherever_a_pattern_is_taken(pattern: str, text: str) -> None:
    """The common language is common."""
    if pattern_fault(pattern) is None:
        assert compile_schema({"pattern": pattern})(text) == (re2.search(pattern, text) is not None)
        assert second_opinion({"pattern": pattern})(text) == (re2.search(pattern, text) is not None)
