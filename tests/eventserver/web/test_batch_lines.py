"""Batches as lines: taken as they arrive, so that what arrived whole is stored whatever becomes of the rest."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from backends.base import Query
from eventserver.config import Settings
from eventserver.web.keys import INTAKE, STORE
from support.events import new_uuid
from support.intakes import sent
from support.wire_events import BATCH, NDJSON, array_of, code_of, lines_of, post_batch, stored

PROPERTY = hypothesis_settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
PLACE = "00000000-0000-0000-0000-000000000000"
good = st.sampled_from([sent(PLACE), sent(PLACE, '{"text":"é漢"}'), b" \t" + sent(PLACE) + b" "])
bad = st.sampled_from([b"x", b'{"a":', b"\xff\x00", b'"\\ud800"', b"null", b"\xe2\x80\xa8"])
blank = st.sampled_from([b"", b"\r", b" ", b"\t ", b"\x0b", b"\x0c"])
lines = st.lists(good | bad | blank, max_size=12)
ends = st.sampled_from([b"\n", b"\r\n"])


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings with time enough."""
    return Settings(event_root_dir=tmp_path, server_port=0)


async def post_pieces(client: TestClient, pieces: AsyncIterator[bytes]) -> ClientResponse:
    """Post lines as they come."""
    answer = await client.post(BATCH, data=pieces, headers=NDJSON)
    await answer.read()
    return answer


async def one_by_one(pieces: Iterable[bytes]) -> AsyncIterator[bytes]:
    """Yield pieces, each by itself on the wire."""
    for piece in pieces:
        yield piece
        for _ in range(5):
            await asyncio.sleep(0)


async def count_of_stored(app: web.Application) -> int:
    """Return how many events there are."""
    return len((await app[STORE].find(Query(), limit=20_000, max_bytes=1 << 40)).records)


@PROPERTY
@given(lines=lines, end=ends, last_end=st.sampled_from([b"", b"\n", b"\r\n"]), data=st.data())
@example(lines=[b"x", b"", sent(PLACE)], end=b"\r\n", last_end=b"", data=None)
async def test_wherever_pieces_end_the_verdicts_are_those_of_the_lines(
    client: TestClient, lines: list[bytes], end: bytes, last_end: bytes, data: st.DataObject | None
) -> None:
    """Blank lines are none, a bad line costs only itself, the last one needs no end, and CR LF is an end too."""
    lines = [line.replace(PLACE.encode(), new_uuid().encode()) for line in lines]
    body = end.join(lines) + last_end
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=8), label="cuts")) if data else []
    pieces = [body[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(body)], strict=True) if start < stop]
    answer = await post_pieces(client, one_by_one(pieces))
    assert answer.status == 200
    events = [line for line in lines if line.strip()]
    verdicts = await answer.json()
    assert [verdict["index"] for verdict in verdicts] == list(range(len(events)))
    assert [verdict["status"] for verdict in verdicts] == [
        "stored" if b"smrtlinkId" in line else "invalid" for line in events
    ]
    for verdict, line in zip(verdicts, events, strict=True):
        assert verdict["status"] == "invalid" or await stored(client, verdict["uuid"]) == line.strip()


async def test_an_event_over_two_lines_is_two_bad_lines(client: TestClient) -> None:
    """A line end is one wherever it is."""
    verdicts = await (await post_batch(client, sent().replace(b",", b",\n", 1), NDJSON)).json()
    assert [verdict["code"] for verdict in verdicts] == ["malformed_json", "malformed_json"]


async def test_an_array_that_is_called_lines_is_a_bad_line(client: TestClient) -> None:
    """It costs only itself."""
    verdicts = await (await post_batch(client, array_of([sent()]) + b"\n" + sent(), NDJSON)).json()
    assert [verdict["status"] for verdict in verdicts] == ["invalid", "stored"]


async def test_behind_10000_events_it_ends_with_the_verdicts_so_far(client: TestClient, app: web.Application) -> None:
    """413; what came before is stored, what came behind is not."""
    answer = await post_batch(client, lines_of([b"1"] * 9_999 + [sent()] + [sent()]), NDJSON)
    assert (answer.status, await code_of(answer)) == (413, "payload_too_large")
    verdicts = (await answer.json())["verdicts"]
    assert [verdict["index"] for verdict in verdicts] == list(range(10_000))
    assert [verdict["status"] for verdict in verdicts[9_998:]] == ["invalid", "stored"]
    assert await count_of_stored(app) == 1


@pytest.mark.parametrize("form", ["array", "lines"])
async def test_others_have_their_turn_while_10000_events_are_judged(
    client: TestClient, app: web.Application, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    """Each look at the clock is here one in which a millisecond has passed; after 5 ms the others' turn has come."""
    turns, at_each_event = 0, list[int]()
    judge = app[INTAKE].judge
    clock = iter(range(1_000_000_000))

    def judge_noted(body: bytes, received: str | None = None) -> Any:
        at_each_event.append(turns)
        return judge(body, received)

    async def beat() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    monkeypatch.setattr(app[INTAKE], "judge", judge_noted)
    monkeypatch.setattr("eventserver.batch.perf_counter", lambda: next(clock) / 1000)
    heart = asyncio.create_task(beat())
    body = (array_of if form == "array" else lines_of)([sent() for _ in range(10_000)])
    headers = {"Content-Type": "application/json"} if form == "array" else NDJSON
    answer = await post_batch(client, body, headers)
    heart.cancel()
    assert len(json.loads(await answer.read())) == 10_000
    assert longest_run(at_each_event) <= 6


def longest_run(values: Sequence[int]) -> int:
    """Return how often a value follows upon itself at most."""
    longest = run = 1
    for before, value in pairwise(values):
        run = run + 1 if value == before else 1
        longest = max(longest, run)
    return longest
