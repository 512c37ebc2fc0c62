"""The quarantine over HTTP: operators see, replay and drop what was refused; nobody else does."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient
from pydantic import SecretStr

from backends.quarantine import Refused
from eventserver.app import make_app
from eventserver.config import Settings
from eventserver.web.keys import INTAKE, QUARANTINE, REGISTRY
from eventserver.web.operators import is_loopback
from support.events import AT, RECEIVED, SYSTEM, new_uuid

PATH = "/api/v1/quarantine"
UNKNOWN = "0" * 32


def event(uuid: str | None = None, *, event_type_id: str = "sl_test_event", message: object = None) -> bytes:
    """Return an event as it is sent."""
    envelope = {"smrtlinkId": SYSTEM, "uuid": uuid or new_uuid(), "createdAt": AT}
    return json.dumps(
        envelope | {"eventTypeId": event_type_id, "eventTypeVersion": 1, "message": message or {}}
    ).encode()


async def post(client: TestClient, body: bytes) -> int:
    """Post an event and return the status."""
    return (await client.post("/api/v1/events", data=body, headers={"Content-Type": "application/json"})).status


async def entries(client: TestClient, **parameters: str) -> list[dict[str, Any]]:
    """Return a list."""
    answer = await client.get(PATH, params=parameters)
    assert answer.status == 200, await answer.text()
    return await answer.json()


async def code(client: TestClient, method: str, path: str, **options: Any) -> tuple[int, str]:
    """Return the status and the code of a refusal."""
    answer = await client.request(method, path, **options)
    return answer.status, (await answer.json())["code"]


async def test_what_was_refused_is_found_with_its_reason(client: TestClient) -> None:
    """Each refusal for its content is in the list, with code, type, peer, time and size."""
    assert await post(client, b'{"a":') == 400
    body = event(event_type_id="sl_never_seen")
    assert await post(client, body) == 422
    unknown, malformed = await entries(client)
    assert (malformed["code"], malformed["eventTypeId"], malformed["size"]) == ("malformed_json", None, 5)
    assert (unknown["code"], unknown["eventTypeId"], unknown["eventTypeVersion"]) == (
        "unknown_event_type",
        "sl_never_seen",
        1,
    )
    assert unknown["peer"] == "127.0.0.1"
    assert unknown["arrivals"] == 1
    assert unknown["received"] == unknown["lastReceived"]


async def test_a_conflict_is_kept_and_the_first_stays(client: TestClient) -> None:
    """The second content under a uuid is found here."""
    uuid = new_uuid()
    assert await post(client, event(uuid, message={"n": 1})) == 201
    assert await post(client, event(uuid, message={"n": 2})) == 409
    [entry] = await entries(client, code="event_conflict")
    shown = await (await client.get(f"{PATH}/{entry['id']}")).json()
    assert json.loads(shown["body"])["message"] == {"n": 2}


@pytest.mark.parametrize("body", [b'{"\xc3\xa9": 1}x', b"\xff\xfe\x00"])
async def test_a_body_is_shown_as_it_was_received(client: TestClient, body: bytes) -> None:
    """As text if it is UTF-8, and as base64 in any case."""
    assert await post(client, body) == 400
    [entry] = await entries(client)
    shown = await (await client.get(f"{PATH}/{entry['id']}")).json()
    assert base64.b64decode(shown["bodyBase64"]) == body
    assert shown["body"] == (None if b"\xff" in body else body.decode())
    assert {**entry, "body": 0, "bodyBase64": 0} == {**shown, "body": 0, "bodyBase64": 0}


async def test_pages_follow_links(client: TestClient, app: web.Application) -> None:
    """Newest first, each once; filters go along."""
    await app[QUARANTINE].keep_many([Refused(b"%d" % n, "a&b", "", RECEIVED, "p") for n in range(5)])
    await app[QUARANTINE].keep(Refused(b"x", "other", "", RECEIVED))
    found, url = [], f"{PATH}?code=a%26b&limit=2"
    while url:
        answer = await client.get(url)
        found += [entry["size"] for entry in await answer.json()]
        url = answer.links["next"]["url"].raw_path_qs if "next" in answer.links else ""
    assert found == [1] * 5


async def test_groups(client: TestClient) -> None:
    """How much there is for each code and event type, the most first."""
    for body in (b"1", b"[", b"[", event(event_type_id="sl_never_seen")):
        await post(client, body)
    groups = await (await client.get(f"{PATH}/groups")).json()
    assert [(group["code"], group["entries"], group["arrivals"]) for group in groups] == [
        ("invalid_event", 1, 1),
        ("malformed_json", 1, 2),
        ("unknown_event_type", 1, 1),
    ]


@pytest.fixture
async def mended(client: TestClient, app: web.Application) -> Callable[[], None]:
    """Return what makes ``sl_new`` a known type, as if its schema had been added."""

    def mend() -> None:
        registry = app[REGISTRY]
        registry.validators = {**registry.validators, ("sl_new", 1): lambda message: "n" in message}

    return mend


async def test_a_replay_after_a_schema_was_mended_stores_the_event(
    client: TestClient, mended: Callable[[], None]
) -> None:
    """With its first moment of arrival; it leaves the quarantine, and can be read."""
    uuid = new_uuid()
    await post(client, event(uuid, event_type_id="sl_new", message={"n": 1}))
    [entry] = await entries(client)
    first = await (await client.post(f"{PATH}/{entry['id']}/replay")).json()
    assert (first["status"], first["code"], first["id"]) == ("refused", "unknown_event_type", entry["id"])
    mended()
    second = await (await client.post(f"{PATH}/{entry['id']}/replay")).json()
    assert second == {"status": "stored", "code": None, "id": None}
    assert (await client.get(f"/api/v1/events/{uuid}")).status == 200
    assert await entries(client) == []
    assert await code(client, "POST", f"{PATH}/{entry['id']}/replay") == (404, "not_found")


async def test_a_replayed_event_keeps_its_moment_of_arrival(
    client: TestClient, app: web.Application, tmp_path: Path
) -> None:
    """``@received`` of the record is when the bytes first came."""
    await app[QUARANTINE].keep(Refused(event(), "unknown_event_type", "", RECEIVED, "10.0.0.7"))
    assert (await (await client.post(f"{PATH}/replay")).json())["results"] == {"stored": 1}
    [path] = (tmp_path / "events").glob("*/*.ndjson")
    assert json.loads(path.read_bytes())["@received"] == RECEIVED


async def test_a_replay_of_many_counts_the_results(client: TestClient, app: web.Application) -> None:
    """Oldest first, so that of two in conflict the first one wins; what stays has its new reason."""
    uuid = new_uuid()
    bodies = [event(uuid, message={"n": 1}), event(uuid, message={"n": 2}), event(uuid, message={"n": 1}) + b" ", b"{"]
    ids = await app[QUARANTINE].keep_many([Refused(body, "unknown_event_type", "", RECEIVED) for body in bodies])
    report = await (await client.post(f"{PATH}/replay")).json()
    assert report == {
        "replayed": 4,
        "results": {"stored": 1, "event_conflict": 1, "duplicate": 1, "malformed_json": 1},
        "next": None,
    }
    left = await entries(client)
    assert sorted(entry["code"] for entry in left) == ["event_conflict", "malformed_json"]
    assert not {entry["id"] for entry in left} & set(ids)
    again = await (await client.post(f"{PATH}/replay")).json()
    assert again["results"] == {"event_conflict": 1, "malformed_json": 1}
    assert await entries(client) == left


async def test_a_replay_goes_on_where_it_ended(client: TestClient, app: web.Application) -> None:
    """Up to the limit, by the cursor, each once, although what is refused again moves in the list."""
    await app[QUARANTINE].keep_many([Refused(b"%d" % n, "schema_violation", "", RECEIVED) for n in range(5)])
    replayed, cursor = [], {}
    while True:
        report = await (await client.post(f"{PATH}/replay", params={"limit": "2"} | cursor)).json()
        replayed.append(report["replayed"])
        if report["next"] is None:
            break
        cursor = {"cursor": report["next"]}
    assert replayed == [2, 2, 1]


@pytest.mark.parametrize("others", [0, 3])
async def test_a_replay_takes_empty_bodies_too(client: TestClient, app: web.Application, others: int) -> None:
    """Also as the first of a page: what is empty is refused again, like anything else."""
    await app[QUARANTINE].keep_many([Refused(b"%d" % n * n, "malformed_json", "", RECEIVED) for n in range(1 + others)])
    report = await (await client.post(f"{PATH}/replay", params={"limit": "1000"})).json()
    assert report["replayed"] == 1 + others


async def test_a_damaged_entry_does_not_keep_others_from_being_replayed(
    client: TestClient, app: web.Application, tmp_path: Path
) -> None:
    """It stays as it is, alone or among others; the others are stored."""
    bodies = [event(message={"n": n}) for n in range(3)]
    ids = await app[QUARANTINE].keep_many([Refused(body, "schema_violation", "", RECEIVED) for body in bodies])
    [path] = (tmp_path / "quarantine").glob("*/*.ndjson")
    path.write_bytes(path.read_bytes().replace(rb"\"n\": 1", rb"\"n\": 7"))
    alone = await (await client.post(f"{PATH}/{ids[1]}/replay")).json()
    assert alone == {"status": "unavailable", "code": None, "id": ids[1]}
    report = await (await client.post(f"{PATH}/replay")).json()
    assert report["results"] == {"stored": 2, "unavailable": 1}
    assert [entry["id"] for entry in await entries(client)] == [ids[1]]


async def test_a_defect_in_a_replay_is_told_as_one(
    client: TestClient, app: web.Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not as a wrong cursor, whatever kind of error it is."""

    def judge(*_: object) -> None:
        raise ValueError

    monkeypatch.setattr(app[INTAKE], "judge", judge)
    await app[QUARANTINE].keep(Refused(b"{", "malformed_json", "", RECEIVED))
    assert await code(client, "POST", f"{PATH}/replay") == (500, "internal_error")


async def test_dropping(client: TestClient) -> None:
    """One, those that fit a filter, or really all; a second time there is nothing."""
    for body in (b"1", b"2", b"[", b"{", event(event_type_id="sl_never_seen")):
        await post(client, body)
    first = (await entries(client))[0]["id"]
    assert await (await client.delete(f"{PATH}/{first}")).json() == {"dropped": 1}
    assert await code(client, "DELETE", f"{PATH}/{first}") == (404, "not_found")
    assert await (await client.delete(PATH, params={"code": "malformed_json"})).json() == {"dropped": 2}
    assert await code(client, "DELETE", PATH) == (400, "invalid_parameter")
    assert len(await entries(client)) == 2
    assert await (await client.delete(PATH, params={"all": "true"})).json() == {"dropped": 2}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "?limit=0"),
        ("GET", "?limit=1001"),
        ("GET", "?cursor=x"),
        ("GET", "?type=x"),
        ("GET", "/groups?code=x"),
        ("POST", "/replay?cursor=-"),
        ("DELETE", "?all=yes"),
        ("DELETE", "?all=true&code=x"),
    ],
)
async def test_a_wrong_parameter_is_refused(client: TestClient, method: str, path: str) -> None:
    """Rather than left out, which might drop more than was meant."""
    assert await code(client, method, PATH + path) == (400, "invalid_parameter")


@pytest.mark.parametrize("id_", [UNKNOWN, "x", "%00", "0" * 31, "%F0%9F%92%A9"])
async def test_an_unknown_id_is_not_found(client: TestClient, id_: str) -> None:
    """Also if it is none at all."""
    assert await code(client, "GET", f"{PATH}/{id_}") == (404, "not_found")


# who may

OPERATIONS = [
    ("GET", PATH),
    ("GET", f"{PATH}/groups"),
    ("GET", f"{PATH}/{UNKNOWN}"),
    ("POST", f"{PATH}/replay"),
    ("POST", f"{PATH}/{UNKNOWN}/replay"),
    ("DELETE", f"{PATH}?all=true"),
    ("DELETE", f"{PATH}/{UNKNOWN}"),
]


@pytest.fixture
async def guarded(aiohttp_client: Any, tmp_path: Path) -> TestClient:
    """Return a client of a server with an admin token."""
    return await aiohttp_client(
        make_app(Settings(event_root_dir=tmp_path, server_port=0, event_admin_token=SecretStr("s3cret-é")))
    )


@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Bearer wrong", "Basic s3cret-é", "s3cret-é"])
async def test_with_a_token_set_nobody_passes_without_it(guarded: TestClient, authorization: str | None) -> None:
    """Not even from the same machine; the answer says how to authenticate."""
    headers = {} if authorization is None else {"Authorization": authorization}
    for method, path in OPERATIONS:
        answer = await guarded.request(method, path, headers=headers)
        assert answer.status == 401
        assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("authorization", ["Bearer s3cret-é", "bearer  s3cret-é"])
async def test_the_token_lets_pass(guarded: TestClient, authorization: str) -> None:
    """From wherever it comes."""
    headers = {"Authorization": authorization, "X-Forwarded-For": "203.0.113.9", "Host": "events.example.org"}
    assert (await guarded.get(PATH, headers=headers)).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-For": "127.0.0.1"},
        {"Forwarded": "for=127.0.0.1"},
        {"X-Real-IP": "127.0.0.1"},
        {"Via": "1.1 proxy"},
        {"Host": "evil.example.org"},
        {"Host": "evil.example.org", "Origin": "http://evil.example.org"},
        {"Host": "[::1"},
        {"Origin": "http://evil.example.org"},
        {"Origin": "http://localhost:1"},
        {"Origin": "null"},
        {"Origin": "http://[::1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
async def test_without_a_token_no_proxy_and_no_foreign_page_passes(client: TestClient, headers: dict[str, str]) -> None:
    """A page in a browser on this machine must not drop or read anything."""
    for method, path in OPERATIONS:
        assert await code(client, method, path, headers=headers) == (403, "forbidden")


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "localhost:8070"},
        {"Host": "LOCALHOST"},
        {"Host": "[::1]:8070"},
        {"Host": "127.1.2.3"},
        {"Host": "localhost:8070", "Origin": "http://localhost:8070", "Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
    ],
)
async def test_without_a_token_this_machine_passes(client: TestClient, headers: dict[str, str]) -> None:
    """A command, or the server's own page."""
    assert (await client.get(PATH, headers=headers)).status == 200


@pytest.mark.parametrize(
    ("address", "passes"),
    [
        ("127.0.0.1", True),
        ("127.3.2.1", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("10.0.0.7", False),
        ("::ffff:10.0.0.7", False),
        ("fe80::1%eth0", False),
        ("", False),
    ],
)
async def test_only_loopback_addresses_are_this_machine(address: str, passes: bool) -> None:  # noqa: FBT001
    """Also as IPv4 inside IPv6; another machine of the network is not."""
    assert is_loopback(address) is passes
