"""``eventserver copy``: from one store to another, once, again, and after it was killed."""

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from backends.base import Event
from backends.disk import Disk
from backends.filesystem import FilesystemStore
from backends.lock import DirectoryLock
from servers.cassandra import Cassandra
from servers.elasticsearch import Elasticsearch
from tests.support.command_line import Run, Store
from tests.support.events import as_sent, make_event, records_of
from tests.system.server_process import ServerProcess, clean_environment

MANY = 12_000


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """Another data directory, that is not there yet."""
    return tmp_path / "other"


def stored(root: Path) -> list[bytes]:
    """Return the records of a data directory, in the order of arrival; a running server may own it."""

    async def read() -> list[bytes]:
        async with FilesystemStore(root, read_only=True) as store:
            return [arrival.event.record async for arrival in store.tail()]

    return asyncio.run(read())


def put(root: Path, events: Sequence[Event]) -> None:
    """Store events, as a server does that then stops."""

    async def store() -> None:
        async with FilesystemStore(root) as target:
            await target.put(events)

    asyncio.run(store())


def state_of(root: Path) -> Path:
    """Return the one state file below a data directory."""
    (path,) = (root / "copies").iterdir()
    return path


@contextmanager
def copying(root: Path, other: Path, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a copy as a process of its own."""
    command = [sys.executable, "-m", "eventserver", "copy", "--from", "file:", "--to", f"file://{other}"]
    process = subprocess.Popen([*command, "--root", str(root), *options], env=clean_environment())
    try:
        yield process
    finally:
        process.kill()
        process.wait(10)


def wait_for(root: Path, count: int, seconds: float = 30) -> None:
    """Wait until a directory has so many events."""
    deadline = time.monotonic() + seconds
    while sum(path.read_bytes().count(b"\n") for path in root.glob("events/*/*.ndjson")) < count:
        assert time.monotonic() < deadline, "it takes too long"
        time.sleep(0.01)


def test_a_copy_has_every_record_as_it_is(run: Run, root: Path, other: Path, store: Store) -> None:
    """Token for token, in the order of arrival, with the moment when it was received."""
    events = [as_sent('{"n": 1.10e+0}'), *(make_event(message={"n": n}) for n in range(3000))]
    store(events)
    result = run("copy", "--from", "file:", "--to", f"file://{other}", "--root", root)
    assert (result.exit_code, result.stdout, result.stderr) == (0, "3001 events: 3001 stored\n", "")
    assert stored(other) == records_of(events)


def test_a_second_copy_has_only_what_is_new_to_do(run: Run, root: Path, other: Path, store: Store) -> None:
    """It goes on where the first one ended."""
    first, second = make_event(), make_event()
    store([first])
    copy = ("copy", "--from", "file:", "--to", f"file://{other}", "--root", root)
    run(*copy)
    assert run(*copy).stdout == "0 events: nothing to do\n"
    store([second])
    assert run(*copy).stdout == "1 events: 1 stored\n"
    assert stored(other) == records_of([first, second])


@pytest.mark.parametrize("content", [None, "", "{}", '{"from": 1}'])
def test_a_lost_state_is_harmless(run: Run, root: Path, other: Path, store: Store, content: str | None) -> None:
    """Nothing is stored twice."""
    events = [make_event(message={"n": n}) for n in range(1500)]
    store(events)
    copy = ("copy", "--from", "file:", "--to", f"file://{other}", "--root", root)
    run(*copy)
    if content is None:
        state_of(root).unlink()
    else:
        state_of(root).write_text(content)
    assert run(*copy).stdout == "1500 events: 1500 duplicate\n"
    assert stored(other) == records_of(events)


def test_a_target_that_lost_its_data_gets_all_of_it_again(
    run: Run, root: Path, other: Path, tmp_path: Path, store: Store
) -> None:
    """Whatever the state says."""
    store([make_event(), make_event()])
    copy = ("copy", "--from", "file:", "--to", f"file://{other}", "--root", root)
    run(*copy)
    other.rename(tmp_path / "gone")
    result = run(*copy)
    assert (result.exit_code, result.stdout) == (0, "2 events: 2 stored\n")
    assert "does not have what was copied before" in result.stderr


def test_a_target_that_lost_its_last_event_gets_all_of_it_again(
    run: Run, root: Path, other: Path, tmp_path: Path, store: Store
) -> None:
    """As after a restore from an older backup."""
    events = [make_event(), make_event()]
    store(events)
    copy = ("copy", "--from", "file:", "--to", f"file://{other}", "--root", root)
    run(*copy)
    other.rename(tmp_path / "gone")
    put(other, events[:1])
    assert run(*copy).stdout == "2 events: 1 duplicate, 1 stored\n"


def test_a_source_that_is_another_is_copied_from_its_first_event(
    run: Run, root: Path, other: Path, tmp_path: Path, store: Store
) -> None:
    """A token of other data means nothing."""
    store([make_event() for _ in range(10)])
    copy = ("copy", "--from", "file:", "--to", f"file://{other}", "--state", tmp_path / "state", "--root", root)
    run(*copy)
    root.rename(tmp_path / "gone")
    store([make_event()])
    result = run(*copy)
    assert (result.exit_code, result.stdout) == (0, "1 events: 1 stored\n")
    assert "another one than at the last copy" in result.stderr


def test_a_state_of_other_stores_is_wrong_usage(
    run: Run, root: Path, other: Path, tmp_path: Path, store: Store
) -> None:
    """Exit code 2; it is left as it is."""
    store([make_event()])
    state = tmp_path / "state"
    run("copy", "--from", "file:", "--to", f"file://{other}", "--state", state, "--root", root)
    before = state.read_bytes()
    result = run("copy", "--from", "file:", "--to", f"file://{tmp_path}/third", "--state", state, "--root", root)
    assert result.exit_code == 2
    assert f"is of a copy from file://{root} to file://{other}" in result.stderr
    assert state.read_bytes() == before


def test_conflicts_are_named_and_stay_as_they_are(run: Run, root: Path, other: Path, store: Store) -> None:
    """Everything else is copied; exit code 1."""
    mine = make_event(message={"n": 1})
    theirs = make_event(mine.uuid, message={"n": 2})
    rest = [make_event() for _ in range(50)]
    put(other, [theirs])
    store([*rest[:25], mine, *rest[25:]])
    result = run("copy", "--from", "file:", "--to", f"file://{other}", "--root", root)
    assert (result.exit_code, result.stdout) == (1, "51 events: 50 stored, 1 conflict\n")
    assert result.stderr.splitlines() == [
        f"{mine.uuid}: conflict: the other store has another event with this uuid",
        "Error: events in conflict, not copied: 1",
    ]
    assert stored(other) == records_of([theirs, *rest])


def test_a_conflict_is_not_forgotten(run: Run, root: Path, other: Path, tmp_path: Path, store: Store) -> None:
    """The next copy goes on behind it, and names it too; until the other store's event is gone."""
    mine = make_event(message={"n": 1})
    put(other, [make_event(mine.uuid, message={"n": 2})])
    store([mine, make_event()])
    copy = ("copy", "--from", "file:", "--to", f"file://{other}", "--root", root)
    run(*copy)
    result = run(*copy)
    assert (result.exit_code, result.stdout) == (1, "1 events: 1 conflict\n")
    assert mine.uuid in result.stderr
    other.rename(tmp_path / "gone")
    assert run(*copy).exit_code == 0
    assert len(stored(other)) == 2


def test_the_first_of_many_conflicts_are_named(run: Run, root: Path, other: Path, store: Store) -> None:
    """Twenty of them, and with over a thousand each copy begins at the first event."""
    mine = [make_event(message={"n": 1}) for _ in range(1500)]
    put(other, [make_event(event.uuid, message={"n": 2}) for event in mine])
    store(mine)
    copy = ("copy", "--from", "file:", "--to", f"file://{other}", "--root", root)
    for _ in range(2):
        result = run(*copy)
        assert (result.exit_code, result.stdout) == (1, "1500 events: 1500 conflict\n")
        assert len(result.stderr.splitlines()) == 22
        assert result.stderr.splitlines()[-1] == "Error: events in conflict, not copied: over 1000"


def test_a_damaged_record_is_told(run: Run, root: Path, other: Path, store: Store) -> None:
    """What is whole is copied; exit code 1."""
    whole = make_event()
    store([as_sent('{"n": 1}'), whole])
    (segment,) = root.glob("events/*/*.ndjson")
    segment.write_bytes(segment.read_bytes().replace(b'"n": 1', b'"n": 2'))
    result = run("copy", "--from", "file:", "--to", f"file://{other}", "--root", root)
    assert result.exit_code == 1
    assert "damaged records, not copied: 1; see `eventserver verify`" in result.stderr
    assert stored(other) == [whole.record]


def test_a_copy_that_was_killed_goes_on(run: Run, root: Path, other: Path, store: Store) -> None:
    """With kill -9, in the middle; nothing is missing and nothing is there twice."""
    events = [make_event(message={"n": n, "padding": "x" * 500}) for n in range(MANY)]
    store(events)
    with copying(root, other) as process:
        wait_for(other, 1000)
        process.kill()
        process.wait(10)
    assert 1000 <= len(stored(other)) < MANY
    result = run("copy", "--from", "file:", "--to", f"file://{other}", "--root", root)
    assert result.exit_code == 0
    assert sorted(stored(other)) == sorted(records_of(events))
    assert run("compare", "--from", "file:", "--to", f"file://{other}", "--root", root).exit_code == 0


def test_a_copy_that_was_stopped_says_so(run: Run, root: Path, other: Path, store: Store) -> None:
    """It ends in order, with exit code 1, and the next one goes on behind what was done."""
    store([make_event(message={"n": n, "padding": "x" * 2000}) for n in range(MANY)])
    with copying(root, other) as process:
        wait_for(other, 1000)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 1
    done = len(stored(other))
    assert done < MANY
    result = run("copy", "--from", "file:", "--to", f"file://{other}", "--root", root)
    assert (result.exit_code, result.stdout) == (0, f"{MANY - done} events: {MANY - done} stored\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_follow_copies_what_arrives_until_it_is_stopped(
    root: Path, other: Path, store: Store, number: signal.Signals
) -> None:
    """Then its exit code is 0, and what was there is in the other store."""
    events = [make_event(message={"n": n}) for n in range(5)]
    store(events[:2])
    with copying(root, other, "--follow") as process:
        wait_for(other, 2)
        store(events[2:])
        wait_for(other, 5)
        process.send_signal(number)
        assert process.wait(20) == 0
    assert stored(other) == records_of(events)


def test_the_source_may_belong_to_a_running_server(root: Path, other: Path, tmp_path: Path, store: Store) -> None:
    """Whose data is only read."""
    event = make_event()
    store([event])
    with ServerProcess(root, tmp_path / "server.log"):
        command = [sys.executable, "-m", "eventserver", "copy", "--from", f"file://{root}", "--to", f"file://{other}"]
        environment = clean_environment(SMRTFLOW_EVENT_ROOT_DIR=str(tmp_path / "own"))
        subprocess.run(command, env=environment, check=True, timeout=60)
        assert stored(other) == [event.record]
    assert sorted(path.name for path in (tmp_path / "own").iterdir()) == ["copies"]


@pytest.mark.parametrize("target", ["file:", "file://{root}"])
def test_a_directory_that_is_written_must_not_be_in_use(
    run: Run, root: Path, other: Path, store: Store, target: str
) -> None:
    """Exit code 2, and its owner is named; also where it is the directory of the settings."""
    put(other, [make_event()])
    with DirectoryLock(root, "pid 1 at http://127.0.0.1:1"):
        to = target.format(root=root)
        result = run("copy", "--from", f"file://{other}", "--to", to, "--state", root.parent / "state", "--root", root)
    assert result.exit_code == 2
    assert "in use by pid 1 at http://127.0.0.1:1" in result.stderr


def test_the_directory_of_the_settings_may_be_the_target(run: Run, root: Path, other: Path) -> None:
    """``file:`` is that one."""
    event = make_event()
    put(other, [event])
    assert run("copy", "--from", f"file://{other}", "--to", "file:", "--root", root).exit_code == 0
    assert stored(root) == [event.record]


@pytest.mark.parametrize(
    ("source", "target", "words"),
    [
        ("file:///nowhere/at/all", "file:", "/nowhere/at/all is no data directory"),
        ("file:", "file://{root}", "are the same store"),
        ("file:", "paper:", "no event store is named 'paper:'"),
        ("file:", "file://host/directory", "should be file: or file:///absolute/directory"),
    ],
)
def test_stores_that_cannot_be_are_wrong_usage(
    run: Run, root: Path, store: Store, source: str, target: str, words: str
) -> None:
    """Exit code 2, and the message says what is wrong."""
    store([make_event()])
    result = run("copy", "--from", source, "--to", target.format(root=root), "--root", root)
    assert result.exit_code == 2
    assert words in result.stderr


@pytest.mark.parametrize("state", ["directory/file/state", "directory/file"])
def test_a_state_that_cannot_be_kept_is_told_before_anything_is_copied(
    run: Run, root: Path, other: Path, tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    """With what to do."""
    store([make_event()])
    (tmp_path / "directory").mkdir()
    (tmp_path / "directory" / "file").write_text("in the way")

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Disk, "replace", refuse)
    result = run("copy", "--from", "file:", "--to", f"file://{other}", "--state", tmp_path / state, "--root", root)
    assert result.exit_code == 1
    assert "name another with --state" in result.stderr
    assert not other.exists()


def test_what_waits_in_a_spool_is_not_copied_in_silence(run: Run, root: Path, other: Path, store: Store) -> None:
    """It is told, with what to do."""
    store([make_event()])
    directory = root / "spool" / "events" / "2026-11-24"
    directory.mkdir(parents=True)
    (directory / "00000001.ndjson").write_bytes(make_event().record + b"\n")
    result = run("copy", "--from", "file:", "--to", f"file://{other}", "--root", root)
    assert "see `eventserver spool drain`" in result.stderr


def test_to_elasticsearch_and_back(
    run: Run, root: Path, other: Path, store: Store, elasticsearch: Elasticsearch, prefix: str
) -> None:
    """Each record is the same afterwards, also of a type that has no schema."""
    url = f"{elasticsearch.url.replace('http', 'elasticsearch')}/{prefix}"
    events = [make_event(message={"n": n}) for n in range(2500)]
    events += [as_sent('{"n": 1.10e+0, "": [1E+400]}', event_type_id="sl_of_the_past")]
    store(events)
    result = run("copy", "--from", "file:", "--to", url, "--root", root)
    assert (result.exit_code, result.stdout) == (0, "2501 events: 2501 stored\n")
    assert run("compare", "--from", "file:", "--to", url, "--root", root).exit_code == 0
    state_of(root).unlink()
    assert run("copy", "--from", "file:", "--to", url, "--root", root).stdout == "2501 events: 2501 duplicate\n"
    assert run("copy", "--from", url, "--to", f"file://{other}", "--root", root).exit_code == 0
    assert sorted(stored(other)) == sorted(records_of(events))
    missing = make_event()
    store([missing])
    result = run("compare", "--from", "file:", "--to", url, "--root", root)
    assert (result.exit_code, result.stdout.splitlines()[0]) == (1, f"{missing.uuid}: only in --from")


@pytest.mark.slow
def test_from_each_store_to_each_other(
    run: Run,
    root: Path,
    other: Path,
    store: Store,
    elasticsearch: Elasticsearch,
    prefix: str,
    cassandra: Cassandra,
    keyspace: str,
) -> None:
    """Through all of them, and through Cassandra a second time: each record is as it was sent."""
    events = [make_event(message={"n": n}) for n in range(1200)]
    events += [as_sent('{"n": 1.10e+0, "": [1E+400]}', event_type_id="sl_of_the_past")]
    store(events)
    on_elasticsearch = f"{elasticsearch.url.replace('http', 'elasticsearch')}/{prefix}"
    first, second = f"{cassandra.url}/{keyspace}", f"{cassandra.url}/{keyspace}_b"
    way = ["file:", first, on_elasticsearch, second, f"file://{other}"]
    try:
        for here, there in pairwise(way):
            result = run("copy", "--from", here, "--to", there, "--root", root)
            assert (result.exit_code, result.stdout) == (0, "1201 events: 1201 stored\n"), there
            assert run("compare", "--from", here, "--to", there, "--root", root).exit_code == 0
        missing = make_event()
        store([missing])
        result = run("compare", "--from", "file:", "--to", first, "--root", root)
        assert (result.exit_code, result.stdout.splitlines()[0]) == (1, f"{missing.uuid}: only in --from")
    finally:
        cassandra.execute(f"DROP KEYSPACE IF EXISTS {keyspace}_b")
    assert sorted(stored(other)) == sorted(records_of(events))
