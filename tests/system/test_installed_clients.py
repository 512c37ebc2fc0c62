"""What installed clients put on the wire, byte for byte, and whether they would accept the answers.

These clients run in laboratories and can't be changed. What they take was found by running the last one published:
status 200 or 201 only, ``application/json``, no compression but gzip or deflate, the keys of an event with none null,
one to nine fraction digits; and a refusal in one piece of less than 1 kB.
"""

import json
import re
from collections.abc import Iterator
from uuid import uuid4

import pytest

from tests.system.server_process import ServerProcess
from tests.system.wire import Answer, Wire

AGENT = b"Accept-Encoding: gzip, deflate\r\nUser-Agent: akka-http/10.0.11\r\n"
HMAC = b"Authentication: hmac uid:3dYTzsVZ1kB1Wq0bUUGbpnMw1NFE0wGGTnLW4A1LH2o=\r\n"
MESSAGES = {
    "sl_job_metrics": (
        '{"updatedAt":"2026-11-24T12:20:51.544Z","state":"SUCCESSFUL","uuid":"eb7a8352-ad13-4f5d-9de5-5857c50a61fa",'
        '"jobTypeId":"pbsmrtpipe","id":7,"smrtlinkVersion":"5.1.0","createdAt":"2026-11-24T12:20:51.544Z",'
        '"isActive":true,"movieIds":["m54001_180101_000000"],"isMultiJob":false,'
        '"pipelineId":"pbsmrtpipe.pipelines.sa3_sat"}'
    ),
    "smrtlink_job_change_state": '{"jobId":1234,"jobTypeId":"pbsmrtpipe","state":"SUCCCESSFUL"}',
    "eula_signed": (
        '{"user":"ünï漢","acceptedAt":"2026-11-24T12:20:51.544Z","smrtlinkVersion":"5.1.0","osVersion":"Linux",'
        '"enableInstallMetrics":true,"enableJobMetrics":false}'
    ),
    "sl_test_event": '{"b":1.50,"a":1E+400,"c":12345678901234567890.123,"d":{"z":null,"y":[]}}',
    "sl_smrt_server_startup": "{}",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Serve all tests of this module."""
    folder = tmp_path_factory.mktemp("installed")
    with ServerProcess(folder / "root", folder / "server.log", SMRTFLOW_EVENT_API_SECRET="other") as process:
        yield process


def sent(event_type_id: str, message: str) -> bytes:
    """Return an event as the client's encoder spells it."""
    return (
        f'{{"uuid":"{uuid4()}","eventTypeVersion":1,"eventTypeId":"{event_type_id}",'
        f'"createdAt":"2026-11-24T12:20:51.544Z","smrtLinkId":"aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee",'
        f'"message":{message}}}'
    ).encode()


def posted(body: bytes) -> bytes:
    """Return the request as the client writes it."""
    return (
        b"POST /api/v1/events HTTP/1.1\r\n"
        + HMAC
        + b"Host: 127.0.0.1\r\n"
        + AGENT
        + b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    )


def decode_as_client(answer: Answer) -> dict[str, object]:
    """Return the body if the client would decode it."""
    assert answer.status in {200, 201}, answer
    assert re.fullmatch(r"application/json(; ?charset=.+)?", answer.headers["content-type"])
    assert answer.headers.get("content-encoding", "identity") in {"identity", "gzip", "deflate"}
    assert len(answer.headers) <= 64
    assert not answer.body.startswith(b"\xef\xbb\xbf")
    value = json.loads(answer.body)
    assert isinstance(value, dict)
    return value


def exchange(server: ServerProcess, *requests: bytes) -> list[Answer]:
    """Send requests one after the other on one connection, as the client's pool does."""
    answers = []
    with Wire(server.port) as wire:
        for data in requests:
            wire.send(data)
            answers.append(wire.answer())
    return answers


@pytest.mark.parametrize("event_type_id", MESSAGES)
def test_event_is_echoed_as_the_client_decodes_it(server: ServerProcess, event_type_id: str) -> None:
    """An event is echoed token for token, with the system key spelt as it was sent; again for a repeated one."""
    body = sent(event_type_id, MESSAGES[event_type_id])
    for answer, status in zip(exchange(server, posted(body), posted(body)), (201, 200), strict=True):
        event = decode_as_client(answer)
        assert (answer.status, answer.body) == (status, body)
        assert all(event[key] is not None for key in ("smrtLinkId", "eventTypeId", "uuid", "createdAt", "message"))
        assert type(event["eventTypeVersion"]) is int
        assert re.search(r"\.[0-9]{1,9}(Z|[+-][0-9]{2}:[0-9]{2})$", str(event["createdAt"]))


def test_body_may_follow_its_head_later(server: ServerProcess) -> None:
    """Head and body in packets of their own, as over a slow line, are one request."""
    body = sent("sl_test_event", "{}")
    with Wire(server.port) as wire:
        wire.trickle(posted(body), size=100, pause=0.01)
        assert wire.answer()[::2] == (201, body)


def test_status_is_what_the_client_decodes(server: ServerProcess) -> None:
    """The status has its six keys, none null, uptime as a number."""
    [answer] = exchange(server, b"GET /status HTTP/1.1\r\nHost: 127.0.0.1\r\n" + AGENT + b"\r\n")
    status = decode_as_client(answer)
    assert all(isinstance(status[key], str) for key in ("id", "message", "uuid", "version", "user"))
    assert isinstance(status["uptime"], int)


REFUSED = {
    "not JSON": b"{",
    "unknown type": sent("sl_no_such_type", "{}"),
    "many violations": sent("sl_job_metrics", json.dumps({"movieIds": [1] * 500})),
    "long values": sent("sl_" + "x" * 5_000, "{}"),
}


@pytest.mark.parametrize("body", REFUSED.values(), ids=REFUSED)
def test_refusal_arrives_in_one_small_piece(server: ServerProcess, body: bytes) -> None:
    """Four refusals in a row arrive whole at the first read, under 1 kB, and leave the connection usable.

    The clients do not read a refusal's body: one that comes in pieces blocks a place of their pool, and four block it.
    """
    good = sent("sl_test_event", "{}")
    *refusals, last = exchange(server, *[posted(body)] * 4, posted(good))
    for answer in refusals:
        assert 400 <= answer.status < 500
        assert answer.first_read.endswith(answer.body)
        assert len(answer.first_read) < 1000
        problem = answer.json()
        assert problem["httpCode"] == answer.status
        assert problem["message"]
        assert problem["errorType"] == problem["code"]
    assert (last.status, last.body) == (201, good)


def test_conflict_is_a_refusal_and_the_first_stays(server: ServerProcess) -> None:
    """Other content under a uuid is 409 with a small body, and the first event stays."""
    body = sent("sl_test_event", '{"a":1}')
    first, second, third = exchange(server, posted(body), posted(body.replace(b'"a":1', b'"a":2')), posted(body))
    assert (first.status, second.status, third.status) == (201, 409, 200)
    assert second.code == "event_conflict"
    assert third.body == body


def test_wrong_secret_is_served(server: ServerProcess) -> None:
    """A signature made with another secret, or none, is taken: the predecessor never enforced it."""
    body = sent("sl_test_event", "{}")
    [answer] = exchange(server, posted(body).replace(HMAC, b""))
    assert answer.status == 201
