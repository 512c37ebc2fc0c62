"""Which events a filter takes."""

import time

import pytest

from eventserver.manager.conditions import Condition, InvalidCondition
from eventserver.manager.filters import Filter, TypeIndex
from support.job_events import job_event


@pytest.mark.parametrize(
    ("globs", "versions", "taken"),
    [
        (["*"], [], True),
        (["smrtlink_job_*"], [1, 2], True),
        (["smrtlink_job_*"], [2], False),
        (["eula_signed", "*_state"], [], True),
        (["smrtlink_job"], [], False),
        (["job_*"], [], False),
        (["smrtlink?job?change?state"], [], True),
    ],
)
def test_types(globs: list[str], versions: list[int], *, taken: bool) -> None:
    """Types are taken by globs on the whole id, and by version."""
    assert Filter(globs, versions, None).takes(job_event()) is taken


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ('message.state == "FAILED"', True),
        ('message.state != "FAILED"', False),
        ('message.state in ["FAILED", "TERMINATED"] && message.jobId > 0', True),
        ('has(message.nothing) && message.nothing == "x"', False),
        ('message.nothing == "x"', False),
        ('smrtlinkId.startsWith("2319db24")', True),
        ("dnsName == null", True),
        ("message.jobId < 'x'", False),
        ("message.state", False),
        ("1 / 0 == 1", False),
        ("message.list.exists(x, x == 3)", True),
        ("message.huge > 5.0", True),
    ],
)
def test_conditions(condition: str, *, holds: bool) -> None:
    """A condition holds or does not; one that can't be evaluated does not."""
    event = job_event(list=[1, 2, 3], huge=10**400)
    assert Filter(["*"], [], condition).takes(event) is holds


def test_errors_are_counted() -> None:
    """What a condition could not evaluate is counted; a key that is not there is no error."""
    filter_ = Filter(["*"], [], "message.jobId < message.other")
    filter_.takes(job_event())
    assert filter_.condition is not None
    assert filter_.condition.errors == 0
    filter_.takes(job_event(other="text"))
    assert filter_.condition.errors == 1


@pytest.mark.parametrize(
    "text",
    ["message.all(a, message.all(b, a == b))", "message.a.map(x, x).exists(y, y)", "(" * 5000, "[" * 3000, ""],
)
def test_costly_conditions_are_refused(text: str) -> None:
    """A condition whose time could grow faster than the event is refused, as is what is no condition."""
    with pytest.raises(InvalidCondition):
        Condition(text)


def test_time_is_bounded() -> None:
    """An event can't make a condition slow: neither by a text for its pattern nor by a long list."""
    event = job_event(state="a" * 500_000, list=list(range(100_000)))
    started = time.perf_counter()
    assert not Filter(["*"], [], 'message.state.matches("(a+)+(a|aa)+b$")').takes(event)
    assert not Filter(["*"], [], "message.list.exists(x, x == -1)").takes(event)
    assert time.perf_counter() - started < 5


def test_index() -> None:
    """The index asks each filter once for a type."""
    asked = []

    class Counting(Filter):
        """Remembers what it was asked."""

        def takes_type(self, event_type_id: str, event_type_version: int) -> bool:
            """Remember, and answer as usual."""
            asked.append(event_type_id)
            return super().takes_type(event_type_id, event_type_version)

    index = TypeIndex([(Counting(["a*"], [], None), "one"), (Counting(["*"], [], None), "two")])
    assert index["abc", 1] == ("one", "two")
    assert index["abc", 1] == ("one", "two")
    assert index["b", 1] == ("two",)
    assert asked == ["abc", "abc", "b", "b"]
