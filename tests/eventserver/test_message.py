"""An event's envelope: what is taken, what is refused, and what the refusal says."""

import json
from typing import Any

import pytest

from eventserver.message import parse
from eventserver.refusal import Code, Refusal

EVENT: dict[str, Any] = {
    "smrtlinkId": "2319db24-f46e-11e6-a35c-3c15c2cc8f88",
    "uuid": "83927d00-f46c-11e6-9f9b-3c15c2cc8f88",
    "createdAt": "2017-02-16T08:36:21.082-08:00",
    "eventTypeId": "smrtlink_job_change_state",
    "eventTypeVersion": 1,
    "message": {"jobId": 1234, "jobTypeId": "pbsmrtpipe", "state": "SUCCCESSFUL"},
}
LEFT_OUT = object()


def body(**changes: Any) -> bytes:
    """Return the event of the design with some keys changed, added or left out."""
    event = {key: value for key, value in (EVENT | changes).items() if value is not LEFT_OUT}
    return json.dumps(event).encode()


def refusal_of(text: bytes) -> Refusal:
    """Return the refusal that a body is met with."""
    with pytest.raises(Refusal) as caught:
        parse(text)
    return caught.value


def pointers_of(text: bytes) -> list[str]:
    """Return where a body is refused as an event."""
    refusal = refusal_of(text)
    assert refusal.code is Code.INVALID_EVENT
    return [violation.pointer for violation in refusal.errors]


def test_the_event_of_the_design_is_taken() -> None:
    """Its keys are read, its instant is in UTC, its text stays what it is."""
    message = parse(body())
    assert message == (
        "83927d00-f46c-11e6-9f9b-3c15c2cc8f88",
        "2319db24-f46e-11e6-a35c-3c15c2cc8f88",
        "smrtlink_job_change_state",
        1,
        "2017-02-16T16:36:21.082000000Z",
        EVENT["message"],
        body(),
    )


def test_the_event_of_an_installed_client_is_taken() -> None:
    """They spell the system's key with a capital L, in any order of keys, and may send dnsName."""
    text = (
        b'{"uuid":"1a11af9d-b94b-4cb1-aedf-649bbf1824eb","eventTypeVersion":1,"eventTypeId":"sl_job_metrics",'
        b'"createdAt":"2026-11-24T12:20:51.544Z","dnsName":"m\xc3\xbcller.example",'
        b'"smrtLinkId":"aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee","message":{"id":7,"movieIds":["m54001"],"isActive":true}}'
    )
    message = parse(text)
    assert message.smrtlink_id == "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"
    assert message.original == text


def test_white_space_around_an_event_is_not_a_part_of_it() -> None:
    """White space is what JSON calls so; what is inside the event stays."""
    assert parse(b" \t\r\n" + body() + b"\n\r\t ").original == body()
    assert parse(body().replace(b", ", b",\r\n")).original == body().replace(b", ", b",\r\n")


def test_uuids_are_read_in_lower_case_and_kept_as_sent() -> None:
    """Only the keys are folded, not the text."""
    text = body(uuid=EVENT["uuid"].upper(), smrtlinkId=EVENT["smrtlinkId"].upper())
    message = parse(text)
    assert (message.uuid, message.smrtlink_id) == (EVENT["uuid"], EVENT["smrtlinkId"])
    assert message.original == text


@pytest.mark.parametrize("name", ["müller.example", "", None])
def test_dns_name_is_text_or_null(name: str | None) -> None:
    """It may also be left out, as in the event of the design."""
    assert parse(body(dnsName=name)).message == EVENT["message"]


@pytest.mark.parametrize("key", ["note", "", "x@y", "Uuid", "SMRTLINKID"])
def test_other_keys_are_the_senders_own(key: str) -> None:
    """They may hold anything."""
    assert parse(body(**{key: [{"@at": 1}]})).uuid == EVENT["uuid"]


def test_keys_inside_the_message_are_the_senders_own() -> None:
    """Only at the top level is ``@`` ours."""
    assert parse(body(message={"@at": 1})).message == {"@at": 1}


@pytest.mark.parametrize("version", ["1", "2147483647"])
def test_a_version_is_an_integer_in_digits(version: str) -> None:
    """Its range is that of a 32-bit integer, without zero."""
    assert parse(body(eventTypeVersion=77).replace(b"77", version.encode())).event_type_version == int(version)


@pytest.mark.parametrize(
    "version",
    ["0", "-0", "-1", "1.0", "1e0", "1E0", "0.1e1", "true", '"1"', "null", "[1]", "2147483648", "9" * 400, "1e400"],
)
def test_a_version_in_any_other_form_is_refused(version: str) -> None:
    """``1.0`` is the number 1, but not the way a version is written."""
    assert pointers_of(body(eventTypeVersion=77).replace(b"77", version.encode())) == ["/eventTypeVersion"]


@pytest.mark.parametrize("key", ["uuid", "smrtlinkId"])
@pytest.mark.parametrize(
    "value",
    [
        LEFT_OUT,
        None,
        1,
        "",
        "83927d00f46c11e69f9b3c15c2cc8f88",
        "{83927d00-f46c-11e6-9f9b-3c15c2cc8f88}",
        "83927d00-f46c-11e6-9f9b-3c15c2cc8f8",
        "83927d00-f46c-11e6-9f9b-3c15c2cc8f888",
        "83927d00-f46c-11e6-9f9b-3c15c2cc8f8g",
        "83927d00-f46c-11e6-9f9b-3c15c2cc8f8\uff10",
        "83927d00-f46c-11e6-9f9b-3c15c2cc8f8\n",
        "83927d00-f46c-11e6-9f9b-3c15c2cc8f88\n",
        "8392-7d00f46c-11e6-9f9b-3c15c2cc8f88",
    ],
)
def test_a_uuid_in_any_other_form_is_refused(key: str, value: Any) -> None:
    """36 characters, 8-4-4-4-12 hexadecimal digits."""
    assert pointers_of(body(**{key: value})) == [f"/{key}"]


@pytest.mark.parametrize("value", ["2319db24-f46e-11e6-a35c-3c15c2cc8f88", None, 1])
def test_both_spellings_of_the_system_are_one_too_many(value: Any) -> None:
    """Even where they agree: which one is echoed?"""
    assert "/smrtlinkId" in pointers_of(body(smrtLinkId=value))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("createdAt", "2017-02-16T08:36:21"),
        ("createdAt", 1487262981),
        ("createdAt", None),
        ("createdAt", LEFT_OUT),
        ("eventTypeId", 1),
        ("eventTypeId", None),
        ("eventTypeId", LEFT_OUT),
        ("eventTypeVersion", LEFT_OUT),
        ("message", []),
        ("message", "text"),
        ("message", None),
        ("message", LEFT_OUT),
        ("dnsName", 1),
        ("dnsName", False),
        ("@at", "2017-02-16T16:36:21.082000000Z"),
        ("@", None),
    ],
)
def test_a_wrong_or_missing_key_is_named(key: str, value: Any) -> None:
    """By a JSON Pointer, and with what would be right."""
    refusal = refusal_of(body(**{key: value}))
    assert refusal.code is Code.INVALID_EVENT
    assert [violation.pointer for violation in refusal.errors] == [f"/{key}"]
    assert "must" in refusal.errors[0].message
    assert f"/{key}" in refusal.detail


def test_a_pointer_is_escaped() -> None:
    """RFC 6901, section 3."""
    assert pointers_of(body(**{"@a/b~c": 1})) == ["/@a~1b~0c"]


def test_an_escaped_key_of_ours_is_refused_too() -> None:
    """A key is what it means, not how it is spelt."""
    assert pointers_of(body(x=1).replace(b'"x"', rb'"\u0040at"')) == ["/@at"]


def test_all_that_is_wrong_is_said_at_once() -> None:
    """So that a sender needs one attempt, not six."""
    assert pointers_of(b"{}") == [
        "/uuid",
        "/smrtlinkId",
        "/createdAt",
        "/eventTypeId",
        "/eventTypeVersion",
        "/message",
    ]


def test_a_refusal_stays_small() -> None:
    """At most 20 violations, and no key of a megabyte is echoed."""
    refusal = refusal_of(body(**{f"@{number}": 1 for number in range(1000)}))
    assert len(refusal.errors) == 20
    refusal = refusal_of(body(**{"@" + "x" * 100_000: 1}))
    assert refusal.errors[0].pointer == ""
    assert len(refusal.detail) < 300


@pytest.mark.parametrize("text", [b"[]", b"1", b"1e400", b'"text"', b"null", b"true", b"9" * 5000])
def test_json_that_is_no_object_is_no_event(text: bytes) -> None:
    """It is JSON, so it is not malformed."""
    assert pointers_of(text) == [""]


def test_what_is_malformed_is_not_searched_for_violations() -> None:
    """Strictness comes first, for an object that is no event and for none."""
    assert refusal_of(b'{"uuid": 1, "x": ' + b"[" * 64 + b"]" * 64 + b"}").code is Code.MALFORMED_JSON
    assert refusal_of(b"[" * 65 + b"]" * 65).code is Code.MALFORMED_JSON
