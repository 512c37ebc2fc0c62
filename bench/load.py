"""A load generator on one core: raw protocols on uvloop, a closed or an open loop, exact percentiles.

A *closed* loop keeps one request in flight on each connection: it finds the highest rate. An *open* loop sends by a
fixed schedule, whatever the server does, and a latency counts from the moment when the request was due: a server that
stalls can't hide the requests that would have come meanwhile (coordinated omission).

Each answer's status is checked, and of one in 32 the body too; a wrong one ends the run with an error.
"""

import argparse
import asyncio
import json
import sys
import time
from array import array
from collections import deque
from collections.abc import Callable, Iterator
from itertools import cycle, islice
from typing import Any, Final, cast

import numpy as np
import uvloop

from bench.events import SYSTEMS, events, sample

BATCH: Final = 1_000
SAMPLED: Final = 32
DRAIN_SECONDS: Final = 30.0
GET_SAMPLE: Final = 100_000
_BEFORE_UUID: Final = f'{{"smrtlinkId":"{SYSTEMS[0]}","uuid":"'


class WrongAnswer(Exception):
    """The server answered otherwise than it should."""


class Kind:
    """One kind of request: how it is made, and how its answer is judged."""

    def __init__(
        self, requests: Iterator[bytes], status: bytes, events: int, judge: Callable[[bytes, bytes], bool]
    ) -> None:
        """Hold the endless requests, the status line's beginning, the events in each and the judge of a body."""
        self.requests = requests
        self.status = b"HTTP/1.1 " + status
        self.events = events
        self.judge = judge


def _head(method: str, path: str, length: int | None, media_type: str) -> bytes:
    body = "" if length is None else f"Content-Type: {media_type}\r\nContent-Length: {length}\r\n"
    return f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{body}\r\n".encode()


def single_posts(seed: int, other_every: int) -> Kind:
    """POST one event; 201, and the event itself comes back."""
    length = len(next(events(seed)))
    head = _head("POST", "/api/v1/events", length, "application/json")
    return Kind(
        (head + event for event in events(seed, other_every)), b"201 ", 1, lambda sent, body: sent.endswith(body)
    )


def batch_posts(seed: int) -> Kind:
    """POST 1,000 events as NDJSON; 200, and each has the verdict ``stored``."""

    def requests() -> Iterator[bytes]:
        source = events(seed)
        while True:
            body = b"\n".join(islice(source, BATCH)) + b"\n"
            yield _head("POST", "/api/v1/events/batch", len(body), "application/x-ndjson") + body

    return Kind(requests(), b"200 ", BATCH, lambda _, body: body.count(b'"stored"') == BATCH)


def straight_puts(seed: int, index: str) -> Kind:
    """Create one document straight in an index of Elasticsearch, under the uuid of its event; 201."""

    def requests() -> Iterator[bytes]:
        for event in events(seed):
            uuid = event[len(_BEFORE_UUID) :][:36].decode()
            yield _head("PUT", f"/{index}/_create/{uuid}", len(event), "application/json") + event

    return Kind(requests(), b"201 ", 1, lambda _, body: b'"result":"created"' in body)


def gets(seeds: range, count: int) -> Kind:
    """GET events by uuid, evenly among the first `count` of each seed; 200 and an event."""
    chosen = [_head("GET", f"/api/v1/events/{uuid}", None, "") for uuid in sample(seeds, count, GET_SAMPLE)]
    return Kind(cycle(chosen), b"200 ", 1, lambda _, body: b'"uuid"' in body)


class Connection(asyncio.Protocol):
    """A connection with one request in flight."""

    def __init__(self, run: "Run") -> None:
        """Belong to a run."""
        self.run = run
        self.due = 0.0
        self.request = b""
        self._parts: list[bytes] = []
        self._missing = -1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own class, of no base

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail the run, unless it is over."""
        self.run.fail(f"the server closed a connection: {exc}")

    def send(self, due: float) -> None:
        """Send the next request, which was due at `due`."""
        self.due = due
        self.request = request = next(self.run.kind.requests)
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Take an answer, mostly in one piece and of the same length as the one before."""
        if len(data) == self.run.usual_length and not self._parts:
            self.run.answered(self, data)
            return
        if not self._parts:
            head, separator, rest = data.partition(b"\r\n\r\n")
            self._missing = _content_length(head) - len(rest) if separator else 0
            if not separator:
                self.run.fail(f"the answer's head came in pieces: {data!r}")
                return
        else:
            self._missing -= len(data)
        self._parts.append(data)
        if self._missing <= 0:
            answer = b"".join(self._parts)
            self._parts = []
            self.run.usual_length = len(answer)
            self.run.answered(self, answer)

    def close(self) -> None:
        """Close, with nothing in flight."""
        self._transport.close()


def _content_length(head: bytes) -> int:
    _, found, rest = head.lower().partition(b"content-length: ")
    if not found:
        raise WrongAnswer(head.decode("latin-1"))
    return int(rest.split(b"\r\n", 1)[0])


class Run:
    """One measurement: connections, what is counted, and the end."""

    def __init__(self, kind: Kind, *, rate: float | None, events: int | None) -> None:
        """Measure one kind of request; with a rate the loop is open, with a number of events it ends by it."""
        self.kind = kind
        self.rate = rate
        self.usual_length = 0
        self.sent = 0
        self._left = -(-events // kind.events) if events else sys.maxsize
        self._in_flight = 0
        self._latencies = array("d")
        self._idle: list[Connection] = []
        self._backlog: deque[float] = deque()
        self._ending = False
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def fail(self, text: str) -> None:
        """End the run with an error."""
        if not self._done.done():
            self._done.set_exception(WrongAnswer(text))

    def answered(self, connection: Connection, answer: bytes) -> None:
        """Count an answer and send what comes next."""
        now = time.perf_counter()
        self._latencies.append(now - connection.due)
        if not answer.startswith(self.kind.status) or (
            len(self._latencies) % SAMPLED == 0 and not self._right(connection, answer)
        ):
            self.fail(f"wrong answer: {answer[:2000]!r}")
        self._in_flight -= 1
        if self.rate is not None and self._backlog and not self._ending:
            self._send(connection, self._backlog.popleft())
        elif self.rate is None and not self._ending and self._left:
            self._send(connection, now)
        else:
            self._idle.append(connection)
            if self._in_flight == 0 and (self._ending or not self._left) and not self._done.done():
                self._done.set_result(None)

    def _right(self, connection: Connection, answer: bytes) -> bool:
        return self.kind.judge(connection.request, answer.partition(b"\r\n\r\n")[2])

    def _send(self, connection: Connection, due: float) -> None:
        self._in_flight += 1
        self._left -= 1
        self.sent += 1
        connection.send(due)

    async def measure(self, port: int, connections: int, warm_up: float, seconds: float) -> dict[str, Any]:
        """Run and tell what was measured after the warm-up."""
        loop = asyncio.get_running_loop()
        for _ in range(connections):
            _, connection = await loop.create_connection(lambda: Connection(self), "127.0.0.1", port)
            self._idle.append(connection)
        everyone = list(self._idle)
        start = time.perf_counter()
        if self.rate is None:
            while self._idle and self._left:
                self._send(self._idle.pop(), time.perf_counter())
        else:
            self._tick(loop, start, 0)
        if warm_up:
            await self._wait(warm_up)
        self._latencies = array("d")
        begin, cpu = time.perf_counter(), time.process_time()
        await self._wait(seconds)
        latencies, elapsed = np.array(self._latencies), time.perf_counter() - begin
        cpu = (time.process_time() - cpu) / elapsed
        self._ending = True
        if self._in_flight:
            await asyncio.wait_for(self._done, DRAIN_SECONDS)
        elif not self._done.done():
            self._done.set_result(None)
        for connection in everyone:
            connection.close()
        return self._figures(latencies, elapsed, cpu)

    async def _wait(self, seconds: float) -> None:
        await asyncio.wait([self._done], timeout=seconds)
        if self._done.done():
            self._done.result()

    def _tick(self, loop: asyncio.AbstractEventLoop, start: float, number: int) -> None:
        """Send what is due by now, and look again at once: the core is the generator's own."""
        assert self.rate is not None
        if self._ending:
            return
        now = time.perf_counter()
        while (due := start + number / self.rate) <= now:
            number += 1
            if self._idle:
                self._send(self._idle.pop(), due)
            else:
                self._backlog.append(due)
        loop.call_soon(self._tick, loop, start, number)

    def _figures(self, latencies: Any, elapsed: float, cpu: float) -> dict[str, Any]:
        if not len(latencies):
            msg = "no answer within the time measured"
            raise WrongAnswer(msg)
        p50, p90, p99, p999 = np.percentile(latencies, (50, 90, 99, 99.9)) * 1_000
        return {
            "events_per_second": len(latencies) * self.kind.events / elapsed,
            "events_sent": self.sent * self.kind.events,
            "milliseconds": {"p50": p50, "p90": p90, "p99": p99, "p99.9": p999, "max": latencies.max() * 1_000},
            "generator_cpu": cpu,
        }


async def _main(options: argparse.Namespace) -> dict[str, Any]:
    kind = {
        "post": lambda: single_posts(options.seed, options.other_every),
        "batch": lambda: batch_posts(options.seed),
        "put": lambda: straight_puts(options.seed, options.index),
        "get": lambda: gets(range(options.seed, options.seed + options.seeds), options.stored),
    }[options.kind]()
    run = Run(kind, rate=options.rate, events=options.events)
    return await run.measure(options.port, options.connections, options.warm_up, options.seconds)


def main() -> None:
    """Run one measurement and print its figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=["post", "batch", "put", "get"])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--warm-up", type=float, default=1.0)
    parser.add_argument("--rate", type=float, help="requests per second: an open loop")
    parser.add_argument("--events", type=int, help="end after this many events, or after --seconds")
    parser.add_argument("--seed", type=int, default=1, help="events of one seed have the same uuids each time")
    parser.add_argument("--index", help="put: the index of Elasticsearch that takes them")
    parser.add_argument("--other-every", type=int, default=0, help="post: each so many-th event is of another version")
    parser.add_argument("--seeds", type=int, default=1, help="get: ask for events of this many seeds, from --seed on")
    parser.add_argument("--stored", type=int, default=1, help="get: how many events of each seed are stored")
    print(json.dumps(uvloop.run(_main(parser.parse_args()))))


if __name__ == "__main__":
    main()
