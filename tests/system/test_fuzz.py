"""Input that nobody thought of, against a real server: judged as an independent reading of JSON judges it."""

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.soak import share_of
from tests.system.bad_input import SYSTEM
from tests.system.server_process import ServerProcess
from tests.system.wire import Answer, Wire, exchange, get, post

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "250"))
LONG = share_of(100_000)
QUIET = settings(
    deadline=None, suppress_health_check=list(HealthCheck), database=None, max_examples=EXAMPLES, derandomize=False
)

NUMBERS = st.sampled_from(["0", "-0", "1.10", "1E+400", "-1e-400", "12345678901234567890123", "1e5", "0.000"])
TEXTS = st.one_of(
    st.text(max_size=8).map(json.dumps),
    st.text(st.characters(exclude_categories=["Cc", "Cs"], exclude_characters='"\\'), max_size=8).map('"{}"'.format),
    st.sampled_from([r'"\u0000"', r'"\ud83d\ude00"', r'"\/"', '"@crc"', '"\u2028"', '"\ufeff"']),
)
SPACE = st.sampled_from(["", "", "", " ", "\n", "\t\r\n"])


def _joined(brackets: str) -> Any:
    return lambda pair: brackets[0] + pair[1] + ("," + pair[1]).join(pair[0]) + pair[1] + brackets[1]


VALUES = st.recursive(
    st.one_of(NUMBERS, TEXTS, st.sampled_from(["true", "false", "null"])),
    lambda values: st.one_of(
        st.tuples(st.lists(values, max_size=4), SPACE).map(_joined("[]")),
        st.tuples(st.lists(st.tuples(TEXTS, values).map(":".join), max_size=4), SPACE).map(_joined("{}")),
    ),
    max_leaves=12,
)
PIECES = [b"", b'"', b"{", b"}", b"[", b"]", b",", b":", b"\\", b"01", b"1.", b"null", b'"uuid":1,', b"[" * 70]
PIECES += [rb"\ud800", rb"\u00e9", b"NaN", b"-Infinity", b"/*", b"\n", b"\x00", b"\x7f", b"\xff"]
PIECES += [b"\xed\xa0\x80", b"\xef\xbb\xbf"]
EDITS = st.tuples(st.floats(0, 1), st.integers(0, 3), st.sampled_from(PIECES))


def make_text(message: str) -> bytes:
    """Return an event with a message as it is spelt."""
    return (
        f'{{"smrtlinkId":"{SYSTEM}","uuid":"{uuid4()}","createdAt":"2026-11-24T12:20:51.5Z","eventTypeVersion":1,'
        f'"eventTypeId":"sl_test_event","message":{{"value":{message}}}}}'
    ).encode()


def edit(text: bytes, edits: list[tuple[float, int, bytes]]) -> bytes:
    """Return a text with pieces cut out and put in, anywhere."""
    for place, length, piece in edits:
        start = int(place * len(text))
        text = text[:start] + piece + text[start + length :]
    return text


class NotStrictError(ValueError):
    """It is not strict JSON."""


def read_strictly(text: bytes) -> Any:
    """Read JSON by the rules of the service, in another way than it does."""

    def distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({key for key, _ in pairs}) < len(pairs):
            raise NotStrictError
        return dict(pairs)

    def no_constant(name: str) -> None:
        raise NotStrictError(name)

    value = json.loads(
        text.decode(), object_pairs_hook=distinct, parse_constant=no_constant, parse_float=str, parse_int=str
    )
    json.dumps(value, ensure_ascii=False).encode()  # fails on a lone surrogate
    if _depth(value) > 64:
        raise NotStrictError
    return value


def _depth(value: Any) -> int:
    if isinstance(value, dict):
        value = list(value.values())
    return 1 + max(map(_depth, value), default=0) if isinstance(value, list) else 0


def is_strict(text: bytes) -> bool:
    """Tell whether a text is strict JSON."""
    with suppress(ValueError, RecursionError):
        read_strictly(text)
        return True
    return False


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Serve all examples."""
    folder = tmp_path_factory.mktemp("fuzz")
    with ServerProcess(folder / "root", folder / "server.log") as process:
        yield process
        assert "Traceback" not in process.output(), process.output()[-5000:]


def check_answer(server: ServerProcess, text: bytes, answer: Answer) -> None:
    """Hold an answer to what the text is."""
    assert answer.status in {200, 201, 400, 409, 422}, answer
    if answer.status in {200, 201}:
        assert answer.body == text.strip(b" \t\r\n").replace(b"\n", b" ").replace(b"\r", b" ")
        assert get(server.port, f"/api/v1/events/{read_strictly(text)['uuid']}")[::2] == (200, answer.body)
    assert is_strict(text) == (answer.code != "malformed_json"), answer


def check_bodies(server: ServerProcess, message: str, edits: list[tuple[float, int, bytes]]) -> None:
    """Post an event, as it is and after some edits."""
    text = edit(make_text(message), edits)
    check_answer(server, text, exchange(server.port, post(text)))


def check_heads(server: ServerProcess, edits: list[tuple[float, int, bytes]]) -> None:
    """Send a request that was edited anywhere; the server answers or hangs up, and goes on."""
    with suppress(ConnectionError, TimeoutError), Wire(server.port, seconds=0.2) as wire:
        wire.send(edit(post(make_text("1")), edits))
        assert wire.answer().status in {200, 201, 400, 404, 405, 409, 411, 413, 415, 417, 422}
    assert server.probe("/health/live") == 200


@QUIET
@given(message=VALUES, edits=st.lists(EDITS, max_size=3))
def test_any_body_is_judged_as_json_says(server: ServerProcess, message: str, edits: Any) -> None:
    """A body is taken, and given back as sent, exactly if it is strict JSON and an event; else it is refused."""
    check_bodies(server, message, edits)


@QUIET
@given(edits=st.lists(EDITS, min_size=1, max_size=4))
def test_any_request_leaves_the_server_alive(server: ServerProcess, edits: Any) -> None:
    """Whatever comes over a connection, the server goes on."""
    check_heads(server, edits)


@pytest.mark.soak
@settings(QUIET, max_examples=LONG)
@given(message=VALUES, edits=st.lists(EDITS, max_size=3))
def test_any_body_is_judged_as_json_says_for_long(server: ServerProcess, message: str, edits: Any) -> None:
    """The same with 100,000 examples."""
    check_bodies(server, message, edits)


@pytest.mark.soak
@settings(QUIET, max_examples=LONG)
@given(edits=st.lists(EDITS, min_size=1, max_size=4))
def test_any_request_leaves_the_server_alive_for_long(server: ServerProcess, edits: Any) -> None:
    """The same with 100,000 examples."""
    check_heads(server, edits)
