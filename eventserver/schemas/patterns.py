"""Patterns that mean the same to every engine and take linear time in each.

ECMA-262 patterns with look-around or back-references can take exponential time; some other constructs mean different
things to different engines. What is left here is a small common language: literals, classes, groups, alternatives and
repetition, matched by automata (Rust's ``regex`` in the hot path, RE2 in the second opinion).
"""

import re

import re2  # type: ignore[import-untyped]

_TOKEN = re.compile(
    r"""
      (?P<group>\(\?(?!:))                      # any (?...) but (?:...)
    | (?P<escape>\\(?:[pP]\{[A-Za-z_]+\}|.))
    | (?P<class>\[\^?)
    | \{[0-9]+(?:,[0-9]*)?\}                  # a repetition
    | (?P<bare>[\]{}])
    | [^\\]
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPES = frozenset("dDwWtnrfv")
_SET_OPERATORS = ("&&", "--", "~~")


def pattern_fault(pattern: str) -> str | None:
    """Return what is wrong with a pattern, in plain words, or None.

    Args:
        pattern: the value of ``pattern``, or a key of ``patternProperties``.

    """
    try:
        _check_syntax(pattern)
        re2.compile(pattern, _quiet())
    except ValueError as error:
        return str(error)
    except re2.error as error:
        detail = error.args[0] if error.args else error
        return f"RE2 refuses it: {detail.decode() if isinstance(detail, bytes) else detail}"
    return None


def _quiet() -> re2.Options:
    """Return options under which RE2 raises its errors and does not print them too."""
    options = re2.Options()
    options.log_errors = False
    return options


def _check_syntax(pattern: str) -> None:
    """Walk through the tokens; raise ValueError at the first that is not in the common language."""
    position = 0
    while position < len(pattern):
        token = _TOKEN.match(pattern, position)
        if token is None:
            message = "ends in the middle of an escape"
            raise ValueError(message)
        position = token.end()
        if token["group"]:
            message = (
                "begins a group with (?: look-around, flags and named groups are refused, since they are not "
                "linear in time or not the same everywhere. Of these only (?:...) is known"
            )
            raise ValueError(message)
        if token["escape"]:
            _check_escape(token["escape"])
        if token["bare"]:
            message = f"has a bare {token['bare']}; write \\{token['bare']}"
            raise ValueError(message)
        if token["class"]:
            position = _check_class(pattern, position)


def _check_escape(escape: str) -> None:
    """Refuse escapes that engines read differently, back-references among them."""
    character = escape[1]
    if character.isdigit():
        message = f"uses the back-reference {escape}, which can't be matched in linear time"
        raise ValueError(message)
    if character in "pP" and len(escape) > 2:  # noqa: PLR2004 -- a category: \p{...}
        return
    if (character.isalnum() and character not in _ESCAPES) or not character.isascii():
        message = f"uses {escape}, which is not the same to every engine; write a class such as [ \\t] or the character"
        raise ValueError(message)


def _check_class(pattern: str, position: int) -> int:
    """Check a class from behind its opening bracket; return the position behind its closing one."""
    start = position
    while position < len(pattern):
        character = pattern[position]
        if character == "]" and position > start:
            return position + 1
        if character in "[]":
            message = f"has a bare {character} inside a class; write \\{character}"
            raise ValueError(message)
        if pattern[position : position + 2] in _SET_OPERATORS:
            message = f"has {pattern[position : position + 2]} inside a class, which some engines take for an operator"
            raise ValueError(message)
        if character == "\\":
            token = _TOKEN.match(pattern, position)
            if token is None or not token["escape"]:
                break
            _check_escape(token["escape"])
            position = token.end()
        else:
            position += 1
    message = "has a class that is not closed"
    raise ValueError(message)
