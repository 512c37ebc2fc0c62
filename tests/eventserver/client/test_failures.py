"""What the client does when a server fails: try again where it is safe, and say what happened."""

import asyncio
import time
from pathlib import Path

import pytest

from eventserver.client import (
    EventRefused,
    EventServerClient,
    EventServerError,
    NotAuthorized,
    RequestRefused,
    Retries,
    ServerFull,
    ServerUnavailable,
    ServerUnreachable,
    UnexpectedAnswer,
)
from eventserver.client.transport import read_retry_after
from support.faulty_server import FaultyServer
from support.sent_events import sent_event


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 507])
async def test_what_may_pass_is_tried_again(
    faulty: FaultyServer, faulty_client: EventServerClient, status: int
) -> None:
    """What may pass is tried again."""
    event = sent_event()
    faulty.then(status)
    faulty.then(status)
    faulty.then(201, event)

    receipt = await faulty_client.send(event)

    assert receipt.uuid == event["uuid"]
    assert len({asked.body for asked in faulty.asked}) == 1
    assert len(faulty.asked) == 3


async def test_a_broken_connection_and_a_silent_server_are_tried_again(
    faulty: FaultyServer, faulty_client: EventServerClient
) -> None:
    """A broken connection and a silent server are tried again."""
    event = sent_event()
    faulty.then_break()
    faulty.then_hang()
    faulty.then(200, event)

    assert (await faulty_client.send(event)).uuid == event["uuid"]
    assert len(faulty.asked) == 3


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (204, UnexpectedAnswer),
        (302, UnexpectedAnswer),
        (400, EventRefused),
        (401, NotAuthorized),
        (403, NotAuthorized),
        (405, RequestRefused),
        (413, EventRefused),
        (418, RequestRefused),
        (422, EventRefused),
    ],
)
async def test_what_will_not_pass_is_not_tried_again(
    faulty: FaultyServer, faulty_client: EventServerClient, status: int, kind: type[EventServerError]
) -> None:
    """What will not pass is not tried again."""
    faulty.then(status, {"code": "some_code", "detail": "Some detail."}, Location="/elsewhere")

    with pytest.raises(kind) as error:
        await faulty_client.send(sent_event())

    assert type(error.value) is kind
    assert error.value.status == status
    assert len(faulty.asked) == 1


@pytest.mark.parametrize(("status", "kind"), [(503, ServerUnavailable), (507, ServerFull), (599, ServerUnavailable)])
async def test_the_last_failure_is_told_when_all_tries_are_in_vain(
    faulty: FaultyServer, faulty_client: EventServerClient, status: int, kind: type[EventServerError]
) -> None:
    """The last failure is told when all tries are in vain."""
    faulty.then(status, {"detail": "Not now."})

    with pytest.raises(kind, match=r"Not now\."):
        await faulty_client.send(sent_event())

    assert len(faulty.asked) == 4


async def test_a_server_that_is_not_there_is_unreachable(unused_tcp_port: int) -> None:
    """A server that is not there is unreachable."""
    retries = Retries(attempts=2, first_wait=0.01)
    async with EventServerClient(f"http://127.0.0.1:{unused_tcp_port}", retries=retries) as client:
        with pytest.raises(ServerUnreachable, match=f"127.0.0.1:{unused_tcp_port}"):
            await client.status()


async def test_retry_after_is_waited_for(faulty: FaultyServer) -> None:
    """Retry after is waited for."""
    faulty.then(503, Retry_After="1")
    faulty.then(201, sent_event())
    started = time.monotonic()

    async with EventServerClient(faulty.url, retries=Retries(first_wait=0.001)) as client:
        await client.send(sent_event())

    assert time.monotonic() - started >= 1


async def test_retry_after_does_not_keep_a_client_for_longer_than_its_longest_wait(
    faulty: FaultyServer, faulty_client: EventServerClient
) -> None:
    """Retry after does not keep a client for longer than its longest wait."""
    faulty.then(503, Retry_After="3600")

    async with asyncio.timeout(5):
        with pytest.raises(ServerUnavailable) as error:
            await faulty_client.send(sent_event())

    assert error.value.retry_after == 3600


@pytest.mark.parametrize(
    ("text", "seconds"),
    [(None, None), ("7", 7.0), ("soon", None), ("-1", None), ("Fri, 01 Jan 2016 00:00:00 GMT", 0.0), ("²", None)],
)
def test_retry_after_is_seconds_or_a_date(text: str | None, seconds: float | None) -> None:
    """Retry after is seconds or a date."""
    assert read_retry_after(text) == seconds


async def test_only_the_events_that_were_unavailable_are_sent_again(
    faulty: FaultyServer, faulty_client: EventServerClient
) -> None:
    """Only the events that were unavailable are sent again."""
    events = [sent_event(number) for number in range(3)]
    uuids = [event["uuid"] for event in events]
    stored = [{"index": 0, "uuid": uuids[0], "status": "stored"}, {"index": 2, "uuid": uuids[2], "status": "stored"}]
    away = {"index": 1, "uuid": uuids[1], "status": "unavailable", "code": "storage_unavailable", "retryable": True}
    faulty.then(200, [stored[0], away, stored[1]])
    faulty.then(200, [{"index": 0, "uuid": uuids[1], "status": "stored"}])

    verdicts = await faulty_client.send_many(events)

    assert [(verdict.index, verdict.uuid, verdict.status) for verdict in verdicts] == [
        (number, uuid, "stored") for number, uuid in enumerate(uuids)
    ]
    assert [asked.body.count(b"\n") for asked in faulty.asked] == [2, 0]


async def test_events_that_stay_unavailable_say_so(faulty: FaultyServer, faulty_client: EventServerClient) -> None:
    """Events that stay unavailable say so."""
    faulty.then(200, [{"index": 0, "uuid": "x", "status": "unavailable", "code": "storage_unavailable"}])

    [verdict] = await faulty_client.send_many([sent_event()])

    assert (verdict.status, verdict.is_taken, verdict.is_retryable) == ("unavailable", False, True)
    assert len(faulty.asked) == 4


@pytest.mark.parametrize("body", [b"no json", {"uuid": 1}, [], b"[1]", None, "text"])
async def test_another_service_is_told_from_an_event_server(
    faulty: FaultyServer, faulty_client: EventServerClient, body: object
) -> None:
    """Another service is told from an event server."""
    faulty.then(200, body)

    for call in (faulty_client.status(), faulty_client.send_many([sent_event()]), faulty_client.validate({})):
        with pytest.raises(UnexpectedAnswer):
            await call


async def test_a_large_body_is_compressed_and_a_small_one_is_not(
    faulty: FaultyServer, faulty_client: EventServerClient
) -> None:
    """A large body is compressed and a small one is not."""
    large = sent_event(text="x" * 200_000)
    faulty.then(201, large)

    await faulty_client.send(large)
    await faulty_client.send(sent_event())

    assert faulty.asked[0].headers["Content-Encoding"] == "gzip"
    assert int(faulty.asked[0].headers["Content-Length"]) < 5_000
    assert len(faulty.asked[0].body) > 200_000
    assert "Content-Encoding" not in faulty.asked[1].headers


async def test_a_link_leads_to_no_other_server(faulty: FaultyServer, faulty_client: EventServerClient) -> None:
    """A link leads to no other server."""
    faulty.then(200, [sent_event(1)], Link='<http://elsewhere.example/api?cursor=abc>; rel="next"')
    faulty.then(200, [sent_event(2)])

    found = [event.value["message"]["number"] async for event in faulty_client.find()]

    assert found == [1, 2]
    assert faulty.asked[1].path == "/api/v1/events?cursor=abc"


async def test_a_path_of_the_url_is_kept(faulty: FaultyServer) -> None:
    """A path of the url is kept."""
    faulty.then(200, [])

    async with EventServerClient(f"{faulty.url}events-of/site/") as client:
        await client.event_types()

    assert faulty.asked[0].path == "/events-of/site/api/v1/event-types"


async def test_a_bundle_is_sent_as_installed_clients_do(
    faulty: FaultyServer, faulty_client: EventServerClient, tmp_path: Path
) -> None:
    """A bundle is sent as installed clients do."""
    bundle = tmp_path / "x.tgz"
    bundle.write_bytes(b"\x1f\x8b" + bytes(300_000))
    faulty.then(503)
    faulty.then(201, sent_event())

    await faulty_client.upload(bundle)

    _, second = faulty.asked
    assert (second.method, second.path) == ("POST", "/api/v1/files")
    assert b'filename="x.tgz"' in second.body
    assert b'name="techsupport_tgz"' in second.body
    assert bundle.read_bytes() in second.body
