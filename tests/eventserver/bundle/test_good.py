"""Good archives, as the usual tools write them, are taken and found to hold what was put in."""

import io
import shutil
import subprocess
import tarfile
import zipfile
from hashlib import sha256
from pathlib import Path

import pytest

from eventserver.bundle import Format, Limits, check_listed_files, find_member, inspect, list_members, read_jobs
from eventserver.refusal import Code, Refusal
from support.archives import (
    MANIFEST,
    header,
    manifest,
    member,
    text_of,
    tgz,
    tgz_of,
    with_tarfile,
    zip_info,
    zip_of,
    zipped,
)

LONG = "a/" + "long-name-" * 20 + ".log"
FILES = {MANIFEST: text_of(manifest()), "logs/smrtlink.log": b"all is well\n" * 1000, "ünï漢.txt": b"1\n", LONG: b""}


def content_of(archive: bytes, path: str) -> bytes:
    """Return one member."""
    found = find_member(io.BytesIO(archive), path)
    assert found is not None
    return b"".join(found[1])


@pytest.mark.parametrize("kind", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT], ids=["gnu", "pax"])
def test_tar_of_either_format_is_taken(kind: int) -> None:
    """Names are long, and in all letters."""
    archive = with_tarfile(FILES, kind)
    found = inspect(io.BytesIO(archive))
    assert found.format is Format.TGZ
    assert [(each.path, each.size) for each in found.members] == [(path, len(data)) for path, data in FILES.items()]
    assert found.members[0].modified_at == "2016-11-24T12:02:47Z"
    for path, content in FILES.items():
        assert content_of(archive, path) == content


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED], ids=["stored", "deflated"])
def test_zip_is_taken(method: int) -> None:
    """Whether it is packed or not."""
    archive = zipped(FILES, method=method)
    found = inspect(io.BytesIO(archive))
    assert found.format is Format.ZIP
    assert [(each.path, each.size) for each in found.members] == [(path, len(data)) for path, data in FILES.items()]
    assert found.members[0].modified_at == "2026-11-24T04:02:46Z"
    for path, content in FILES.items():
        assert content_of(archive, path) == content


def test_zip_that_was_streamed_is_taken() -> None:
    """Java's and others' zips tell sizes and checksum behind each member."""

    class Stream(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def seek(self, *_: int) -> int:
            raise io.UnsupportedOperation

    stream = Stream()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in FILES.items():
            archive.writestr(name, content)
    assert len(inspect(io.BytesIO(stream.getvalue())).members) == len(FILES)


@pytest.mark.parametrize("command", ["tar czf - --format={} .", "tar czf - --format={} -- *"])
@pytest.mark.parametrize("kind", ["gnu", "pax", "ustar", "v7"])
def test_what_tar_writes_is_taken(command: str, kind: str, tmp_path: Path) -> None:
    """Also with the directories, and the root itself, as members."""
    for name, content in {MANIFEST: text_of(manifest()), "logs/a.log": b"1"}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    (tmp_path / "logs").chmod(0o2775)
    packed = subprocess.run(command.format(kind), shell=True, cwd=tmp_path, check=True, capture_output=True).stdout
    found = inspect(io.BytesIO(packed))
    assert {(each.path, each.is_directory) for each in found.members} == {
        (MANIFEST, False),
        ("logs", True),
        ("logs/a.log", False),
    }


@pytest.mark.skipif(shutil.which("zip") is None, reason="there is no zip on this machine")
def test_what_zip_writes_is_taken(tmp_path: Path) -> None:
    """With directories, and times in UTC."""
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "a.log").write_bytes(b"1" * 1000)
    (tmp_path / MANIFEST).write_bytes(text_of(manifest()))
    subprocess.run(["zip", "-qr", "b.zip", MANIFEST, "logs"], cwd=tmp_path, check=True)
    with (tmp_path / "b.zip").open("rb") as file:
        assert {each.path for each in inspect(file).members} == {MANIFEST, "logs", "logs/a.log"}


def test_manifest_may_be_anywhere() -> None:
    """The predecessor's archives have it at any place."""
    archive = tgz({"a": b"1", MANIFEST: text_of(manifest()), "b": b"2"})
    assert inspect(io.BytesIO(archive)).fields["bundleTypeId"] == "sl_ts_bundle_failed_install"


def test_manifest_is_given_as_sent() -> None:
    """Its text is kept, token for token, without the space around it."""
    text = b'{"a":1.10, "b":"\\u00fc"}'
    assert inspect(io.BytesIO(tgz({MANIFEST: b"\n " + text + b"\n"}))).manifest == text


def test_padding_of_tar_is_taken() -> None:
    """Tar fills its archives up to 10,240 bytes."""
    inspect(io.BytesIO(tgz_of(member(MANIFEST, text_of(manifest())), end=bytes(10_240 * 8))))


@pytest.mark.parametrize("order", [(MANIFEST, "a"), ("a", MANIFEST)], ids=["manifest first", "manifest last"])
def test_listed_files_agree(order: tuple[str, str]) -> None:
    """Size and digest, in either order, in capital letters too."""
    listed = [{"path": "a", "size": 1, "sha256": sha256(b"1").hexdigest().upper()}, {"path": "a"}]
    contents = {MANIFEST: text_of(manifest(files=listed)), "a": b"1"}
    file = io.BytesIO(tgz({name: contents[name] for name in order}))
    check_listed_files(file, inspect(file))


def test_jobs_are_read() -> None:
    """The file that jobsJson names."""
    file = io.BytesIO(tgz({"j/jobs.json": b'[{"id":1}]'}, jobsJson="j/jobs.json"))
    assert read_jobs(file, inspect(file)) == [{"id": 1}]
    file = io.BytesIO(tgz())
    assert read_jobs(file, inspect(file)) is None


@pytest.mark.parametrize(
    ("files", "code"),
    [
        ({"a": b""}, Code.BUNDLE_FILE_MISSING),
        ({"jobs.json": b""}, Code.BUNDLE_JOBS_INVALID),
        ({"jobs.json": b"{}"}, Code.BUNDLE_JOBS_INVALID),
        ({"jobs.json": b"[" * 100_000}, Code.BUNDLE_JOBS_INVALID),
        ({"jobs.json": b" " * 1001}, Code.BUNDLE_JOBS_INVALID),
    ],
)
def test_jobs_that_are_none_are_refused(files: dict[str, bytes], code: Code) -> None:
    """Missing, not JSON, not an array, nested too deeply, too large."""
    file = io.BytesIO(tgz(files, jobsJson="jobs.json"))
    limits = Limits(jobs_bytes=1000) if files.get("jobs.json") == b" " * 1001 else Limits()
    with pytest.raises(Refusal) as caught:
        read_jobs(file, inspect(file), limits)
    assert caught.value.code is code


def test_members_are_listed_without_their_contents() -> None:
    """Files and directories, in order."""
    archive = tgz_of(header("d", kind=tarfile.DIRTYPE, mode=0o755), member("d/a"), member(MANIFEST, b"{}"))
    assert [each.path for each in list_members(io.BytesIO(archive))] == ["d", "d/a", MANIFEST]


def test_missing_member_is_not_found() -> None:
    """Neither is a directory."""
    archive = zip_of([(zip_info("d/", 0o40755), b""), (zip_info("d/a"), b"")])
    assert find_member(io.BytesIO(archive), "b") is None
    assert find_member(io.BytesIO(archive), "d") is None
