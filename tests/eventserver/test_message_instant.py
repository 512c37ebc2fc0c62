"""createdAt as an instant: which texts name one, and how it is written so that it sorts."""

import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from eventserver.message import parse_instant, received_now
from support.reference_json import instant_of


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2017-02-16T08:36:21.082-08:00", "2017-02-16T16:36:21.082000000Z"),
        ("2017-02-16T08:36:21.082-0800", "2017-02-16T16:36:21.082000000Z"),
        ("2026-11-24T12:20:51.544Z", "2026-11-24T12:20:51.544000000Z"),
        ("2026-11-24t12:20:51.544z", "2026-11-24T12:20:51.544000000Z"),
        ("2026-11-24T12:20:51Z", "2026-11-24T12:20:51.000000000Z"),
        ("2026-11-24T12:20:51.123456789+00:00", "2026-11-24T12:20:51.123456789Z"),
        ("2026-11-24T12:20:51-00:00", "2026-11-24T12:20:51.000000000Z"),
        ("2024-02-29T23:30:00-01:00", "2024-03-01T00:30:00.000000000Z"),
        ("2024-01-01T00:30:00+05:45", "2023-12-31T18:45:00.000000000Z"),
        ("2024-01-01T00:00:00+23:59", "2023-12-31T00:01:00.000000000Z"),
    ],
)
def test_an_instant_is_written_in_utc_with_nine_digits(text: str, instant: str) -> None:
    """Whatever offset and precision it was sent with."""
    assert parse_instant(text) == instant


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2016-12-31T23:59:60.5Z", "2017-01-01T00:00:00.500000000Z"),
        ("2016-12-31t23:59:60z", "2017-01-01T00:00:00.000000000Z"),
        ("2016-12-31T15:59:60-08:00", "2017-01-01T00:00:00.000000000Z"),
        ("2017-03-04T10:11:60Z", "2017-03-04T10:12:00.000000000Z"),
        ("0000-12-31T23:59:60Z", "0001-01-01T00:00:00.000000000Z"),
    ],
)
def test_second_60_is_the_next_second(text: str, instant: str) -> None:
    """In any minute: which minutes had a leap second is not ours to know."""
    assert parse_instant(text) == instant


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000000000Z"),
        ("0000-12-31T23:30:00-01:00", "0001-01-01T00:30:00.000000000Z"),
        ("9999-12-31T23:59:59.999999999Z", "9999-12-31T23:59:59.999999999Z"),
        ("9999-12-31T23:59:60+00:01", "9999-12-31T23:59:00.000000000Z"),
    ],
)
def test_the_years_0001_to_9999_are_meant_in_utc(text: str, instant: str) -> None:
    """An offset can lead into them."""
    assert parse_instant(text) == instant


@pytest.mark.parametrize(
    "text",
    [
        "0000-12-31T23:59:59Z",
        "0000-12-31T23:30:00+01:00",
        "0001-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01",
        "9999-12-31T23:59:60Z",
    ],
)
def test_an_instant_beyond_these_years_is_refused(text: str) -> None:
    """An offset can lead out of them."""
    with pytest.raises(ValueError, match="years 0001 to 9999"):
        parse_instant(text)


@pytest.mark.parametrize("text", ["2017-02-16T08:36:21", "2017-02-16T08:36:21.082"])
def test_a_time_without_offset_is_refused_and_told_why(text: str) -> None:
    """It does not name an instant."""
    with pytest.raises(ValueError, match="must have an offset"):
        parse_instant(text)


@pytest.mark.parametrize("day", ["2017-02-29", "2100-02-29", "2017-04-31", "2017-00-01", "2017-13-01", "2017-01-00"])
@pytest.mark.parametrize("rest", ["T00:00:00Z", "T00:00:60Z", "T00:00:00-08:00"])
def test_a_day_that_the_calendar_has_not_is_refused(day: str, rest: str) -> None:
    """With and without arithmetic."""
    with pytest.raises(ValueError, match=f"there is no {day}"):
        parse_instant(day + rest)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2017-02-16",
        "2017-02-16 08:36:21Z",
        "2017-02-16T08:36Z",
        "2017-02-16T08:36:21.Z",
        "2017-02-16T08:36:21,5Z",
        "2017-02-16T08:36:21.1234567890Z",
        "2017-02-16T24:00:00Z",
        "2017-02-16T08:60:00Z",
        "2017-02-16T08:36:61Z",
        "2017-02-16T08:36:21+24:00",
        "2017-02-16T08:36:21+08:60",
        "2017-02-16T08:36:21+08",
        "2017-02-16T08:36:21+8:00",
        "2017-02-16T08:36:21\u221208:00",
        "2017-02-16T08:36:21 Z",
        "2017-02-16T08:36:21Z ",
        "2017-02-16T08:36:21Z\n",
        "2017-02-16T08:36:21ZZ",
        "2017-W07-4T08:36:21Z",
        "20170216T083621Z",
        "17-02-16T08:36:21Z",
        "12017-02-16T08:36:21Z",
        "-2017-02-16T08:36:21Z",
        "2017-02-16T08:36:2\u0661Z",
        "\uff12017-02-16T08:36:21Z",
    ],
)
def test_any_other_text_is_refused(text: str) -> None:
    """ASCII digits, one form."""
    with pytest.raises(ValueError, match="RFC 3339"):
        parse_instant(text)


@given(st.datetimes(), st.integers(-1439, 1439), st.integers(0, 6))
def test_an_offset_is_applied_as_the_standard_library_does(moment: datetime, minutes: int, digits: int) -> None:
    """Where both know the instant."""
    offset = f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"
    fraction = f".{moment.microsecond:06d}"[: digits + 1] if digits else ""
    text = f"{moment.replace(microsecond=0).isoformat()}{fraction}{offset}"
    try:
        expected = moment.replace(tzinfo=timezone(timedelta(minutes=minutes))).astimezone(UTC).isoformat()[:19]
    except OverflowError:
        with pytest.raises(ValueError, match="years"):
            parse_instant(text)
    else:
        assert parse_instant(text) == f"{expected}.{fraction[1:]:0<9}Z"


NEARLY_INSTANTS = st.from_regex(
    r"(0000|0001|2000|2017|2100|9999)-(0[0-9]|1[0-3])-(0[01]|2[89]|3[0-2])[Tt ]"
    r"([01][0-9]|2[0-4]):([05][09]|60):([05][09]|6[01])(\.[0-9]{0,10})?([Zz]|[+-]([01][0-9]|2[34]):?([05][09]|60))?",
    fullmatch=True,
)


@settings(max_examples=1000)
@given(NEARLY_INSTANTS)
@example("0000-12-31T23:59:60-23:59")
def test_it_agrees_with_the_slow_and_obvious_way(text: str) -> None:
    """On what it takes, and on the instant."""
    try:
        instant: str | None = parse_instant(text)
    except ValueError:
        instant = None
    assert instant == instant_of(text)


def test_instants_sort_as_they_follow_each_other() -> None:
    """As texts, whatever they were sent as."""
    sent = [
        "2017-01-01T00:00:00+01:00",
        "2016-12-31T23:59:60Z",
        "2017-01-01T00:00:00.000000001Z",
        "2017-01-01T01:00:00.1Z",
    ]
    instants = [parse_instant(text) for text in sent]
    assert instants == sorted(instants)


def test_the_moment_of_arrival_is_now_with_six_digits() -> None:
    """Always six: the form has one length."""
    before = datetime.now(UTC)
    moment = received_now()
    after = datetime.now(UTC)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", moment)
    assert before - timedelta(microseconds=1) <= datetime.fromisoformat(moment) <= after
