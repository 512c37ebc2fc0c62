"""Cutting documents out of an answer as bytes.

Elasticsearch hands a document's ``_source`` back as it was sent, token for token, so long as nobody decodes it: a
number such as ``1.10`` or ``1E+400`` would not survive that. So the answer's text is cut by its structure.
"""

from typing import Any, Final, NamedTuple

import numpy as np
from jiter import from_json

_QUOTE: Final = 0x22
_BACKSLASH: Final = 0x5C
_OPENING: Final = 0x7B
_CLOSING: Final = 0x7D
_KEY: Final = b'"_source":'


class Cut(NamedTuple):
    """An answer in two parts."""

    rest: Any
    """What is not a document, decoded; where one stood there is its number in ``sources``."""
    sources: list[bytes]
    """The documents, as they stand in the answer, in their order."""


def cut_sources(answer: bytes, depth: int) -> Cut:
    """Cut all documents out of an answer.

    Args:
        answer: the JSON of an answer that was asked for without ``filter_path`` and ``pretty``.
        depth: how many objects are around the object that is a ``_source``: 2 in an ``_mget``, 3 in a ``_search``.

    Raises:
        ValueError: it is not of this form.

    """
    spans = _objects_at(answer, depth)
    pieces: list[bytes] = []
    sources: list[bytes] = []
    end = 0
    for start, after in spans:
        if not answer.endswith(_KEY, 0, start):
            continue
        pieces.append(b"%b%d" % (answer[end:start], len(sources)))
        sources.append(answer[start:after])
        end = after
    pieces.append(answer[end:])
    return Cut(from_json(b"".join(pieces)), sources)


def _objects_at(text: bytes, depth: int) -> list[tuple[int, int]]:
    """Return where the objects begin and end that have so many objects around them."""
    if not text.startswith(b"{"):
        raise ValueError("the answer is no JSON object")
    array = np.frombuffer(text, dtype=np.uint8)
    quotes = np.flatnonzero(array == _QUOTE)
    if b"\\" in text:
        quotes = quotes[~_is_escaped(array, quotes)]
    braces = np.flatnonzero((array == _OPENING) | (array == _CLOSING))
    # Behind an even number of quotes, a brace stands outside all strings.
    braces = braces[np.searchsorted(quotes, braces) % 2 == 0]
    is_opening = array[braces] == _OPENING
    levels = np.cumsum(np.where(is_opening, 1, -1))
    if len(quotes) % 2 or not len(levels) or levels[-1] or levels.min() < 0:
        raise ValueError("the answer is no whole JSON object")
    starts = braces[is_opening & (levels == depth + 1)]
    ends = braces[~is_opening & (levels == depth)] + 1
    return list(zip(starts.tolist(), ends.tolist(), strict=True))


def _is_escaped(array: "np.ndarray[Any, np.dtype[np.uint8]]", quotes: "np.ndarray[Any, np.dtype[np.intp]]") -> Any:
    """Tell which quotes stand behind an odd number of backslashes."""
    others = np.flatnonzero(array != _BACKSLASH)
    # The last byte before the quote that is no backslash; the quote itself is none either.
    before = others[np.searchsorted(others, quotes) - 1]
    return (quotes - before - 1) % 2 == 1
