"""``eventserver compare``: two stores are equal, or it is said where not."""

import asyncio
import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from backends.base import Event
from backends.equality import same_content
from backends.filesystem import FilesystemStore
from backends.lock import DirectoryLock
from backends.record import original_of
from eventserver.cli.content_digest import ContentDigest, digest_content
from tests.support.command_line import Run, Store
from tests.support.events import as_sent, make_event, replaced, respelt


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """Another data directory, that is not there yet."""
    return tmp_path / "other"


def put(root: Path, events: Sequence[Event]) -> None:
    """Store events, as a server does that then stops."""

    async def store() -> None:
        async with FilesystemStore(root) as target:
            await target.put(events)

    asyncio.run(store())


def test_stores_with_the_same_events_are_equal(run: Run, root: Path, other: Path, store: Store) -> None:
    """Whatever the order of arrival; more than a page, many with one createdAt."""
    events = [make_event(message={"n": n}) for n in range(2500)]
    store(events)
    put(other, events[::-1])
    result = run("compare", "--from", "file:", "--to", f"file://{other}", "--root", root)
    assert (result.exit_code, result.stderr) == (0, "")
    match = re.fullmatch(
        rf"file://{root}: 2500 events, digest ([0-9a-f]{{32}})\nfile://{other}: 2500 events, digest \1\n"
        r"They are equal\.\n",
        result.stdout,
    )
    assert match is not None


def test_equal_is_what_is_equal_for_a_sender(run: Run, root: Path, other: Path, store: Store) -> None:
    """Order of keys, white space, the spelling of the system's key, and the time of arrival don't count."""
    event = as_sent('{"a": 1, "b": "A"}')
    again = replaced(event, '{"a": 1, "b": "A"}', '{"b":"\\u0041","a":1}')
    again = replaced(again, '"smrtlinkId"', '"smrtLinkId"')
    store([event])
    put(other, [respelt(event, original_of(again.record), "2020-01-01T00:00:00.000000Z")])
    result = run("compare", "--from", "file:", "--to", f"file://{other}", "--root", root)
    assert result.exit_code == 0
    digests = re.findall(r"digest (\w+)", result.stdout)
    assert digests[0] == digests[1]


def test_differences_are_named_and_counted(run: Run, root: Path, other: Path, store: Store) -> None:
    """What is missing on either side, and what has other content; exit code 1."""
    both = [make_event() for _ in range(100)]
    gone = make_event(at="2018-01-01T00:00:00.000000000Z")
    new = make_event(at="2019-01-01T00:00:00.000000000Z")
    first = as_sent('{"n": 1.0}', at="2016-01-01T00:00:00.000000000Z")
    store([*both, gone, first])
    put(other, [*both, new, replaced(first, "1.0", "1.00")])
    result = run("compare", "--from", "file:", "--to", f"file://{other}", "--root", root)
    assert result.exit_code == 1
    assert result.stdout.splitlines()[:3] == [
        f"{first.uuid}: content",
        f"{gone.uuid}: only in --from",
        f"{new.uuid}: only in --to",
    ]
    digests = re.findall(r"102 events, digest (\w+)", result.stdout)
    assert len(set(digests)) == 2
    assert result.stderr == "Error: they differ: 1 only in --from, 1 only in --to, 1 with other content\n"


@pytest.mark.parametrize(("mine", "theirs"), [(1500, 0), (0, 1500)])
def test_the_first_of_many_differences_are_named(
    run: Run, root: Path, other: Path, store: Store, mine: int, theirs: int
) -> None:
    """Twenty, in the order of lists; the others are counted."""
    both = make_event(at="2000-01-01T00:00:00.000000000Z")
    more = [make_event() for _ in range(1500)]
    store([both, *more[:mine]])
    put(other, [both, *more[:theirs]])
    result = run("compare", "--from", "file:", "--to", f"file://{other}", "--root", root)
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert [line[:36] for line in lines[:20]] == sorted(event.uuid for event in more)[:20]
    assert lines[20] == "... and 1480 more"
    assert f"{mine} only in --from, {theirs} only in --to, 0 with other content" in result.stderr


def test_the_other_store_may_have_more_where_that_is_allowed(run: Run, root: Path, other: Path, store: Store) -> None:
    """But not less, and not other content."""
    both, changed = [make_event() for _ in range(10)], as_sent('{"n": 1}')
    store(both)
    put(other, [*both, make_event(), changed])
    compare = ("compare", "--allow-more", "--from", "file:", "--to", f"file://{other}", "--root", root)
    result = run(*compare)
    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1] == "All of --from is in --to, which has 2 more."
    missing = make_event()
    store([missing])
    assert "1 only in --from, 2 only in --to, 0 with other content" in run(*compare).stderr
    put(other, [missing])
    store([replaced(changed, '{"n": 1}', '{"n": 2}')])
    assert "0 only in --from, 1 only in --to, 1 with other content" in run(*compare).stderr


def test_an_event_of_another_time_counts_on_both_sides(run: Run, root: Path, other: Path, store: Store) -> None:
    """It stands at two places."""
    event = make_event()
    store([event])
    put(other, [make_event(event.uuid, at="2018-01-01T00:00:00.000000000Z")])
    result = run("compare", "--from", "file:", "--to", f"file://{other}", "--root", root)
    assert result.stderr == "Error: they differ: 1 only in --from, 1 only in --to, 0 with other content\n"


def test_both_may_be_in_use(run: Run, root: Path, other: Path, store: Store) -> None:
    """They are only read."""
    event = make_event()
    store([event])
    put(other, [event])
    before = sorted((path, path.stat().st_mtime_ns) for path in root.parent.rglob("*") if path.name != "lock")
    with DirectoryLock(root, "pid 1 at http://127.0.0.1:1"), DirectoryLock(other, "pid 2 at http://127.0.0.1:2"):
        assert run("compare", "--from", "file:", "--to", f"file://{other}", "--root", root).exit_code == 0
    assert [entry for entry in before if entry[0].is_file()] == sorted(
        (path, path.stat().st_mtime_ns) for path in root.parent.rglob("*") if path.is_file() and path.name != "lock"
    )


@pytest.mark.parametrize("which", ["--from", "--to"])
def test_a_misspelt_directory_is_wrong_usage(run: Run, root: Path, store: Store, which: str) -> None:
    """Not an empty store."""
    store([make_event()])
    urls = {"--from": "file:", "--to": "file:", which: "file:///nowhere/at/all"}
    result = run("compare", "--from", urls["--from"], "--to", urls["--to"], "--root", root)
    assert result.exit_code == 2
    assert "/nowhere/at/all is no data directory" in result.stderr


MESSAGES = (
    "{}",
    "[]",
    '{"a": {}}',
    '{"a": []}',
    '{"a": null}',
    '{"a": 1}',
    '{"a": "1"}',
    '{"a": ["1"]}',
    '{"a": [1]}',
    '{"a": 1.0}',
    '{"a": true}',
    '{"a": "true"}',
    '{"a": "True"}',
    '{"a": "é"}',
    '{"a": "\\u00e9"}',
    '{"a": "\\\\u00e9"}',
    '{"a": [["b", 1]]}',
    '{"a": {"b": 1}}',
    '{"a": 1, "b": 2}',
    '{"b": 2, "a": 1}',
    '{"a": "\'"}',
    '{"a": "\\""}',
    '{"a": 1E+400}',
    '{"a": 123456789012345678901234567890}',
    '{"a": 0}',
    '{"a": -0}',
    f'{{"a": 1{"0" * 5000}}}',
)


@pytest.mark.parametrize("first", MESSAGES)
def test_a_digest_is_equal_where_the_content_is(first: str) -> None:
    """And nowhere else."""
    one = original_of(as_sent(first, "83927d00-f46c-11e6-9f9b-3c15c2cc8f88").record)
    for second in MESSAGES:
        two = original_of(as_sent(second, "83927D00-F46C-11E6-9F9B-3C15C2CC8F88").record)
        assert (digest_content(one) == digest_content(two)) is same_content(one, two), second


@pytest.mark.parametrize("key", ["smrtlinkId", "smrtLinkId"])
def test_a_digest_is_that_of_the_system_however_it_is_spelt(key: str) -> None:
    """Key and case don't count; another system, or the same text under another key, does."""
    event = as_sent("{}", smrtlink_id="2319db24-f46e-11e6-a35c-3c15c2cc8f88")
    original = original_of(event.record)
    respelt_key = original.replace(b'"smrtlinkId"', f'"{key}"'.encode())
    quoted = f'"{key}"'.encode()
    upper = respelt_key.replace(b"2319db24-f46e", b"2319DB24-F46E")
    other = respelt_key.replace(b"2319db24", b"2319db25")
    elsewhere = respelt_key.replace(quoted, b'"x"').replace(b"{", b'{%b:"%b",' % (quoted, b"z" * 36), 1)
    assert digest_content(upper) == digest_content(original)
    assert digest_content(other) != digest_content(original) != digest_content(elsewhere)


def test_a_digest_is_of_all_events_in_any_order() -> None:
    """Not of some, and not of the last one."""
    events = [original_of(as_sent(f'{{"n": {n}}}').record) for n in range(3)]

    def digest(*chosen: bytes) -> str:
        made = ContentDigest()
        for event in chosen:
            made.add(event)
        return str(made)

    one, two, three = events
    assert digest(one, two, three) == digest(three, one, two) == digest(two, three, one)
    different = [(), (one,), (two,), (one, two), (one, one), (two, three), (one, two, three)]
    assert len({digest(*each) for each in different}) == len(different)
