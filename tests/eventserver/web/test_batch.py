"""Batches over HTTP: a verdict for each event, in order, and every good one stored."""

import gzip
import json
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from backends.errors import StorageFull, StoreUnavailable
from eventserver.batch import Verdict
from eventserver.config import Settings
from eventserver.refusal import Code, Violation
from eventserver.web.batch import verdicts_document
from eventserver.web.keys import QUARANTINE
from support.events import new_uuid
from support.intakes import break_quarantine, sent, sent_with_size
from support.wire_events import BATCH, JSON, NDJSON, array_of, break_store, code_of, lines_of, post_batch, stored

PROPERTY = hypothesis_settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
FORMS = [pytest.param(JSON, array_of, id="array"), pytest.param(NDJSON, lines_of, id="lines")]
in_each_form = pytest.mark.parametrize(("headers", "form"), FORMS)
Form = Callable[[Sequence[bytes]], bytes]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings with time enough for large bodies."""
    return Settings(event_root_dir=tmp_path, server_port=0)


async def verdicts_of(client: TestClient, body: bytes, headers: dict[str, str]) -> list[dict[str, Any]]:
    """Post a batch that is answered with its verdicts."""
    answer = await post_batch(client, body, headers)
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json"), await answer.text()
    verdicts: list[dict[str, Any]] = await answer.json()
    assert [verdict["index"] for verdict in verdicts] == list(range(len(verdicts)))
    return verdicts


@in_each_form
async def test_each_event_gets_its_verdict_in_order(client: TestClient, headers: dict[str, str], form: Form) -> None:
    """What was taken has its uuid; what was not has its reason, and the places of what is wrong."""
    uuid, other, typeless = new_uuid(), new_uuid(), new_uuid()
    events = [
        sent(uuid),
        sent(uuid.upper()),
        sent(uuid, '{"a":1}'),
        b'{"uuid":1}',
        sent(typeless.upper(), event_type_id="sl_never_heard_of"),
        sent(event_type_id="smrtlink_job_change_state", message='{"jobId":"1","jobTypeId":"x","state":"y"}'),
        sent(other),
    ]
    stored_, duplicate, conflict, no_event, no_type, no_number, last = await verdicts_of(client, form(events), headers)
    assert stored_ == {"index": 0, "uuid": uuid, "status": "stored", "retryable": False}
    assert duplicate == {"index": 1, "uuid": uuid, "status": "duplicate", "retryable": False}
    assert uuid in conflict.pop("detail")
    assert conflict == {
        "index": 2,
        "uuid": uuid,
        "status": "conflict",
        "code": "event_conflict",
        "retryable": False,
    }
    assert (no_event["status"], no_event["code"], no_event["uuid"]) == ("invalid", "invalid_event", None)
    assert {"pointer", "message"} == no_event["errors"][0].keys()
    assert (no_type["status"], no_type["code"], no_type["uuid"]) == ("invalid", "unknown_event_type", typeless)
    assert (no_number["status"], no_number["code"]) == ("invalid", "schema_violation")
    assert [error["pointer"] for error in no_number["errors"]] == ["/message/jobId"]
    assert not any(verdict["retryable"] for verdict in (no_event, no_type, no_number))
    assert last == {"index": 6, "uuid": other, "status": "stored", "retryable": False}
    assert await stored(client, uuid) == events[0]


@in_each_form
async def test_events_are_stored_as_they_were_sent(client: TestClient, headers: dict[str, str], form: Form) -> None:
    """Token for token, as a single one is."""
    uuid = new_uuid()
    event = sent(uuid, '{ "n" : 1.10,"m":1E+400, "text":"\\u00e9\\/漢", "k" :[ ] }')
    await verdicts_of(client, form([sent(), event, sent()]), headers)
    assert await stored(client, uuid) == event


@in_each_form
async def test_a_batch_without_events_has_no_verdicts(client: TestClient, headers: dict[str, str], form: Form) -> None:
    """It is a batch all the same."""
    assert await verdicts_of(client, form([]), headers) == []


@in_each_form
async def test_what_is_refused_is_kept(
    client: TestClient, app: web.Application, headers: dict[str, str], form: Form
) -> None:
    """Each event by itself, as if it had been sent so."""
    uuid = new_uuid()
    unknown, conflicting = sent(event_type_id="sl_never_heard_of"), sent(uuid, '{"a":1}')
    await verdicts_of(client, form([sent(uuid), unknown, conflicting]), headers)
    entries = (await app[QUARANTINE].find()).entries
    bodies = [kept.body for entry in entries if (kept := await app[QUARANTINE].get(entry.id))]
    assert sorted(bodies) == sorted([unknown, conflicting])
    assert {(entry.code, entry.peer) for entry in entries} == {
        ("unknown_event_type", "127.0.0.1"),
        ("event_conflict", "127.0.0.1"),
    }


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "text/plain", None])
async def test_an_array_may_be_called_json_text_or_nothing(client: TestClient, content_type: str | None) -> None:
    """As a single event may."""
    headers = {} if content_type is None else {"Content-Type": content_type}
    answer = await client.post(BATCH, data=array_of([sent()]), headers=headers, skip_auto_headers=["Content-Type"])
    assert [verdict["status"] for verdict in await answer.json()] == ["stored"]


async def test_another_media_type_is_refused_and_both_are_told(client: TestClient) -> None:
    """Which are the array's and the lines'."""
    answer = await client.post(BATCH, data=b"", headers={"Content-Type": "text/csv"})
    assert (answer.status, await code_of(answer)) == (415, "unsupported_media_type")
    detail = (await answer.json())["detail"]
    assert "application/json" in detail
    assert "application/x-ndjson" in detail


@in_each_form
async def test_a_batch_may_be_compressed(client: TestClient, headers: dict[str, str], form: Form) -> None:
    """It is mostly repetition."""
    body = gzip.compress(form([sent() for _ in range(100)]))
    verdicts = await verdicts_of(client, body, headers | {"Content-Encoding": "gzip"})
    assert [verdict["status"] for verdict in verdicts] == ["stored"] * 100


@pytest.mark.parametrize(
    "body", [b"", b"[", b"[%b", b"[%b,]", b"[%b]]", b"%b", b"%b\n%b", b'["\xff",%b]', b'[%b,{"a":NaN}]', b"{}"]
)
async def test_a_malformed_array_is_refused_whole_and_kept(
    client: TestClient, app: web.Application, body: bytes
) -> None:
    """Nothing of it is stored: which of its bytes are wrong can't be known. So that nothing is lost, it is kept."""
    uuid = new_uuid()
    body = body.replace(b"%b", sent(uuid))
    answer = await post_batch(client, body, JSON)
    assert (answer.status, await code_of(answer)) == (400, "malformed_json")
    assert await stored(client, uuid) is None
    [entry] = (await app[QUARANTINE].find()).entries
    kept = await app[QUARANTINE].get(entry.id)
    assert kept is not None
    assert (kept.body, entry.code, entry.peer) == (body, "malformed_json", "127.0.0.1")


async def test_where_one_event_is_not_strict_an_array_goes_in_without_it(client: TestClient) -> None:
    """Duplicate keys, a lone surrogate or nesting are JSON by its grammar, so the whole can be read for certain."""
    bad = [b'{"a":1,"a":2}', b'{"a":"\\ud800"}', b"[" * 70 + b"]" * 70, b"[" * 5_000 + b"]" * 5_000]
    verdicts = await verdicts_of(client, array_of([sent(), *bad, sent()]), JSON)
    assert [verdict["status"] for verdict in verdicts] == ["stored", *["invalid"] * len(bad), "stored"]
    assert {verdict["code"] for verdict in verdicts[1:-1]} == {"malformed_json"}


async def test_a_malformed_array_that_can_not_be_kept_is_not_refused(client: TestClient, app: web.Application) -> None:
    """As a single event is not."""
    break_quarantine(app[QUARANTINE], StorageFull("full"))
    answer = await post_batch(client, b"[", JSON)
    assert (answer.status, await code_of(answer)) == (507, "storage_full")


async def test_an_array_with_too_many_events_is_refused_whole_and_not_kept(
    client: TestClient, app: web.Application
) -> None:
    """10,000 are taken; one more, and the sender has to divide them."""
    uuid = new_uuid()
    answer = await post_batch(client, array_of([sent(uuid), *[b"1"] * 10_000]), JSON)
    assert (answer.status, await code_of(answer)) == (413, "payload_too_large")
    assert await stored(client, uuid) is None
    assert (await app[QUARANTINE].find()).entries == []


async def test_10000_events_are_taken_at_once(client: TestClient) -> None:
    """That many, and no more."""
    verdicts = await verdicts_of(client, array_of([sent() for _ in range(10_000)]), JSON)
    assert [verdict["status"] for verdict in verdicts] == ["stored"] * 10_000


@in_each_form
async def test_a_batch_that_is_declared_too_large_is_refused_at_once(
    client: TestClient, headers: dict[str, str], form: Form
) -> None:
    """16 MiB are taken; the length that is declared is enough to know."""

    async def nothing() -> AsyncIterator[bytes]:
        yield b""

    length = str(16 * 1024 * 1024 + 1)
    answer = await client.post(BATCH, data=nothing(), headers=headers | {"Content-Length": length})
    assert (answer.status, await code_of(answer)) == (413, "payload_too_large")
    assert (await answer.json()).get("verdicts", []) == []


@in_each_form
async def test_an_event_over_the_limit_of_events_costs_only_itself(
    client: TestClient, headers: dict[str, str], form: Form
) -> None:
    """A batch may be larger than an event, an event in it may not."""
    largest, larger = new_uuid(), new_uuid()
    events = [sent(), sent_with_size(1024 * 1024, largest), sent_with_size(1024 * 1024 + 1, larger), sent()]
    verdicts = await verdicts_of(client, form(events), headers)
    assert [verdict["status"] for verdict in verdicts] == ["stored", "stored", "invalid", "stored"]
    assert (verdicts[2]["code"], verdicts[2]["retryable"]) == ("payload_too_large", False)
    assert await stored(client, largest) == events[1]
    assert await stored(client, larger) is None


@in_each_form
@pytest.mark.parametrize(
    ("error", "code"),
    [(StorageFull("full"), "storage_full"), (StoreUnavailable("away"), "storage_unavailable")],
)
async def test_what_could_not_be_stored_may_be_sent_again(
    client: TestClient, app: web.Application, headers: dict[str, str], form: Form, error: Any, code: str
) -> None:
    """The answer is 200 all the same: each event has its verdict, the bad ones theirs."""
    uuid = new_uuid()
    body = form([sent(uuid), b"1"])
    with pytest.MonkeyPatch.context() as patch:
        break_store(app, patch, error)
        good, bad = await verdicts_of(client, body, headers)
    assert good == {"index": 0, "uuid": uuid, "status": "unavailable", "code": code, "retryable": True}
    assert (bad["status"], bad["retryable"]) == ("invalid", False)
    assert [verdict["status"] for verdict in await verdicts_of(client, body, headers)] == ["stored", "invalid"]


@in_each_form
async def test_what_can_not_be_kept_is_unavailable_instead_of_refused(
    client: TestClient, app: web.Application, headers: dict[str, str], form: Form
) -> None:
    """And the good ones are stored."""
    break_quarantine(app[QUARANTINE], StorageFull("full"))
    good, bad = await verdicts_of(client, form([sent(), b"1"]), headers)
    assert good["status"] == "stored"
    assert bad == {"index": 1, "uuid": None, "status": "unavailable", "code": "storage_full", "retryable": True}


async def test_an_answer_tells_2000_violations_at_most() -> None:
    """Beyond them an event has its code and its sentence only, so that the answer stays smaller than the batch."""
    violations = [Violation(f"/message/{number}", "is wrong") for number in range(20)]
    verdict = Verdict("invalid", None, Code.SCHEMA_VIOLATION, "It is wrong.", violations)
    documents = json.loads(await verdicts_document([verdict] * 150))
    assert [len(document.get("errors", [])) for document in documents] == [20] * 100 + [0] * 50
    assert {(document["code"], document["detail"]) for document in documents} == {("schema_violation", "It is wrong.")}


@given(detail=st.text(), pointer=st.text(), message=st.text())
async def test_whatever_is_told_of_a_verdict_it_is_json(detail: str, pointer: str, message: str) -> None:
    """Texts of senders come back in it."""
    verdict = Verdict("invalid", None, Code.SCHEMA_VIOLATION, detail, [Violation(pointer, message)])
    [document] = json.loads(await verdicts_document([verdict]))
    assert document["errors"] == [{"pointer": pointer, "message": message}]
    assert document["detail"] == detail[:300]
