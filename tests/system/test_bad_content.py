"""Bodies that are wrong, odd or too much: a clear refusal each, what is right is taken, and the server goes on."""

import gzip
import json
import zlib
from collections.abc import Callable
from random import Random

import pytest

from tests.system.bad_input import BATCH, FORMS, JSON, LIMIT, SYSTEM, check_refusal, event, of_size, with_message
from tests.system.server_process import PROJECT, ServerProcess
from tests.system.wire import Wire, exchange, post, request

NOT_JSON = {
    "empty": b"",
    "white space": b" \n",
    "not JSON": b"jobId=1&state=FAILED",
    "cut off": event()[:-1],
    "duplicate key": with_message(b'{"a": 1, "a": 2}'),
    "duplicate key by escape": with_message(b'{"a": 1, "\\u0061": 2}'),
    "NaN": with_message(b'{"a": NaN}'),
    "Infinity": with_message(b'{"a": -Infinity}'),
    "lone surrogate": with_message(b'{"a": "\\ud800"}'),
    "invalid UTF-8": with_message(b'{"a": "\xff"}'),
    "UTF-16": event().decode().encode("utf-16"),
    "byte order mark": b"\xef\xbb\xbf" + event(),
    "trailing text": event() + b"{}",
    "trailing comma": with_message(b'{"a": 1,}'),
    "comment": with_message(b'{"a": 1 /* one */}'),
    "raw control character": with_message(b'{"a": "\x01"}'),
    "leading zero": with_message(b'{"a": 01}'),
    "65 levels": with_message(b'{"a":' + b"[" * 63 + b"]" * 63 + b"}"),
    "100,000 levels": with_message(b"[" * 100_000 + b"]" * 100_000),
    "100,000 levels, open": b"[" * 100_000,
    "500,000 brackets in a text, then open": with_message(b'{"a": "' + b"[" * 500_000 + b'"'),
}


@pytest.mark.parametrize("body", NOT_JSON.values(), ids=NOT_JSON)
def test_what_is_not_strict_json_is_refused(guarded: ServerProcess, body: bytes) -> None:
    """Each breach of strict JSON is 400 malformed_json."""
    check_refusal(exchange(guarded.port, post(body)), 400, "malformed_json")


TAKEN = {
    "64 levels": with_message(b'{"a":' + b"[" * 62 + b"]" * 62 + b"}"),
    "numbers beyond a float": with_message(b'{"a": [1E+400, 123456789012345678901234567890, -0.0]}'),
    "a 5,000-digit integer": with_message(b'{"a": %b}' % (b"7" * 5_000)),
    "a surrogate pair": with_message(b'{"a": "\\ud83d\\ude00"}'),
    "white space around": b" \r\n\t" + event() + b"\n",
    "as large as allowed": of_size(LIMIT),
    "70,000 keys": with_message(b"{%b}" % b",".join(b'"k%d":%d' % (n, n % 10) for n in range(70_000))),
    "an array of 400,000": with_message(b'{"a": [%b]}' % b",".join([b"0"] * 400_000)),
    "a number of 500,000 digits": with_message(b'{"a": 0.%b}' % (b"1" * 500_000)),
    "an integer of 1,000,000 digits": with_message(b'{"a": %b}' % (b"1" * 1_000_000)),
}


@pytest.mark.parametrize("body", TAKEN.values(), ids=TAKEN)
def test_what_is_odd_but_right_is_taken(guarded: ServerProcess, body: bytes) -> None:
    """What is legal is taken and given back as sent, however odd, wide or long."""
    answer = exchange(guarded.port, post(body))
    assert answer.status == 201, answer
    assert answer.body == body.strip()


ENVELOPES = {
    "an array": (b"[]", "invalid_event"),
    "a text": (b'"event"', "invalid_event"),
    "no uuid": (event(uuid=None), "invalid_event"),
    "a uuid that is none": (event(uuid="1234"), "invalid_event"),
    "a uuid in braces": (event(uuid="{83927d00-f46c-11e6-9f9b-3c15c2cc8f88}"), "invalid_event"),
    "no system": (event(smrtLinkId=None), "invalid_event"),
    "two spellings of the system": (event(smrtlinkId=SYSTEM), "invalid_event"),
    "a time without offset": (event(createdAt="2017-02-16T08:36:21.082"), "invalid_event"),
    "a day that is none": (event(createdAt="2017-02-30T08:36:21Z"), "invalid_event"),
    "a version as text": (event(eventTypeVersion="1"), "invalid_event"),
    "version 0": (event(eventTypeVersion=0), "invalid_event"),
    "version 1.0": (event(eventTypeVersion=1.0), "invalid_event"),
    "version 2 ** 31": (event(eventTypeVersion=2**31), "invalid_event"),
    "a key of ours": (event(**{"@at": "now"}), "invalid_event"),
    "no message": (event(message=None), "invalid_event"),
    "an unknown type": (event(eventTypeId="sl_no_such_type"), "unknown_event_type"),
    "a path as type": (event(eventTypeId="../../etc/passwd"), "unknown_event_type"),
    "an unknown version": (event(eventTypeVersion=99), "unknown_event_type"),
    "a message against its schema": (event(eventTypeId="eula_signed", message={}), "schema_violation"),
}


@pytest.mark.parametrize(("body", "code"), ENVELOPES.values(), ids=ENVELOPES)
def test_what_is_no_event_is_refused(guarded: ServerProcess, body: bytes, code: str) -> None:
    """Strict JSON that is no event of a known type is 422."""
    check_refusal(exchange(guarded.port, post(body)), 422, code)


def test_60000_wrong_items_are_told_shortly(guarded: ServerProcess) -> None:
    """An array of 60,000 wrong items is 422: a few violations in a small answer, 20 for who asks for the whole."""
    metrics = json.loads((PROJECT / "schemas" / "sl_job_metrics" / "1.examples.json").read_text())["valid"][0]
    body = event(eventTypeId="sl_job_metrics", message={**metrics, "movieIds": list(range(60_000))})
    check_refusal(exchange(guarded.port, post(body)), 422, "schema_violation")
    whole = exchange(
        guarded.port, request("POST", "/api/v1/events", body, [JSON, ("Accept", "application/problem+json")])
    )
    assert whole.status == 422
    assert len(whole.json()["errors"]) == 20
    assert all(error["pointer"].startswith("/message/movieIds/") for error in whole.json()["errors"])


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_one_byte_over_the_limit_is_refused(guarded: ServerProcess, form: Callable[[bytes], bytes]) -> None:
    """An event of exactly the limit is taken, one byte more is 413, however it is sent."""
    assert exchange(guarded.port, form(of_size(LIMIT))).status == 201
    check_refusal(exchange(guarded.port, form(of_size(LIMIT + 1))), 413, "payload_too_large")


def test_gzip_bomb_is_refused(guarded: ServerProcess) -> None:
    """1 GB of zeros in 1 MB is 413, without being unpacked."""
    packer = zlib.compressobj(9, wbits=31)
    bomb = b"".join([packer.compress(bytes(2**20)) for _ in range(1024)]) + packer.flush()
    data = request("POST", "/api/v1/events", bomb, [JSON, ("Content-Encoding", "gzip")])
    check_refusal(exchange(guarded.port, data), 413, "payload_too_large")


def test_early_refusal_arrives(guarded: ServerProcess) -> None:
    """A sender of 30 MB that reads only after it has sent all still gets its 413."""
    check_refusal(exchange(guarded.port, post(b"x" * 30_000_000)), 413, "payload_too_large")


@pytest.mark.parametrize("more", [[], [("Expect", "100-continue")]], ids=["plain", "Expect"])
def test_declared_length_is_refused_at_once(guarded: ServerProcess, more: list[tuple[str, str]]) -> None:
    """A declared length over the limit is refused before any of the body was sent, also where the client asks first."""
    with Wire(guarded.port, seconds=1.5) as wire:
        wire.send(request("POST", "/api/v1/events", b"", [JSON, *more], length=LIMIT + 1))
        answer = wire.answer()
        answer = wire.answer() if answer.status == 100 else answer
        assert (answer.status, answer.code) == (413, "payload_too_large")


WRONG_GZIP = {"not gzip at all": event(), "cut off": gzip.compress(event())[:-12]}


@pytest.mark.parametrize("body", WRONG_GZIP.values(), ids=WRONG_GZIP)
def test_broken_encoding_is_refused(guarded: ServerProcess, body: bytes) -> None:
    """A body that is not compressed as its header says is 400."""
    data = request("POST", "/api/v1/events", body, [JSON, ("Content-Encoding", "gzip")])
    answer = exchange(guarded.port, data)
    assert answer.status == 400, answer
    assert answer.code in {"bad_request", "malformed_json"}


@pytest.mark.parametrize(
    "media_type", [None, "text/plain", "text/plain; charset=UTF-8", "application/json; charset=utf-8"]
)
def test_old_media_types_are_taken(guarded: ServerProcess, media_type: str | None) -> None:
    """A missing content type and text/plain are taken as JSON."""
    assert exchange(guarded.port, post(event(), media_type=media_type)).status == 201


@pytest.mark.parametrize(
    "media_type",
    [
        "application/xml",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "image/png",
        "nonsense",
    ],
)
def test_other_media_types_are_refused(guarded: ServerProcess, media_type: str) -> None:
    """Any other content type is 415."""
    check_refusal(exchange(guarded.port, post(event(), media_type=media_type)), 415, "unsupported_media_type")


def test_million_key_object_in_a_batch_costs_only_itself(guarded: ServerProcess) -> None:
    """An object of a million keys is over an event's limit: refused alone; the events around it are stored."""
    wide = with_message(b"{%b}" % b",".join(b'"k%d":0' % number for number in range(1_000_000)))
    bodies = [event(), wide, event()]
    for data in (
        post(b"\n".join(bodies), BATCH, "application/x-ndjson"),
        post(b"[" + b",".join([event(), wide, event()]) + b"]", BATCH),
    ):
        answer = exchange(guarded.port, data, seconds=60)
        assert answer.status == 200, answer
        assert [verdict["status"] for verdict in answer.json()] == ["stored", "invalid", "stored"]
        assert answer.json()[1]["code"] == "payload_too_large"


def test_60000_wrong_items_in_a_batch_are_too_many(guarded: ServerProcess) -> None:
    """An array of 60,000 wrong items is over a batch's limit of events: refused whole."""
    check_refusal(
        exchange(guarded.port, post(json.dumps(list(range(60_000))).encode(), BATCH)), 413, "payload_too_large"
    )


def test_10000_wrong_items_in_a_batch_get_verdicts(guarded: ServerProcess) -> None:
    """As many wrong events as a batch may have get a verdict each."""
    wrong = event(eventTypeId="eula_signed", message={"user": 1, "acceptedAt": "yesterday"})
    answer = exchange(guarded.port, post(b"\n".join([wrong] * 10_000), BATCH, "application/x-ndjson"), seconds=60)
    assert answer.status == 200
    assert [verdict["code"] for verdict in answer.json()] == ["schema_violation"] * 10_000


def test_refused_content_is_kept(guarded: ServerProcess) -> None:
    """What was refused for its content is in the quarantine, as received: nothing that was sent is lost."""
    mark = Random().randbytes(8).hex()
    check_refusal(exchange(guarded.port, post(b"not JSON: " + mark.encode())), 400, "malformed_json")
    kept = b"".join(path.read_bytes() for path in (guarded.root / "quarantine").rglob("*.ndjson"))
    assert mark.encode() in kept
