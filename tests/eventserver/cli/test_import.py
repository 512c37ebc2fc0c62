"""``eventserver import``: the predecessor's tree, through the intake, with and without a running server."""

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from backends.lock import DirectoryLock
from tests.support.command_line import Run
from tests.system.server_process import ServerProcess

SYSTEM = "2319db24-f46e-11e6-a35c-3c15c2cc8f88"
FILE_TIME = datetime.now(UTC) - timedelta(days=3)
RECEIVED = f"{FILE_TIME:%Y-%m-%dT%H:%M:%S.%f}Z"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """The predecessor's data directory, still without events."""
    directory = tmp_path / "eve"
    (directory / "files" / "2017" / "02" / "16").mkdir(parents=True)
    (directory / "files" / "2017" / "02" / "16" / f"{uuid4()}-bundle.tgz").write_bytes(b"\x1f\x8b")
    return directory


def put(tree: Path, text: str | None = None, uuid: str | None = None, **keys: object) -> str:
    """Write an event where the predecessor did, and return its uuid."""
    uuid = uuid or str(uuid4())
    event = {
        "uuid": uuid,
        "eventTypeVersion": 1,
        "eventTypeId": "sl_test_event",
        "createdAt": "2017-02-16T16:36:21.082Z",
        "smrtLinkId": SYSTEM,
        "message": {"n": 1},
        **keys,
    }
    path = tree / SYSTEM / f"{uuid}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(event) if text is None else text)
    nanoseconds = (FILE_TIME - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000
    os.utime(path, ns=(nanoseconds, nanoseconds))
    return uuid


def record(run: Run, root: Path, uuid: str) -> dict[str, object]:
    """Return what is stored of an event."""
    value: dict[str, object] = json.loads(run("events", "get", uuid, "--record", "--root", root).stdout)
    return value


def test_each_file_becomes_an_event_with_the_time_of_the_file(run: Run, root: Path, tree: Path) -> None:
    """As it stands in the file."""
    uuid = put(tree)
    result = run("import", tree, "--root", root)
    assert (result.exit_code, result.stdout, result.stderr) == (0, "1 files: 1 stored\n", "")
    stored = record(run, root, uuid)
    assert stored["@received"] == RECEIVED
    original = (tree / SYSTEM / f"{uuid}.json").read_bytes()
    assert run("events", "get", uuid, "--root", root).stdout_bytes == original + b"\n"


def test_a_second_import_changes_nothing(run: Run, root: Path, tree: Path) -> None:
    """So an import that was interrupted is simply run again, and only what is new is stored."""
    put(tree)
    run("import", tree, "--root", root)
    put(tree)
    result = run("import", tree, "--root", root)
    assert (result.exit_code, result.stdout) == (0, "2 files: 1 duplicate, 1 stored\n")
    assert len(run("export", "--root", root).stdout.splitlines()) == 2


def test_what_is_refused_is_in_quarantine_and_named(run: Run, root: Path, tree: Path) -> None:
    """The others go in; exit code 1."""
    good = put(tree)
    unknown = put(tree, eventTypeId="sl_of_the_past")
    broken = put(tree, text='{"uuid": ')
    result = run("import", tree, "--root", root)
    assert result.exit_code == 1
    assert "3 files: " in result.stdout
    assert f"{tree / SYSTEM / unknown}.json: unknown_event_type: " in result.stderr
    assert f"{tree / SYSTEM / broken}.json: malformed_json: " in result.stderr
    assert result.stderr.splitlines()[-1] == "Error: files not taken: 2"
    assert record(run, root, good)["uuid"] == good
    listed = run("quarantine", "list", "--root", root).stdout
    assert "unknown_event_type" in listed
    assert "malformed_json" in listed


def test_a_file_that_cannot_be_read_is_named(run: Run, root: Path, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And does not keep the others from being imported."""
    bad = put(tree)
    put(tree)
    open_file = Path.open

    def refuse(path: Path, *arguments: object) -> object:
        if path.stem == bad:
            raise PermissionError(13, "Permission denied")
        return open_file(path, *arguments)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", refuse)
    result = run("import", tree, "--root", root)
    assert result.exit_code == 1
    assert f"{bad}.json: unreadable: Permission denied" in result.stderr
    assert "1 stored" in result.stdout


def test_what_is_no_event_of_the_predecessor_is_left_alone(run: Run, root: Path, tree: Path) -> None:
    """Bundles, other files and other directories; the tree is as it was afterwards."""
    put(tree)
    (tree / SYSTEM / "notes.txt").write_text("{}")
    (tree / "other").mkdir()
    (tree / "other" / f"{uuid4()}.json").write_text("{}")
    before = sorted((path, path.stat().st_mtime_ns) for path in tree.rglob("*"))
    assert run("import", tree, "--root", root).stdout == "1 files: 1 stored\n"
    assert sorted((path, path.stat().st_mtime_ns) for path in tree.rglob("*")) == before


def test_a_tree_without_events_is_an_error(run: Run, root: Path, tree: Path) -> None:
    """It is most likely the wrong directory."""
    result = run("import", tree, "--root", root)
    assert result.exit_code == 1
    assert "looked for <smrtLinkId>/<uuid>.json" in result.stderr
    assert not root.exists()


def test_a_directory_that_another_command_owns_is_left_alone(run: Run, root: Path, tree: Path) -> None:
    """Exit code 2, and its owner is named."""
    put(tree)
    with DirectoryLock(root, "pid 1, eventserver quarantine replay"):
        result = run("import", tree, "--root", root)
    assert result.exit_code == 2
    assert "in use by pid 1, eventserver quarantine replay" in result.stderr


def test_beside_a_running_server_it_goes_through_the_server(run: Run, root: Path, tree: Path, tmp_path: Path) -> None:
    """Same verdicts; the server has the events at once."""
    uuids = [put(tree) for _ in range(200)]
    unknown = put(tree, eventTypeId="sl_of_the_past")
    with ServerProcess(root, tmp_path / "server.log") as server:
        result = run("import", tree, "--root", root)
        assert result.exit_code == 1
        assert result.stdout == "201 files: 200 stored, 1 unknown_event_type\n"
        assert f"{unknown}.json: unknown_event_type: " in result.stderr
        assert server.probe(f"/api/v1/events/{uuids[0]}") == 200
        assert run("import", tree, "--root", root).stdout == "201 files: 200 duplicate, 1 unknown_event_type\n"


def test_beside_a_running_server_the_time_of_the_file_is_kept(run: Run, root: Path, tree: Path, tmp_path: Path) -> None:
    """The command tells it in a header that the server takes from operators."""
    uuid = put(tree)
    with ServerProcess(root, tmp_path / "server.log"):
        assert run("import", tree, "--root", root).exit_code == 0
        assert record(run, root, uuid)["@received"] == RECEIVED
