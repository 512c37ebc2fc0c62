"""Events that are right or wrong on purpose, the forms to send them in, and what a refusal has to look like."""

import gzip
import json
import zlib
from random import Random
from typing import Any, Final

from tests.system.wire import Answer, chunked, post, request
from tests.system.workload import make_event

SYSTEM: Final = "8d2c3ab4-f46e-11e6-a35c-3c15c2cc8f88"
LIMIT: Final = 1024 * 1024
"""The largest event, in bytes."""
BODY_SECONDS: Final = 2
"""The time that the guarded server gives a body."""
BATCH: Final = "/api/v1/events/batch"
JSON: Final = ("Content-Type", "application/json")


def event(**changes: Any) -> bytes:
    """Return a valid event with some keys changed; None leaves one out."""
    usual = {"eventTypeId": "sl_test_event", "message": {"note": "usual"}}
    keys = json.loads(make_event(Random(), SYSTEM)[1]) | usual | changes
    return json.dumps({name: value for name, value in keys.items() if value is not None}).encode()


def with_message(text: bytes) -> bytes:
    """Return an event with a message as it is spelt, right or wrong."""
    return event(message={"here": 0}).replace(b'{"here": 0}', text)


def of_size(size: int) -> bytes:
    """Return a valid event of so many bytes."""
    shortest = event(message={"filling": ""})
    return shortest.replace(b'"filling": ""', b'"filling": "%b"' % (b"x" * (size - len(shortest))))


def check_refusal(answer: Answer, status: int, code: str) -> None:
    """Hold an answer to what every refusal is: a small problem report in one piece, with a stable code."""
    assert (answer.status, answer.code) == (status, code), answer
    assert answer.headers["content-type"].startswith("application/problem+json")
    problem = answer.json()
    assert problem["status"] == problem["httpCode"] == status
    assert {"type", "title", "detail", "instance", "message", "errorType"} <= problem.keys()
    assert answer.first_read.endswith(answer.body), "in more than one piece"
    assert len(answer.first_read) < 1000


def gzipped(body: bytes) -> bytes:
    """Return a POST of a body, compressed."""
    return request("POST", "/api/v1/events", gzip.compress(body), [JSON, ("Content-Encoding", "gzip")])


def in_chunks(body: bytes) -> bytes:
    """Return a POST of a body, in chunks."""
    head = request("POST", "/api/v1/events", b"", [JSON, ("Transfer-Encoding", "chunked")], length=None)
    return head + chunked(body[start : start + 65_536] for start in range(0, len(body), 65_536))


def deflated(body: bytes) -> bytes:
    """Return a POST of a body, deflated."""
    return request("POST", "/api/v1/events", zlib.compress(body), [JSON, ("Content-Encoding", "deflate")])


FORMS = {"declared": post, "chunked": in_chunks, "gzip": gzipped, "deflate": deflated}
