"""Requests that are wrong, slow, many or cut off: a clear refusal each, and nobody else notices."""

import resource
import time
from random import Random

import pytest

from tests.system.bad_input import BATCH, BODY_SECONDS, SYSTEM, check_refusal, event
from tests.system.server_process import ServerProcess
from tests.system.wire import Wire, exchange, get, post, request
from tests.system.workload import make_event


@pytest.mark.parametrize(
    "path", ["1234", "%20", "83927d00-f46c-11e6-9f9b-3c15c2cc8f8g", "..%2f..%2fetc%2fpasswd", "x" * 4000]
)
def test_path_that_is_no_uuid_is_refused(guarded: ServerProcess, path: str) -> None:
    """A uuid in the path that is none is 400 invalid_uuid."""
    check_refusal(get(guarded.port, f"/api/v1/events/{path}"), 400, "invalid_uuid")
    check_refusal(get(guarded.port, f"/api/v1/events/smrt-link/{path}"), 400, "invalid_uuid")


def test_wrong_method_and_path_are_refused(guarded: ServerProcess) -> None:
    """A wrong method is 405 with Allow, an unknown path 404."""
    answer = exchange(guarded.port, request("DELETE", "/api/v1/events"))
    check_refusal(answer, 405, "method_not_allowed")
    assert "POST" in answer.headers["allow"]
    check_refusal(get(guarded.port, "/no/such/path"), 404, "not_found")


def test_slow_body_is_timed_out(guarded: ServerProcess) -> None:
    """A body that does not arrive in time is 408."""
    with Wire(guarded.port) as wire:
        wire.send(post(event())[:-10])
        check_refusal(wire.answer(), 408, "request_timeout")
        assert wire.closed()


def test_trickling_body_is_timed_out(guarded: ServerProcess) -> None:
    """The limit is for the whole body: a byte now and then does not hold the request open."""
    begin = time.monotonic()
    with Wire(guarded.port) as wire:
        data = post(event())
        wire.send(data[:-60])
        wire.trickle(data[-60:-1], size=1, pause=0.05)
        check_refusal(wire.answer(), 408, "request_timeout")
    assert time.monotonic() - begin < BODY_SECONDS + 5


def test_trickling_head_is_closed(guarded: ServerProcess) -> None:
    """A request head that does not arrive in time closes the connection."""
    with Wire(guarded.port, seconds=BODY_SECONDS + 8) as wire:
        wire.trickle(b"GET /status HTTP/1.1\r\nHost: x\r\nX-Slow: ", size=8, pause=0.02)
        assert wire.closed()


def test_thousands_of_idle_connections_cost_little(guarded: ServerProcess) -> None:
    """3,000 idle connections keep nobody from being served."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    idle: list[Wire] = []
    try:
        idle += [Wire(guarded.port) for _ in range(min(3000, hard - 200))]
        for wire in idle[::100]:
            wire.send(request("GET", "/status"))
            assert wire.answer().status == 200
        assert exchange(guarded.port, post(event())).status == 201
    finally:
        for wire in idle:
            wire.socket.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


FLOODS = {
    "10,000 headers": b"".join(b"X-%d: y\r\n" % number for number in range(10_000)),
    "a header of 1 MB": b"X-Long: " + b"y" * 1_000_000 + b"\r\n",
    "a header without end": b"X-Long: " + b"y" * 1_000_000,
    "a folded header": b"X-Folded: a\r\n b\r\n",
    "a control character": b"X-Bad: a\x00b\r\n",
    "two lengths": b"Content-Length: 5\r\nContent-Length: 6\r\n",
    "length and chunks": b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
    "a negative length": b"Content-Length: -5\r\n",
}


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS)
def test_bad_heads_are_refused(guarded: ServerProcess, flood: bytes) -> None:
    """Header floods and heads that mean two things are 400, and the connection is closed."""
    with Wire(guarded.port) as wire:
        wire.send(b"POST /api/v1/events HTTP/1.1\r\nHost: x\r\n" + flood + b"\r\n")
        check_refusal(wire.answer(), 400, "bad_request")
        assert wire.closed()


@pytest.mark.parametrize("path", ["/" + "x" * 100_000, "/status?" + "a=b&" * 50_000], ids=["path", "query"])
def test_long_targets_are_refused(guarded: ServerProcess, path: str) -> None:
    """A request line without measure is 400."""
    check_refusal(get(guarded.port, path), 400, "bad_request")


@pytest.mark.parametrize("garbage", [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", b"\r\n\r\n\x00\xff" * 50, b"GET\r\n\r\n"])
def test_what_is_not_http_is_refused(guarded: ServerProcess, garbage: bytes) -> None:
    """A TLS handshake or noise is 400, or just closed."""
    with Wire(guarded.port, seconds=BODY_SECONDS + 8) as wire:
        wire.send(garbage)
        try:
            assert wire.answer().status == 400
        except ConnectionError:
            return


def test_client_that_goes_away_stores_nothing_half(guarded: ServerProcess) -> None:
    """A sender that goes away in mid-body has stored nothing; one that goes away before the answer may have."""
    uuids = []
    for cut in (1, 50, 200):
        uuid, body = make_event(Random(), SYSTEM)
        uuids.append(uuid)
        with Wire(guarded.port) as wire:
            wire.send(post(body)[:-cut])
    for _ in range(50):
        with Wire(guarded.port) as wire:
            wire.send(post(event()))
    time.sleep(0.2)
    for uuid in uuids:
        check_refusal(get(guarded.port, f"/api/v1/events/{uuid}"), 404, "not_found")


def test_batch_of_a_client_that_goes_away_keeps_whole_lines(guarded: ServerProcess) -> None:
    """Of an NDJSON batch that breaks off, what was read whole is stored."""
    made = [make_event(Random(), SYSTEM) for _ in range(20)]
    data = post(b"\n".join(body for _, body in made) + b"\n", BATCH, "application/x-ndjson")
    with Wire(guarded.port) as wire:
        wire.send(data[:-10])
    time.sleep(0.5)
    answers = [get(guarded.port, f"/api/v1/events/{uuid}") for uuid, _ in made]
    assert [answer.status for answer in answers] == [200] * 19 + [404]


def test_pipelined_requests_are_answered_in_order(guarded: ServerProcess) -> None:
    """Requests sent without waiting are answered one after the other, a bad one between good ones too."""
    good, bad = event(), b"{"
    with Wire(guarded.port) as wire:
        wire.send(post(good) + post(bad) + request("GET", "/status") + post(event()))
        assert [wire.answer().status for _ in range(4)] == [201, 400, 200, 201]
