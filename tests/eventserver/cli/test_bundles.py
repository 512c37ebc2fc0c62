"""``eventserver bundle``, ``upload`` and ``files``: from a directory to a real server, and back."""

import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from support.archives import MANIFEST, SYSTEM, manifest, tgz, zipped
from tests.support.command_line import Run
from tests.system.server_process import ServerProcess

LOGS = {"logs/b.log": b"second\n", "logs/a.log": b"first\n" * 1000, "empty": b"", "jobs/é.json": b"[]"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Serve an empty directory."""
    folder = tmp_path_factory.mktemp("bundles")
    with ServerProcess(folder / "root", folder / "server.log") as process:
        yield process


@pytest.fixture
def url(server: ServerProcess) -> str:
    """Where it answers."""
    return f"http://127.0.0.1:{server.port}"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Return a directory with logs, and what is no file."""
    directory = tmp_path / "installation"
    for name, content in LOGS.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (directory / "link").symlink_to("/etc/passwd")
    (directory / "logs" / "up").symlink_to(directory)
    return directory


def pack(run: Run, directory: Path, *more: object, kind: str = "sl_ts_bundle_failed_install") -> Result:
    """Make a bundle."""
    return run("bundle", directory, "--type", kind, "--system", SYSTEM, *more)


def contents_of(path: Path) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Return manifest and files of a bundle, as any tool reads them."""
    with tarfile.open(path) as archive:
        files = {member.name: archive.extractfile(member) for member in archive.getmembers()}
        found = {name: file.read() for name, file in files.items() if file is not None}
    return json.loads(found.pop(MANIFEST)), found


def test_a_bundle_lists_its_files(run: Run, directory: Path, tmp_path: Path) -> None:
    """It has all files, a manifest that lists them, and nothing that a server would refuse."""
    target = tmp_path / "a.tgz"
    result = pack(run, directory, "--output", target, "--user", "mkocher", "--comment", "it stopped")
    assert (result.exit_code, result.stdout) == (0, f"{target}\n")
    assert {line.rpartition(" ")[2] for line in result.stderr.splitlines()} == {"link", "logs/up"}
    said, found = contents_of(target)
    assert found == LOGS
    assert {file["path"]: file["size"] for file in said["files"]} == {name: len(LOGS[name]) for name in LOGS}
    assert (said["bundleTypeId"], said["bundleTypeVersion"], said["smrtLinkSystemId"], said["user"]) == (
        "sl_ts_bundle_failed_install",
        1,
        SYSTEM,
        "mkocher",
    )


def test_a_bundle_that_would_be_refused_is_not_left_behind(run: Run, directory: Path, tmp_path: Path) -> None:
    """The type needs fields that nobody gave; with them it is made."""
    result = pack(run, directory, "--output", tmp_path / "job.tgz", kind="sl_ts_bundle_job")
    assert result.exit_code == 1
    assert "schema_violation" in result.stderr
    assert list(tmp_path.glob("job*")) == []
    fields = ("--field", "jobId=7", "--field", 'jobTypeId="pbsmrtpipe"')
    result = pack(run, directory, "--output", tmp_path / "job.tgz", *fields, kind="sl_ts_bundle_job")
    assert result.exit_code == 0
    assert contents_of(tmp_path / "job.tgz")[0]["jobId"] == 7


@pytest.mark.parametrize("text", ["jobId", "jobId=", "=7", "jobId={"])
def test_a_field_that_is_no_json_is_refused(run: Run, directory: Path, text: str) -> None:
    """With an example."""
    result = pack(run, directory, "--field", text)
    assert result.exit_code == 2
    assert "jobId=7" in result.stderr


def test_from_a_directory_to_a_server_and_back(run: Run, directory: Path, tmp_path: Path, url: str) -> None:
    """Made, sent twice, listed, looked into and got again."""
    target = tmp_path / "a.tgz"
    pack(run, directory, "--output", target)
    sent, again = (run("upload", target, "--url", url) for _ in range(2))
    assert (sent.exit_code, again.exit_code) == (0, 0)
    assert sent.stdout == again.stdout
    assert (sent.stderr.split()[-1], again.stderr.split()[-1]) == ("stored", "duplicate")
    event = json.loads(sent.stdout)
    listed = [json.loads(line) for line in run("files", "list", "--url", url, "--system", SYSTEM).stdout.splitlines()]
    assert event in listed
    shown = [json.loads(line) for line in run("files", "show", event["uuid"], "--url", url).stdout.splitlines()]
    assert {member["path"]: member["size"] for member in shown if member["path"] != MANIFEST} == {
        name: len(content) for name, content in LOGS.items()
    }
    for name, content in LOGS.items():
        assert run("files", "get", event["uuid"], name, "--url", url).stdout_bytes == content
    copy = tmp_path / "copy.tgz"
    assert run("files", "get", event["uuid"], "--url", url, "--output", copy).exit_code == 0
    assert copy.read_bytes() == target.read_bytes()


def test_the_newest_are_listed_first(run: Run, tmp_path: Path, url: str) -> None:
    """Over all types, and no more than asked for; filters are those of events."""
    system = "11111111-1111-4111-8111-111111111111"
    sent = [("failed_install", tgz), ("system_status", zipped), ("failed_install", tgz)]
    for number, (kind, make) in enumerate(sent):
        file = tmp_path / f"{number}.bin"
        created = f"2026-11-2{number}T04:02:47.463-08:00"
        fields = {"bundleTypeId": f"sl_ts_bundle_{kind}", "createdAt": created, "smrtLinkSystemId": system}
        file.write_bytes(make(**fields))
        assert run("upload", file, "--url", url).exit_code == 0

    def days(*options: object) -> list[str]:
        result = run("files", "list", "--url", url, "--system", system, *options)
        return [json.loads(line)["createdAt"][:10] for line in result.stdout.splitlines()]

    assert days() == ["2026-11-22", "2026-11-21", "2026-11-20"]
    assert days("--limit", 2) == ["2026-11-22", "2026-11-21"]
    assert days("--to", "2026-11-21T00:00:00Z") == ["2026-11-20"]


def test_what_a_server_would_refuse_is_said_and_not_sent(run: Run, tmp_path: Path, server: ServerProcess) -> None:
    """A server gets no request; without the look here it says the same."""
    bad = tmp_path / "bad.tgz"
    bad.write_bytes(tgz({MANIFEST: json.dumps(manifest(bundleTypeId="sl_ts_never_heard_of")).encode()}))
    nowhere = run("upload", bad, "--url", "http://127.0.0.1:9")
    assert nowhere.exit_code == 1
    assert "would be refused" in nowhere.stderr
    assert "unknown_event_type" in nowhere.stderr
    asked = run("upload", bad, "--no-check", "--url", f"http://127.0.0.1:{server.port}")
    assert asked.exit_code == 1
    assert "unknown_event_type" in asked.stderr


def test_a_dry_run_sends_nothing(run: Run, tmp_path: Path) -> None:
    """It only says that the archive would be taken."""
    good = tmp_path / "good.tgz"
    good.write_bytes(tgz())
    result = run("upload", good, "--dry-run", "--url", "http://127.0.0.1:9")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "would be taken" in result.stderr


def test_too_large_an_archive_is_not_sent(run: Run, tmp_path: Path) -> None:
    """The limit is the settings'."""
    large = tmp_path / "large.tgz"
    large.write_bytes(b"\x1f\x8b" + bytes(8 * 1024 * 1024))
    result = run("upload", large, "--url", "http://127.0.0.1:9")
    assert result.exit_code == 1
    assert "takes less than 8388608" in result.stderr


def test_what_is_not_there_is_said_and_nothing_is_written(run: Run, tmp_path: Path, url: str) -> None:
    """Neither an unknown bundle, nor an unknown file in one, leaves an empty file behind."""
    target = tmp_path / "out"
    unknown = "83927d00-f46c-11e6-9f9b-3c15c2cc8f88"
    for arguments in (("show", unknown), ("get", unknown, "--output", target)):
        result = run("files", *arguments, "--url", url)
        assert result.exit_code == 1
        assert "not_found" in result.stderr
    file = tmp_path / "a.tgz"
    file.write_bytes(tgz(comment="another"))
    uuid = json.loads(run("upload", file, "--url", url).stdout)["uuid"]
    assert run("files", "get", uuid, "none/such", "--output", target, "--url", url).exit_code == 1
    assert not target.exists()


def test_a_pack_has_what_any_tool_reads(run: Run, tmp_path: Path) -> None:
    """An empty directory makes a bundle of its manifest alone."""
    empty = tmp_path / "empty"
    empty.mkdir()
    target = tmp_path / "a.tgz"
    assert pack(run, empty, "--output", target).exit_code == 0
    with tarfile.open(fileobj=io.BytesIO(target.read_bytes())) as archive:
        assert archive.getnames() == [MANIFEST]
