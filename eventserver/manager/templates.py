"""Texts and JSON values with places for what an event says: ``Job ${message.jobId}``.

A place names keys and nothing else. There are no expressions, so an event can't make a template do anything.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from eventserver.manager.conditions import NAMES
from eventserver.manager.event_values import MISSING, look_up

_PLACE: Final = re.compile(r"\$\$|\$\{([A-Za-z_][A-Za-z0-9_.]*)\}|\$")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_LONGEST_TEXT: Final = 1_000


class MissingValue(Exception):
    """The event does not have what a template asks for; the message names it."""


def require_template(text: str) -> str:
    """Return a template as it is.

    Raises:
        ValueError: it is none; the message says what would be right.

    """
    for place in _PLACE.finditer(text):
        if place[0] == "$":
            msg = (
                f"a $ should begin a place such as ${{message.jobId}}, or be written $$: {text[place.start() :][:30]!r}"
            )
            raise ValueError(msg)
        if place[1] is not None and place[1].partition(".")[0] not in NAMES:
            msg = f"{place[0]} is not known; a place begins with one of {', '.join(NAMES)}"
            raise ValueError(msg)
    return text


def fill_text(template: str, event: Mapping[str, Any]) -> str:
    """Fill a text for people: what is missing is left empty, each value is one line of at most 1,000 characters."""

    def show(path: str) -> str:
        found = look_up(event, path)
        if found is MISSING or found is None:
            return ""
        text = found if isinstance(found, str) else json.dumps(found, ensure_ascii=False, default=str)
        return _CONTROL.sub(" ", text)[:_LONGEST_TEXT]

    return _fill(template, show)


def fill_value(template: Any, event: Mapping[str, Any]) -> Any:
    """Fill a JSON value: a text that is one place becomes the value itself, a place within a text its text.

    Raises:
        MissingValue: the event does not have it.

    """
    if isinstance(template, Mapping):
        return {key: fill_value(value, event) for key, value in template.items()}
    if isinstance(template, list | tuple):
        return [fill_value(value, event) for value in template]
    if not isinstance(template, str):
        return template

    def found_at(path: str) -> Any:
        found = look_up(event, path)
        if found is MISSING:
            raise MissingValue(f"the event has no {path}")
        return found

    whole = _PLACE.fullmatch(template)
    if whole is not None and whole[1] is not None:
        return found_at(whole[1])
    return _fill(template, lambda path: _text_of(found_at(path)))


def _text_of(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _fill(template: str, show: Callable[[str], str]) -> str:
    return _PLACE.sub(lambda place: "$" if place[1] is None else show(place[1]), template)
