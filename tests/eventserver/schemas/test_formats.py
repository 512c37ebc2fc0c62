"""The four formats mean the same to both validators."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventserver.schemas.formats import FORMATS
from eventserver.schemas.validation import compile_schema

HOT = {name: compile_schema({"format": name}) for name in FORMATS}


@pytest.mark.parametrize(
    ("name", "text", "valid"),
    [
        ("date-time", "2017-02-16T08:36:21.082-08:00", True),
        ("date-time", "2017-02-16t08:36:21z", True),
        ("date-time", "2016-12-31T23:59:60Z", True),
        ("date-time", "2016-12-31T15:59:60-08:00", True),
        ("date-time", "2016-12-31T12:00:60Z", False),
        ("date-time", "2017-02-16T08:36:21", False),
        ("date-time", "2017-02-16 08:36:21Z", False),
        ("date-time", "2017-02-29T08:36:21Z", False),
        ("date-time", "2017-02-16T08:36:21Z\n", False),
        ("date-time", "\uff12017-02-16T08:36:21Z", False),
        ("uuid", "EB7A8352-ad13-4f5d-9de5-5857c50a61fa", True),
        ("uuid", "eb7a8352ad134f5d9de55857c50a61fa", False),
        ("uuid", "eb7a8352-ad13-4f5d-9de5-5857c50a61fa\n", False),
        ("ipv4", "192.0.2.1", True),
        ("ipv4", "192.0.2.01", False),
        ("ipv4", "192.0.2", False),
        ("ipv6", "2001:db8::1", True),
        ("ipv6", "::ffff:192.0.2.1", True),
        ("ipv6", "fe80::1%eth0", False),
    ],
)
def test_known_texts(name: str, text: str, *, valid: bool) -> None:
    """Each text is judged as the format's specification has it, by both."""
    assert (HOT[name](text), FORMATS[name](text)) == (valid, valid)


DIGITS = st.text("0123456789", min_size=1, max_size=4)
OFFSET = "([Zz]|[+-][0-2][0-9]:[0-6][0-9])?"
NEAR_DATE_TIMES = st.from_regex(
    r"[0-9]{4}-[01][0-9]-[0-3][0-9][Tt ][0-2][0-9]:[0-6][0-9]:[0-6][0-9](\.[0-9]{0,12})?" + OFFSET, fullmatch=True
)
NEAR_LEAP_SECONDS = st.from_regex(r"2016-12-31T[0-2][0-9]:[0-6][0-9]:60(Z|[+-][0-2][0-9]:[0-6][0-9])", fullmatch=True)
NEAR_UUIDS = st.from_regex(r"[0-9a-fA-Fg]{7,8}-[0-9a-f]{4}-[0-9a-f]{4}-?[0-9a-f]{4}-[0-9a-f]{12}", fullmatch=True)
NEAR_IPV4 = st.lists(DIGITS, min_size=3, max_size=5).map(".".join)
NEAR_IPV6 = st.lists(st.text("0123456789abcdefF", max_size=5), min_size=1, max_size=9).map(":".join)


@given(
    st.one_of(
        NEAR_DATE_TIMES, NEAR_LEAP_SECONDS, NEAR_UUIDS, NEAR_IPV4, NEAR_IPV6, st.ip_addresses().map(str), st.text()
    )
)
def test_both_validators_agree_on_any_text(text: str) -> None:
    """Near misses above all."""
    for name, judge in FORMATS.items():
        assert HOT[name](text) == judge(text), name
