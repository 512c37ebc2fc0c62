"""``eventserver quarantine``: what was refused, seen, tried again, dropped; with and without a running server."""

import asyncio
import json
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from backends.lock import DirectoryLock
from backends.quarantine import Entry, Quarantine, Refused
from eventserver.config import packaged_schemas
from tests.support.command_line import Run
from tests.system.server_process import ServerProcess

RECEIVED = f"{datetime.now(UTC) - timedelta(days=3):%Y-%m-%dT%H:%M:%S.%f}Z"


@pytest.fixture
def schemas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The schemas of this release but for ``sl_new``, which somebody has forgotten."""
    directory = Path(shutil.copytree(packaged_schemas(), tmp_path / "schemas"))
    monkeypatch.setenv("SMRTFLOW_EVENT_SCHEMA_DIR", str(directory))
    return directory


def publish(schemas: Path) -> None:
    """Add the schema that was forgotten."""
    (schemas / "sl_new").mkdir()
    schema = (schemas / "sl_test_event" / "1.json").read_text()
    (schemas / "sl_new" / "1.json").write_text(schema)
    shutil.copy(schemas / "sl_test_event" / "1.examples.json", schemas / "sl_new")


def make_body(**keys: object) -> bytes:
    """Return an event of the type whose schema was forgotten."""
    event = {
        "uuid": str(uuid4()),
        "smrtLinkId": str(uuid4()),
        "createdAt": "2020-02-02T02:02:02Z",
        "eventTypeId": "sl_new",
        "eventTypeVersion": 1,
        "message": {},
    }
    return json.dumps(event | keys).encode()


def keep(root: Path, *bodies: bytes, code: str = "unknown_event_type", event_type_id: str = "sl_new") -> list[str]:
    """Keep bodies as a server does, and return their ids."""

    async def keep_all() -> list[str]:
        async with Quarantine(root / "quarantine") as quarantine:
            refused = [Refused(body, code, "no such type", RECEIVED, "10.0.0.1", event_type_id, 1) for body in bodies]
            return await quarantine.keep_many(refused)

    return asyncio.run(keep_all())


def entries(root: Path) -> list[Entry]:
    """Return what is in quarantine."""

    async def find() -> list[Entry]:
        async with Quarantine(root / "quarantine", read_only=True) as quarantine:
            return (await quarantine.find()).entries

    return asyncio.run(find())


@pytest.fixture(params=["alone", "beside a server"])
def beside(request: pytest.FixtureRequest, root: Path, tmp_path: Path) -> Iterator[Callable[[], None]]:
    """A function that brings the situation about: no server, or one that runs from then on."""
    servers: list[ServerProcess] = []

    def begin() -> None:
        if request.param == "beside a server":
            schema_directory = str(tmp_path / "schemas")
            server = ServerProcess(root, tmp_path / "server.log", SMRTFLOW_EVENT_SCHEMA_DIR=schema_directory)
            servers.append(server.start())

    yield begin
    for server in servers:
        server.kill()


def test_list_counts_by_reason_and_type(run: Run, root: Path) -> None:
    """Most entries first."""
    keep(root, b"{", code="malformed_json", event_type_id="")
    keep(root, b"1", b"2")
    first, second = run("quarantine", "list", "--root", root).stdout.splitlines()
    assert first.split()[:4] == ["unknown_event_type", "sl_new", "2", "entries,"]
    assert second.split()[:4] == ["malformed_json", "-", "1", "entries,"]


def test_list_with_a_condition_shows_the_entries(run: Run, root: Path) -> None:
    """Newest first, as many as asked for; --entries shows all."""
    ids = keep(root, b"1", b"2", b"3")
    keep(root, b"{", code="malformed_json")
    lines = run("quarantine", "list", "--code", "unknown_event_type", "--root", root).stdout.splitlines()
    assert [line.split()[0] for line in lines] == ids[::-1]
    assert all("no such type" in line for line in lines)
    assert len(run("quarantine", "list", "--entries", "--root", root).stdout.splitlines()) == 4
    assert len(run("quarantine", "list", "--entries", "--limit", 2, "--root", root).stdout.splitlines()) == 2


def test_an_empty_quarantine_is_no_error(run: Run, root: Path) -> None:
    """It is said on standard error."""
    result = run("quarantine", "list", "--root", root)
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "The quarantine is empty.\n")


def test_what_a_sender_wrote_cannot_steer_the_terminal(run: Run, root: Path) -> None:
    """Control characters are shown as escapes."""
    keep(root, b"1", event_type_id="\x1b]0;owned\x07\n")
    for arguments in (["list"], ["list", "--entries"]):
        output = run("quarantine", *arguments, "--root", root).stdout
        assert "\x1b" not in output
        assert len(output.splitlines()) == 1


def test_show_prints_the_bytes_as_they_came(run: Run, root: Path) -> None:
    """On standard output; the reason on standard error."""
    (id_,) = keep(root, b"\xff{not json\n")
    result = run("quarantine", "show", id_, "--root", root)
    assert result.stdout_bytes == b"\xff{not json\n"
    assert "detail: no such type" in result.stderr
    assert f"received: {RECEIVED}" in result.stderr


def test_show_of_nothing_fails(run: Run, root: Path) -> None:
    """Exit code 1."""
    result = run("quarantine", "show", "0" * 32, "--root", root)
    assert (result.exit_code, result.stdout) == (1, "")


def test_a_replay_after_the_schema_came_stores_the_event(
    run: Run, root: Path, schemas: Path, beside: Callable[[], None]
) -> None:
    """With the moment of its first arrival; and it is in quarantine no more."""
    body = make_body()
    (id_,) = keep(root, body)
    publish(schemas)
    beside()
    result = run("quarantine", "replay", id_, "--root", root)
    assert (result.exit_code, result.stdout) == (0, "1 replayed: 1 stored\n")
    stored = run("events", "get", json.loads(body)["uuid"], "--record", "--root", root).stdout
    assert json.loads(stored)["@received"] == RECEIVED
    assert entries(root) == []


def test_a_replay_of_many_takes_what_it_can(run: Run, root: Path, schemas: Path, beside: Callable[[], None]) -> None:
    """By condition; what is refused again stays, with its reason of now, and its times."""
    same = make_body()
    other = make_body(uuid=json.loads(same)["uuid"], message={"n": 1})
    keep(root, same, other, make_body(eventTypeVersion=7))
    publish(schemas)
    beside()
    result = run("quarantine", "replay", "--type", "sl_new", "--root", root)
    assert result.exit_code == 1
    assert result.stdout == "3 replayed: 1 stored, 1 event_conflict, 1 unknown_event_type\n"
    assert result.stderr == "Error: not taken: 2\n"
    assert {entry.code for entry in entries(root)} == {"event_conflict", "unknown_event_type"}
    assert {entry.received for entry in entries(root)} == {RECEIVED}


def test_a_replay_may_be_repeated(run: Run, root: Path, schemas: Path, beside: Callable[[], None]) -> None:
    """What is stored already is a duplicate, and done with."""
    body = make_body()
    keep(root, body)
    publish(schemas)
    run("quarantine", "replay", "--all", "--root", root)
    keep(root, body)
    beside()
    assert run("quarantine", "replay", "--all", "--root", root).stdout == "1 replayed: 1 duplicate\n"
    assert run("quarantine", "replay", "--all", "--root", root).stdout == "0 replayed: nothing to do\n"


def test_drop_removes_what_it_is_told_to(run: Run, root: Path, schemas: Path, beside: Callable[[], None]) -> None:
    """By id without a question."""
    ids = keep(root, b"1", b"2")
    beside()
    result = run("quarantine", "drop", ids[0], "--root", root)
    assert (result.exit_code, result.stdout) == (0, "1 dropped\n")
    assert [entry.id for entry in entries(root)] == ids[1:]


def test_drop_of_what_is_not_there_says_so(run: Run, root: Path, schemas: Path, beside: Callable[[], None]) -> None:
    """Exit code 1; the others are dropped."""
    ids = keep(root, b"1")
    beside()
    result = run("quarantine", "drop", "0" * 32, *ids, "--root", root)
    assert (result.exit_code, result.stdout) == (1, "1 dropped\n")


def test_drop_by_condition_asks_first(run: Run, root: Path) -> None:
    """And without an answer drops nothing."""
    keep(root, b"1", b"2")
    result = run("quarantine", "drop", "--code", "unknown_event_type", "--root", root)
    assert result.exit_code == 1
    assert "Drop 2 entries for good?" in result.stderr
    assert len(entries(root)) == 2
    assert run("quarantine", "drop", "--all", "--yes", "--root", root).stdout == "2 dropped\n"


@pytest.mark.parametrize("command", ["replay", "drop"])
@pytest.mark.parametrize("selection", [[], ["--all", "--code", "x"], ["0" * 32, "--all"]])
def test_a_change_needs_one_clear_selection(run: Run, root: Path, command: str, selection: list[str]) -> None:
    """Exit code 2."""
    result = run("quarantine", command, *selection, "--root", root)
    assert result.exit_code == 2
    assert "give either IDs, or conditions" in result.stderr


def test_a_directory_that_another_command_owns_is_left_alone(run: Run, root: Path) -> None:
    """Exit code 2, and its owner is named; reading is possible all the same."""
    (id_,) = keep(root, b"1")
    with DirectoryLock(root, "pid 1, eventserver import"):
        for command in ("replay", "drop"):
            result = run("quarantine", command, id_, "--root", root)
            assert result.exit_code == 2
            assert "in use by pid 1, eventserver import" in result.stderr
        assert run("quarantine", "show", id_, "--root", root).exit_code == 0
