"""The client and a real server: what is sent is there, as it was sent."""

from pathlib import Path
from uuid import uuid4

import pytest

from eventserver.client import EventConflict, EventRefused, EventServerClient, NotFound, SentEvent, Violation
from support.sent_events import SYSTEM, as_text, sent_event


async def test_what_is_sent_is_stored_and_echoed_as_it_was_sent(client: EventServerClient) -> None:
    """What is sent is stored and echoed as it was sent."""
    text = as_text(sent_event()).replace(b'"number":0', b'"number":1.10, "big":123456789012345678901234567890')

    receipt = await client.send(text)

    assert (receipt.status, receipt.event.text) == ("stored", text)
    assert (await client.get(receipt.uuid.upper())).text == text


@pytest.mark.parametrize("form", [dict, as_text, lambda event: as_text(event).decode()])
async def test_an_event_is_a_mapping_or_its_text(client: EventServerClient, form: object) -> None:
    """An event is a mapping or its text."""
    event = sent_event()
    assert callable(form)
    sent: SentEvent = form(event)

    receipt = await client.send(sent)

    assert receipt.uuid == event["uuid"]
    assert receipt.event.value == event


async def test_the_same_event_again_is_a_duplicate(client: EventServerClient) -> None:
    """The same event again is a duplicate."""
    event = sent_event()
    await client.send(event)

    assert (await client.send(event)).status == "duplicate"


async def test_another_event_under_its_uuid_is_a_conflict(client: EventServerClient) -> None:
    """Another event under its uuid is a conflict."""
    event = sent_event()
    await client.send(event)

    with pytest.raises(EventConflict) as error:
        await client.send(event | {"message": {"other": True}})

    assert (error.value.status, error.value.code) == (409, "event_conflict")


async def test_a_refusal_says_where_and_what(client: EventServerClient) -> None:
    """A refusal says where and what."""
    event = sent_event(event_type_id="smrtlink_job_change_state", jobId="7", jobTypeId="x", state="FAILED")

    with pytest.raises(EventRefused) as error:
        await client.send(event)

    assert error.value.code == "schema_violation"
    assert error.value.violations[0].pointer == "/message/jobId"


async def test_an_event_that_is_not_there_is_not_found(client: EventServerClient) -> None:
    """An event that is not there is not found."""
    with pytest.raises(NotFound):
        await client.get(str(uuid4()))


async def test_many_events_get_a_verdict_each_in_their_order(client: EventServerClient) -> None:
    """Many events get a verdict each in their order."""
    known, new = sent_event(1), sent_event(2)
    await client.send(known)

    verdicts = await client.send_many([known, new, {"uuid": "none"}, known | {"message": {}}])

    assert [verdict.status for verdict in verdicts] == ["duplicate", "stored", "invalid", "conflict"]
    assert [verdict.index for verdict in verdicts] == [0, 1, 2, 3]
    assert [verdict.is_taken for verdict in verdicts] == [True, True, False, False]
    assert verdicts[2].code == "invalid_event"
    assert Violation("/uuid", "must be a UUID: 8-4-4-4-12 hexadecimal digits with hyphens") in verdicts[2].violations


async def test_more_events_than_fit_a_request_are_sent_in_several(client: EventServerClient) -> None:
    """More events than fit a request are sent in several."""
    events = [sent_event(number) for number in range(2_500)]

    verdicts = await client.send_many(events)

    assert [(verdict.index, verdict.uuid, verdict.status) for verdict in verdicts] == [
        (number, event["uuid"], "stored") for number, event in enumerate(events)
    ]


async def test_a_text_with_line_breaks_is_one_event_of_a_batch(client: EventServerClient) -> None:
    """A text with line breaks is one event of a batch."""
    event = sent_event()
    text = as_text(event).replace(b",", b",\r\n")

    [verdict] = await client.send_many([text])

    assert verdict.status == "stored"
    assert (await client.get(event["uuid"])).value == event


async def test_all_pages_of_a_list_are_run_through_in_order(client: EventServerClient) -> None:
    """All pages of a list are run through in order."""
    events = [sent_event(number) for number in range(2_100)]
    await client.send_many(events)

    found = [event.value["message"]["number"] async for event in client.find(system=SYSTEM)]

    assert found == list(range(2_100))


async def test_a_list_is_filtered_cut_and_turned_as_asked(client: EventServerClient) -> None:
    """A list is filtered cut and turned as asked."""
    await client.send_many([sent_event(number) for number in range(10)])

    events = client.find(
        event_type="sl_test_event",
        version=1,
        from_="2026-11-24T12:00:00.000002Z",
        to="2026-11-24T12:00:00.000008Z",
        newest_first=True,
        limit=3,
    )

    assert [event.value["message"]["number"] async for event in events] == [7, 6, 5]


async def test_nothing_is_asked_for_a_list_of_none(client: EventServerClient) -> None:
    """Nothing is asked for a list of none."""
    await client.send(sent_event())

    assert [event async for event in client.find(limit=0)] == []


async def test_the_server_tells_its_status_and_its_event_types(client: EventServerClient) -> None:
    """The server tells its status and its event types."""
    status, types = await client.status(), await client.event_types()

    assert status.id == "smrtlink_event_server"
    assert ("sl_test_event", 1) in [(kind.event_type_id, kind.event_type_version) for kind in types]


async def test_an_event_is_judged_and_not_stored(client: EventServerClient) -> None:
    """An event is judged and not stored."""
    event = sent_event()

    good, bad = await client.validate(event), await client.validate(event | {"eventTypeId": "no_such_type"})

    assert good.is_valid
    assert (bad.is_valid, bad.code) == (False, "unknown_event_type")
    with pytest.raises(NotFound):
        await client.get(event["uuid"])


async def test_a_client_is_used_within_its_block_only(url: str) -> None:
    """A client is used within its block only."""
    with pytest.raises(RuntimeError, match="async with"):
        await EventServerClient(url).status()


@pytest.mark.parametrize("url", ["", "host:8070", "ftp://host", "/path", "http://"])
def test_a_url_that_is_none_is_refused_at_once(url: str) -> None:
    """A url that is none is refused at once."""
    with pytest.raises(ValueError, match="no URL"):
        EventServerClient(url)


async def test_a_file_that_is_not_there_is_an_os_error(client: EventServerClient, tmp_path: Path) -> None:
    """A file that is not there is an os error."""
    with pytest.raises(FileNotFoundError):
        await client.upload(tmp_path / "no.tgz")
