"""Cutting a JSON array into the texts of its elements, as they were sent."""

import asyncio
import json
import re
from time import perf_counter
from typing import Final

from backends.collector import collector_paused
from eventserver.refusal import Code, Refusal
from eventserver.strict_json import malformed

_SLICE_SECONDS: Final = 0.005
_WINDOWS: Final = (4 * 1024, 64 * 1024, 1024 * 1024)
_SMALL: Final = 64 * 1024
_LONGEST_TOKEN: Final = 16
"""Characters: an error so close to a window's end may come of the cut; beyond strings no token that must be whole is
longer (an escape has 12, a literal 5)."""
# The pieces of a large value: each takes less than a slice, whatever a sender makes of it, and gives nothing back.
_PIECE_OF_NUMBER: Final = re.compile(r"[-+.0-9eE]{1,65536}+")
_PIECE_OF_STRING: Final = re.compile(r'(?:[^"\\]{1,256}+|\\.){1,256}+', re.DOTALL)
_TOKEN: Final = re.compile(
    r"[\[{]{1,65536}+|[\]}]{1,65536}+"
    r'|(?:[^\[\]{}"]{1,256}+|"(?:[^"\\]{1,256}+|\\.){0,64}+"){1,64}+'
    r'|(")',  # where a long string begins
    re.DOTALL,
)
_SPACE: Final = re.compile(r"[ \t\n\r]*")


class _NoValueError(ValueError):
    """A word that Python's decoder takes for a number, and JSON does not know."""


def _refuse_constant(name: str) -> None:
    raise _NoValueError(name)


# Only where a value ends is wanted: numbers stay text, which also spares the quadratic reading of long ones.
_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=len, parse_int=str, parse_float=str, parse_constant=_refuse_constant
)


async def split_array(body: bytes, *, most: int) -> list[bytes]:
    """Return the text of each element.

    What is no JSON by its grammar (RFC 8259) is refused whole, also for NaN within an element. Where this server is
    stricter than the grammar (duplicate keys, nesting, lone surrogates) is no matter of the array: each element is
    still to be judged by itself. The event loop is given back every 5 ms.

    Args:
        body: a JSON array.
        most: how many elements are taken.

    Raises:
        Refusal: ``malformed_json``: it is no JSON array; ``payload_too_large``: too many elements.

    """
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise malformed(f"it is not UTF-8 at byte {error.start}") from None
    position = _after_space(text, 0)
    if text[position : position + 1] != "[":
        raise malformed("it should be an array of events (or send NDJSON as application/x-ndjson)")
    position = _after_space(text, position + 1)
    elements: list[bytes] = []
    separator = "]" if text[position : position + 1] == "]" else ","
    started = perf_counter()
    while separator == ",":
        start = _after_space(text, position)
        end = _end_of_value(text, start) or await _end_of_large_value(text, start)
        if len(elements) == most:
            raise too_many_events(most)
        elements.append(text[start:end].encode())
        position = _after_space(text, end)
        separator = text[position : position + 1]
        position += separator == ","
        if perf_counter() - started > _SLICE_SECONDS:
            await asyncio.sleep(0)
            started = perf_counter()
    if separator != "]" or _after_space(text, position + 1) != len(text):
        raise malformed(f"the array does not go on, or end, as it should at character {position}")
    return elements


def _after_space(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    assert match is not None
    return match.end()


def _end_of_value(text: str, start: int) -> int | None:
    """Return where a value ends, or None when it is longer than the largest window, or too deep for the decoder.

    The decoder holds the interpreter's lock until it is done, so it sees no more than a window at a time.
    """
    for size in _WINDOWS:
        window = text[start : start + size]
        is_rest = start + size >= len(text)
        try:
            end = _DECODER.raw_decode(window)[1] if size <= _SMALL else _end_in_large(window)
        except RecursionError:
            return None
        except _NoValueError as constant:
            raise malformed(f"{constant} is no JSON value, in the element at character {start}") from None
        except json.JSONDecodeError as error:
            if is_rest or not _may_be_cut(error, window):
                raise malformed(f"{error.msg} at character {start + error.pos}") from None
        else:
            # What ends near the window's end may be a number whose fraction or exponent is cut.
            if is_rest or end <= len(window) - _LONGEST_TOKEN:
                return start + end
    return None


def _end_in_large(window: str) -> int:
    with collector_paused():
        return _DECODER.raw_decode(window)[1]


def _may_be_cut(error: json.JSONDecodeError, window: str) -> bool:
    return error.msg.startswith("Unterminated string") or error.pos >= len(window) - _LONGEST_TOKEN


async def _end_of_large_value(text: str, start: int) -> int:
    """Return where a value ends by its brackets alone.

    It is larger or deeper than any event, so it will be refused by itself, also for what else is wrong in it.
    """
    if text[start] == '"':
        return await _end_of_string(text, start + 1)
    if _PIECE_OF_NUMBER.match(text, start):
        return await _end_of_pieces(_PIECE_OF_NUMBER, text, start)
    position, depth, started = start, 0, perf_counter()
    while token := _TOKEN.match(text, position):
        begin, position = token.span()
        character = text[begin]
        if character in "[{":
            depth += position - begin
        elif character in "]}":
            if position - begin >= depth:
                return begin + depth
            depth -= position - begin
        elif token.lastindex is not None:
            position = await _end_of_string(text, position)
        if perf_counter() - started > _SLICE_SECONDS:
            await asyncio.sleep(0)
            started = perf_counter()
    raise _broken_off()


async def _end_of_string(text: str, position: int) -> int:
    """Return where a string ends whose opening quote is just before."""
    position = await _end_of_pieces(_PIECE_OF_STRING, text, position)
    if text[position : position + 1] != '"':
        raise _broken_off()
    return position + 1


async def _end_of_pieces(piece: re.Pattern[str], text: str, position: int) -> int:
    started = perf_counter()
    while match := piece.match(text, position):
        position = match.end()
        if perf_counter() - started > _SLICE_SECONDS:
            await asyncio.sleep(0)
            started = perf_counter()
    return position


def _broken_off() -> Refusal:
    return malformed("it ends in the middle of an element")


def too_many_events(most: int) -> Refusal:
    """Return the refusal of a batch that has more than so many events."""
    return Refusal(Code.PAYLOAD_TOO_LARGE, f"The batch has more than {most} events; send the rest in another.")
