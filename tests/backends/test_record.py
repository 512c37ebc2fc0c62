"""The record of an event: as sent, and three keys of ours at its end."""

import json
import re
from typing import Any
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.base import Event
from backends.record import (
    TAIL_LENGTH,
    DamagedRecordError,
    at_of,
    finish_record,
    is_intact,
    original_of,
    read_event,
    received_of,
)

AT = "2017-02-16T16:36:21.082000000Z"
RECEIVED = "2026-11-24T11:22:33.123456Z"
UUID = "83927d00-f46c-11e6-9f9b-3c15c2cc8f88"
SYSTEM = "2319db24-f46e-11e6-a35c-3c15c2cc8f88"
ORIGINAL = (
    f'{{"smrtlinkId": "{SYSTEM}","uuid": "{UUID}","createdAt": "2017-02-16T08:36:21.082-08:00",'
    '"eventTypeId": "sl_test_event", "eventTypeVersion": 1,"message": {"note": "é", "number": 1E+400}}'
).encode()
RECORD = finish_record(ORIGINAL, AT, RECEIVED)


def test_a_record_is_the_original_and_a_tail_of_fixed_length() -> None:
    """Byte for byte as the design shows it."""
    body = ORIGINAL[:-1] + f',"@at":"{AT}","@received":"{RECEIVED}"'.encode()
    assert body + f',"@crc":"{crc32(body):08x}"}}'.encode() == RECORD
    assert len(RECORD) == len(ORIGINAL) - 1 + TAIL_LENGTH


def test_a_checksum_has_eight_digits() -> None:
    """Also where it begins with zeros."""
    records = [finish_record(b'{"n":%d}' % number, AT, RECEIVED) for number in range(1000)]
    assert any(b'"@crc":"00' in record for record in records)
    assert all(is_intact(record) and original_of(record) == b'{"n":%d}' % n for n, record in enumerate(records))


def test_a_record_is_one_json_object_on_one_line() -> None:
    """Line breaks between tokens become spaces."""
    record = finish_record(ORIGINAL.replace(b",", b",\r\n"), AT, RECEIVED)
    assert b"\n" not in record
    assert b"\r" not in record
    assert original_of(record) == ORIGINAL.replace(b",", b",  ")
    assert b"\r" not in finish_record(ORIGINAL.replace(b",", b",\r"), AT, RECEIVED)
    assert list(json.loads(record))[-3:] == ["@at", "@received", "@crc"]


def test_its_parts_are_slices() -> None:
    """Nothing is parsed."""
    assert original_of(RECORD) == ORIGINAL
    assert at_of(RECORD) == AT
    assert received_of(RECORD) == RECEIVED


def test_the_keys_are_read_back() -> None:
    """Uuids in lower case, the instant as it was given."""
    assert read_event(RECORD) == Event(UUID, SYSTEM, "sl_test_event", 1, AT, RECORD)


@pytest.mark.parametrize("spelling", ["smrtlinkId", "smrtLinkId"])
def test_both_spellings_of_the_system_are_read(spelling: str) -> None:
    """And either case of a uuid."""
    original = ORIGINAL.replace(b"smrtlinkId", spelling.encode()).replace(UUID.encode(), UUID.upper().encode())
    record = finish_record(original.replace(SYSTEM.encode(), SYSTEM.upper().encode()), AT, RECEIVED)
    assert read_event(record)[:2] == (UUID, SYSTEM)


@pytest.mark.parametrize("number", ["9" * 5000, "-" + "9" * 5000, "9" * 5000 + ".5", "1E+400", "9" * 1_000_000])
def test_a_huge_number_keeps_no_record_from_being_read(number: str) -> None:
    """It is legal in an event, so it is there after a crash."""
    record = finish_record(ORIGINAL.replace(b"1E+400", number.encode()), AT, RECEIVED)
    assert read_event(record) == Event(UUID, SYSTEM, "sl_test_event", 1, AT, record)


def test_a_message_may_look_like_an_event() -> None:
    """Only the top level counts."""
    message = b'{"uuid":"x","smrtLinkId":"y","eventTypeId":"z","@at":"then","@crc":"0"}'
    record = finish_record(re.sub(rb'\{"note.*?\}', message, ORIGINAL), AT, RECEIVED)
    assert read_event(record) == Event(UUID, SYSTEM, "sl_test_event", 1, AT, record)


@given(st.integers(0, len(RECORD) - 1), st.integers(1, 255))
def test_any_changed_byte_is_noticed(place: int, change: int) -> None:
    """CRC-32 finds each burst of up to 32 bits."""
    damaged = RECORD[:place] + bytes([RECORD[place] ^ change]) + RECORD[place + 1 :]
    assert not is_intact(damaged)
    with pytest.raises(DamagedRecordError, match="checksum"):
        read_event(damaged)


@given(st.integers(0, len(RECORD) - 1))
def test_any_torn_record_is_noticed(length: int) -> None:
    """From nothing to all but the last byte."""
    assert not is_intact(RECORD[:length])
    with pytest.raises(DamagedRecordError):
        read_event(RECORD[:length])


def sealed(text: str) -> bytes:
    """Return a line with a right checksum."""
    body = text.encode()
    return b'%b,"@crc":"%08x"}' % (body, crc32(body))


@pytest.mark.parametrize(
    "line",
    [
        sealed('{"@log":{"previous":1,"valid":100}'),
        sealed(""),
        sealed("["),
        finish_record(b"{}", AT, RECEIVED),
        finish_record(b'{"a":1}', AT, RECEIVED),
        finish_record(b"[1]", AT, RECEIVED),
        finish_record(b'"text"', AT, RECEIVED),
        finish_record(ORIGINAL.replace(f'"{UUID}"'.encode(), b"1"), AT, RECEIVED),
        finish_record(ORIGINAL.replace(f'"{SYSTEM}"'.encode(), b"null"), AT, RECEIVED),
        finish_record(b'{"a":' + b"[" * 100_000 + b"}", AT, RECEIVED),
    ],
)
def test_an_intact_line_that_is_no_event_is_said_to_be_none(line: bytes) -> None:
    """Such as the log's own marks."""
    with pytest.raises(DamagedRecordError):
        read_event(line)


UUIDS = st.uuids().map(str)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=5), below, max_size=3),
    max_leaves=6,
)


@given(
    UUIDS,
    UUIDS,
    st.text(max_size=20),
    st.integers(1, 2**31 - 1),
    JSON,
    st.permutations(["uuid", "smrtLinkId", "eventTypeId", "eventTypeVersion", "message"]),
    st.fixed_dictionaries({"indent": st.sampled_from([None, 1]), "ensure_ascii": st.booleans()}),
)
def test_what_was_finished_is_read_back(
    uuid: str,
    system: str,
    type_id: str,
    version: int,
    message: Any,
    order: list[str],
    spelling: dict[str, Any],
) -> None:
    """Any event, any order of keys: its keys, and its text with line breaks as spaces."""
    event = {
        "uuid": uuid,
        "smrtLinkId": system,
        "eventTypeId": type_id,
        "eventTypeVersion": version,
        "message": message,
    }
    original = json.dumps({key: event[key] for key in order}, **spelling).encode()
    record = finish_record(original, AT, RECEIVED)
    assert read_event(record) == Event(uuid, system, type_id, version, AT, record)
    assert original_of(record) == original.replace(b"\n", b" ")
    assert json.loads(original_of(record)) == event
