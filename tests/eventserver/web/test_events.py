"""One event over HTTP: taken once, given back as it was sent, refused in a way that says why."""

import asyncio

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings

from eventserver.web.keys import QUARANTINE
from support.events import SYSTEM, new_uuid
from support.intakes import sent
from support.json_texts import spaces, texts
from support.reference_json import judge
from support.wire_events import EVENTS, code_of, post, stored

PROPERTY = hypothesis_settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


async def test_a_new_event_is_answered_201_with_itself_and_its_place(client: TestClient) -> None:
    """What an installed client decodes, where the event is from now on, and how it was taken."""
    uuid = new_uuid()
    body = sent(uuid)
    answer = await post(client, body)
    assert (answer.status, await answer.read()) == (201, body)
    assert answer.headers["Location"] == f"{EVENTS}/{uuid}"
    assert answer.headers["Event-Status"] == "stored"
    assert answer.headers["Content-Type"] == "application/json"
    found = await client.get(answer.headers["Location"])
    assert (found.status, found.headers["Content-Type"], await found.read()) == (200, "application/json", body)


async def test_the_same_event_again_is_answered_200_with_the_first_ones_spelling(client: TestClient) -> None:
    """Another order of keys, other space, the other system key and upper-case ids are no other content."""
    uuid = new_uuid()
    first = sent(uuid, '{"a":1,"b":2}')
    again = first.replace(b'{"a":1,"b":2}', b'{ "b":2, "a":1 }').replace(b"smrtlinkId", b"smrtLinkId")
    again = again.replace(uuid.encode(), uuid.upper().encode()).replace(SYSTEM.encode(), SYSTEM.upper().encode())
    await post(client, first)
    answer = await post(client, again)
    assert (answer.status, await answer.read()) == (200, first)
    assert answer.headers["Location"] == f"{EVENTS}/{uuid}"
    assert answer.headers["Event-Status"] == "duplicate"
    assert await stored(client, uuid) == first


@pytest.mark.parametrize("other", ['{"a":1.0}', '{"a":"1"}', '{"a":1,"b":null}', "{}"])
async def test_another_event_with_the_same_uuid_is_answered_409_and_the_first_stays(
    client: TestClient, other: str
) -> None:
    """Numbers are compared by their text."""
    uuid = new_uuid()
    first = sent(uuid, '{"a":1}')
    await post(client, first)
    answer = await post(client, sent(uuid, other))
    assert (answer.status, await code_of(answer)) == (409, "event_conflict")
    assert "Event-Status" not in answer.headers
    assert await stored(client, uuid) == first


@pytest.mark.parametrize("key", ["smrtlinkId", "smrtLinkId"])
async def test_the_systems_key_has_two_spellings_and_keeps_its_own(client: TestClient, key: str) -> None:
    """Installed clients write the L large, and decode no other."""
    uuid = new_uuid()
    body = sent(uuid).replace(b"smrtlinkId", key.encode())
    assert await (await post(client, body)).read() == body
    assert await stored(client, uuid) == body


async def test_ids_may_be_written_in_upper_case(client: TestClient) -> None:
    """They are found by either case, echoed as they came, and the place is told in lower case."""
    uuid = new_uuid()
    body = sent(uuid.upper(), smrtlink_id=SYSTEM.upper())
    answer = await post(client, body)
    assert (answer.status, await answer.read()) == (201, body)
    assert answer.headers["Location"] == f"{EVENTS}/{uuid}"
    assert await stored(client, uuid) == await stored(client, uuid.upper()) == body
    [listed] = await (await client.get(f"{EVENTS}/smrt-link/{SYSTEM.upper()}")).json()
    assert listed["uuid"] == uuid.upper()


@PROPERTY
@given(value=texts, before=spaces, after=spaces)
@example(value='"\\u00e9\\/\\ud834\\udd1e\\n\\u0000"', before="", after="")
@example(value="[1.10,1E+400,-0,123456789012345678901234567890]", before="", after="")
@example(value='{"a":1,\r\n"b":\n\t2}', before="\r\n", after="\n")
@example(value='{"a":1,"a":1}', before="", after="")
@example(value='{"a":1,"\\u0061":1}', before="", after="")
async def test_what_is_strict_json_is_stored_and_given_back_token_for_token(
    client: TestClient, value: str, before: str, after: str
) -> None:
    """Key order, numbers, escapes and space as sent; only line breaks, and the space around it, need not stay.

    What is strict JSON is judged by a reader that shares nothing with the service.
    """
    uuid = new_uuid()
    body = sent(uuid).replace(b'"message":{}', f'"message":{before}{{"value":{value}}}'.encode())
    answer = await post(client, before.encode() + body + after.encode())
    if judge(body) == "malformed_json":
        assert (answer.status, await code_of(answer)) == (400, "malformed_json")
        assert await stored(client, uuid) is None
    else:
        assert answer.status == 201
        assert await answer.read() == await stored(client, uuid) == body.replace(b"\r", b" ").replace(b"\n", b" ")


@pytest.mark.parametrize(
    ("body", "status", "code", "pointer"),
    [
        (b"", 400, "malformed_json", None),
        (b'{"uuid":', 400, "malformed_json", None),
        (b"\xef\xbb\xbf" + sent(), 400, "malformed_json", None),
        (b"[]", 422, "invalid_event", ""),
        (sent("no-uuid"), 422, "invalid_event", "/uuid"),
        (sent().replace(b"000Z", b"000"), 422, "invalid_event", "/createdAt"),
        (sent(event_type_id="sl_never_heard_of"), 422, "unknown_event_type", None),
        (sent(event_type_version=99), 422, "unknown_event_type", None),
        (sent(event_type_id="eula_signed", message='{"user":1}'), 422, "schema_violation", "/message"),
    ],
)
async def test_what_is_refused_for_its_content_says_why_and_is_kept(
    client: TestClient, app: web.Application, body: bytes, status: int, code: str, pointer: str | None
) -> None:
    """With the code of its kind, the place of what is wrong, and an entry in quarantine."""
    answer = await post(client, body)
    assert (answer.status, await code_of(answer)) == (status, code)
    errors = (await answer.json()).get("errors", [])
    assert pointer is None or errors[0]["pointer"].startswith(pointer)
    [entry] = (await app[QUARANTINE].find()).entries
    kept = await app[QUARANTINE].get(entry.id)
    assert kept is not None
    assert (entry.code, entry.peer, kept.body) == (code, "127.0.0.1", body)


@pytest.mark.parametrize(
    "wrong", ["no-uuid", "83927d00f46c11e69f9b3c15c2cc8f88", "{83927d00-f46c-11e6-9f9b-3c15c2cc8f8}"]
)
async def test_a_path_without_a_uuid_is_refused(client: TestClient, wrong: str) -> None:
    """The form is told."""
    answer = await client.get(f"{EVENTS}/{wrong}")
    assert (answer.status, await code_of(answer)) == (400, "invalid_uuid")


async def test_an_event_that_is_not_there_is_not_found(client: TestClient) -> None:
    """The uuid that was looked for is told."""
    uuid = new_uuid()
    answer = await client.get(f"{EVENTS}/{uuid}")
    assert (answer.status, await code_of(answer)) == (404, "not_found")
    assert uuid in (await answer.json())["detail"]


async def all_at_once(client: TestClient, bodies: list[bytes]) -> list[tuple[int, bytes]]:
    """Post events at the same time; return status and body of each answer."""
    answers = await asyncio.gather(*(post(client, body) for body in bodies))
    return [(answer.status, await answer.read()) for answer in answers]


async def test_of_50_equal_posts_at_once_exactly_one_is_the_first(client: TestClient) -> None:
    """All are told the first one's spelling, which is what every GET gives from then on."""
    uuid = new_uuid()
    answers = await all_at_once(client, [sent(uuid, "{" + " " * number + "}") for number in range(50)])
    assert sorted(status for status, _ in answers) == [200] * 49 + [201]
    assert {body for _, body in answers} == {await stored(client, uuid)}


async def test_of_50_different_posts_at_once_exactly_one_is_stored(client: TestClient, app: web.Application) -> None:
    """What it echoed is what every GET gives from then on; the others are refused and kept."""
    uuid = new_uuid()
    answers = await all_at_once(client, [sent(uuid, f'{{"n":{number}}}') for number in range(50)])
    assert sorted(status for status, _ in answers) == [201] + [409] * 49
    assert [body for status, body in answers if status == 201] == [await stored(client, uuid)]
    assert len((await app[QUARANTINE].find()).entries) == 49
