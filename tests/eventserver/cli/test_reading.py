"""The commands that read the store: events, export, verify. All of them work beside a running server."""

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from backends.base import Event
from backends.filesystem.index import Index
from backends.lock import DirectoryLock
from backends.record import original_of
from tests.support.command_line import Run, Store
from tests.support.events import OTHER_SYSTEM, as_sent, make_event, new_uuid


@pytest.fixture
def events(store: Store) -> list[Event]:
    """Three events, oldest createdAt first; stored in another order, of two systems and two types."""
    second = make_event(at="2018-01-01T00:00:00.000000000Z", message={"n": 2})
    first = as_sent('{"n": 1.10e+0}', at="2017-01-01T00:00:00.000000000Z", event_type_id="eula_signed")
    third = make_event(at="2019-01-01T00:00:00.000000000Z", smrtlink_id=OTHER_SYSTEM)
    store([second, first, third])
    return [first, second, third]


def uuids(output: str) -> list[str]:
    """Return the uuids of NDJSON."""
    return [json.loads(line)["uuid"] for line in output.splitlines()]


def test_get_prints_the_event_as_it_was_sent(run: Run, root: Path, events: list[Event]) -> None:
    """Token for token, and whatever the case of the uuid that is asked for."""
    result = run("events", "get", events[0].uuid.upper(), "--root", root)
    assert result.stdout_bytes == original_of(events[0].record) + b"\n"
    assert b"1.10e+0" in result.stdout_bytes


def test_get_prints_the_record_when_asked(run: Run, root: Path, events: list[Event]) -> None:
    """With @at, @received and @crc."""
    assert run("events", "get", events[0].uuid, "--record", "--root", root).stdout_bytes == events[0].record + b"\n"


def test_get_of_an_unknown_event_fails(run: Run, root: Path, events: list[Event]) -> None:
    """Exit code 1, nothing on standard output."""
    uuid = new_uuid()
    result = run("events", "get", uuid, "--root", root)
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", f"Error: there is no event {uuid}\n")


def test_get_of_no_uuid_is_wrong_usage(run: Run, root: Path) -> None:
    """Exit code 2."""
    result = run("events", "get", "83927d00", "--root", root)
    assert result.exit_code == 2
    assert "is no uuid, such as" in result.stderr


def test_list_prints_each_event_as_it_was_sent(run: Run, root: Path, events: list[Event]) -> None:
    """One a line, in the order of createdAt, where the output is no terminal."""
    lines = run("events", "list", "--root", root).stdout_bytes.splitlines()
    assert lines == [original_of(event.record) for event in events]


def test_list_is_a_table_on_a_terminal(
    run: Run, root: Path, events: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row for each event; what a sender wrote can't steer the terminal."""
    monkeypatch.setattr("eventserver.cli.events.sys", SimpleNamespace(stdout=SimpleNamespace(isatty=lambda: True)))
    monkeypatch.setenv("COLUMNS", "200")
    output = run("events", "list", "--root", root).stdout
    assert "createdAt" in output
    for event in events:
        [row] = [line for line in output.splitlines() if event.uuid in line]
        assert f"{event.event_type_id}/{event.event_type_version}" in row


def test_list_says_when_there_are_more(run: Run, root: Path, events: list[Event]) -> None:
    """On standard error."""
    result = run("events", "list", "--limit", 2, "--root", root)
    assert len(result.stdout.splitlines()) == 2
    assert "more than 2" in result.stderr
    assert run("events", "list", "--limit", 3, "--root", root).stderr == ""


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ((), [0, 1, 2]),
        (("--order", "desc"), [2, 1, 0]),
        (("--system", OTHER_SYSTEM.upper()), [2]),
        (("--type", "eula_signed"), [0]),
        (("--type", "eula_signed", "--type-version", 2), []),
        (("--from", "2018-01-01T00:00:00Z"), [1, 2]),
        (("--to", "2018-01-01T00:00:00Z"), [0]),
        (("--from", "2018-01-01T01:00:00+01:00", "--to", "2018-01-01T00:00:00.000000001Z"), [1]),
    ],
)
def test_export_has_the_filters_of_the_api(
    run: Run, root: Path, events: list[Event], filters: tuple[object, ...], expected: list[int]
) -> None:
    """``from`` is inclusive, ``to`` exclusive, both are instants."""
    result = run("export", *filters, "--root", root)
    assert uuids(result.stdout) == [events[number].uuid for number in expected]


def test_export_writes_events_as_they_were_sent(run: Run, root: Path, events: list[Event]) -> None:
    """One a line; with --records the whole record."""
    originals = b"".join(original_of(event.record) + b"\n" for event in events)
    assert run("export", "--root", root).stdout_bytes == originals
    records = b"".join(event.record + b"\n" for event in events)
    assert run("export", "--records", "--root", root).stdout_bytes == records


def test_export_to_a_file_replaces_it_when_it_is_whole(
    run: Run, root: Path, tmp_path: Path, events: list[Event]
) -> None:
    """And leaves nothing else behind."""
    output = tmp_path / "out" / "events.ndjson"
    output.parent.mkdir()
    output.write_text("old")
    result = run("export", "-o", output, "--root", root)
    assert result.stderr == f"3 events written to {output}\n"
    assert uuids(output.read_text()) == [event.uuid for event in events]
    assert list(output.parent.iterdir()) == [output]


def test_export_to_a_place_that_cannot_be_written_fails(
    run: Run, root: Path, tmp_path: Path, events: list[Event]
) -> None:
    """One line that names it."""
    result = run("export", "-o", tmp_path / "missing" / "file", "--root", root)
    assert result.exit_code == 1
    assert result.stderr == f"Error: {tmp_path / 'missing' / 'file'} can't be written: No such file or directory\n"


def test_export_of_many_pages_has_each_event_once(run: Run, root: Path, store: Store) -> None:
    """More than one page of a thousand, with one createdAt for all."""
    many = [make_event() for _ in range(2500)]
    store(many)
    assert uuids(run("export", "--root", root).stdout) == sorted(event.uuid for event in many)


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--from", "2018-01-01T00:00:00", "must have an offset"),
        ("--system", "me", "is no uuid"),
        ("--type-version", "1", "--type-version needs --type"),
        ("--order", "up", "asc"),
    ],
)
def test_a_filter_that_means_nothing_is_wrong_usage(run: Run, root: Path, option: str, value: str, words: str) -> None:
    """Exit code 2, and the message says what would be right."""
    result = run("export", option, value, "--root", root)
    assert result.exit_code == 2
    assert words in result.stderr


def test_reading_needs_no_lock(run: Run, root: Path, events: list[Event]) -> None:
    """The directory is a running server's; nothing in it is changed."""
    with DirectoryLock(root, "pid 1 at http://127.0.0.1:1"):
        before = sorted((path, path.stat().st_mtime_ns) for path in root.rglob("*"))
        assert len(run("export", "--root", root).stdout.splitlines()) == 3
        assert run("verify", "--root", root).exit_code == 0
        assert sorted((path, path.stat().st_mtime_ns) for path in root.rglob("*")) == before


def test_verify_says_that_all_is_well(run: Run, root: Path, events: list[Event]) -> None:
    """With the number of events."""
    result = run("verify", "--root", root)
    assert (result.exit_code, result.stdout) == (0, "All is well: 3 events.\n")


def test_verify_of_no_data_directory_is_wrong_usage(run: Run, root: Path) -> None:
    """Not a clean bill of health for a misspelt name."""
    result = run("verify", "--root", root)
    assert result.exit_code == 2
    assert f"{root} is no data directory" in result.stderr


def test_verify_names_a_damaged_record_and_its_place(run: Run, root: Path, events: list[Event]) -> None:
    """Also when it has not been read since it was damaged; the others are counted as whole."""
    (segment,) = root.glob("events/*/*.ndjson")
    content = bytearray(segment.read_bytes())
    content[content.index(b'"n": 1.10') + 5] = ord("9")
    segment.write_bytes(content)
    result = run("verify", "--root", root)
    assert result.exit_code == 1
    offset = len(events[1].record) + 1
    place = f"{segment.relative_to(root)}, byte {offset}, {len(events[0].record)} bytes"
    assert f"log: {place}: the checksum of the record is wrong" in result.stdout
    assert "posted again" in result.stdout
    assert result.stderr == "Error: problems found: 1; whole events: 2\n"


def test_verify_finds_a_missing_file_of_the_log(run: Run, root: Path, store: Store) -> None:
    """A gap in the numbers, and index entries that lead nowhere."""
    for _ in range(3):
        store([make_event()])
    next(root.glob("events/*/00000002.ndjson")).unlink()
    result = run("verify", "--root", root)
    assert result.exit_code == 1
    assert "log: the file 00000002.ndjson is missing" in result.stdout
    assert "at a place where it does not stand" in result.stdout


def test_verify_finds_a_damaged_index(run: Run, root: Path, events: list[Event]) -> None:
    """And says that nothing is lost with it."""
    (file,) = root.glob("index/*.run")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0xFF
    file.write_bytes(content)
    result = run("verify", "--root", root)
    assert result.exit_code == 1
    assert "index: " in result.stdout
    assert "the index is made anew, and nothing is lost" in result.stdout


def test_verify_outlasts_a_merge_of_the_running_server(
    run: Run, root: Path, events: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of the index that is replaced while it is to be read is no damage."""
    verify, vanished = Index.verify, [True]

    def verify_later(index: Index) -> Iterator[str]:
        if vanished:
            vanished.clear()
            raise FileNotFoundError
        return verify(index)

    monkeypatch.setattr(Index, "verify", verify_later)
    assert run("verify", "--root", root).stdout == "All is well: 3 events.\n"
    assert vanished == []
