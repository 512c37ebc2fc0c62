"""Bundles over HTTP: taken, given back, looked into."""

import asyncio
import io
import json
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_OID, UUID, uuid5

import pytest
from aiohttp.test_utils import TestClient

from support.archives import MANIFEST, SYSTEM, manifest, text_of, tgz, zipped
from support.hostile_archives import CASES, LISTED_CASES
from support.uploads import FORM, body, form, part

PATH = "/api/v1/files"


async def upload(client: TestClient, archive: bytes, **options: str) -> tuple[int, Any]:
    """Upload an archive; return status and body."""
    async with client.post(PATH, data=form(archive, **options)) as answer:
        return answer.status, await answer.json(content_type=None)


def files_in(root: Path) -> list[str]:
    """Return the archives, the marks and the parts, relative to the root."""
    return sorted(file.relative_to(root).as_posix() for file in (root / "files").rglob("*") if file.is_file())


@pytest.mark.parametrize(("make", "name"), [(tgz, "example.tgz"), (zipped, "example.zip")])
async def test_bundle_is_taken(client: TestClient, tmp_path: Path, make: Any, name: str) -> None:
    """It becomes an event that names it, as installed clients decode it; both are there."""
    archive = make()
    async with client.post(PATH, data=form(archive, name=name)) as answer:
        assert answer.status == 201
        event = await answer.json()
        assert answer.headers["Location"] == f"{PATH}/{event['uuid']}"
        assert answer.headers["Event-Status"] == "stored"
        assert answer.content_type == "application/json"
    path = event["message"]["uploadedBundlePath"]
    assert event == {
        "uuid": str(uuid5(NAMESPACE_OID, sha256(archive).hexdigest())),
        "smrtLinkId": SYSTEM,
        "createdAt": "2026-11-24T04:02:47.463-08:00",
        "eventTypeId": "sl_ts_bundle_failed_install",
        "eventTypeVersion": 1,
        "dnsName": "smrtlink.lab.example",
        "message": {**manifest(), "uploadedBundlePath": path},
    }
    assert UUID(event["uuid"]).version == 5
    assert path.endswith(f"/{event['uuid']}-{name}")
    assert (tmp_path / path).read_bytes() == archive
    assert files_in(tmp_path) == [path]
    async with client.get(f"/api/v1/events/{event['uuid']}") as answer:
        assert await answer.json() == event


@pytest.mark.parametrize("field", ["techsupport_tgz", "techsupport_zip", "file"])
async def test_format_is_told_by_content(client: TestClient, field: str) -> None:
    """Neither the field nor the name says it."""
    assert (await upload(client, zipped(), field=field, name="a.tgz"))[0] == 201
    assert (await upload(client, tgz(), field=field, name="a.zip"))[0] == 201


async def test_same_archive_again_is_the_first_event(client: TestClient, tmp_path: Path) -> None:
    """Also under another name; it is kept once."""
    archive = tgz()
    first = await upload(client, archive)
    again = await upload(client, archive, name="other.tgz")
    assert (first[0], again[0]) == (201, 200)
    assert first[1] == again[1]
    assert files_in(tmp_path) == [first[1]["message"]["uploadedBundlePath"]]


async def test_uploads_of_one_archive_race(client: TestClient, tmp_path: Path) -> None:
    """One is 201, the others are 200 with its event."""
    archive = tgz()
    answers = await asyncio.gather(*(upload(client, archive, name=f"{number}.tgz") for number in range(20)))
    assert sorted(status for status, _ in answers) == [200] * 19 + [201]
    assert len({json.dumps(event) for _, event in answers}) == 1
    assert files_in(tmp_path) == [answers[0][1]["message"]["uploadedBundlePath"]]


async def test_missing_archive_is_healed_by_the_next_upload(client: TestClient, tmp_path: Path) -> None:
    """Meanwhile it is gone, and its event is not."""
    archive = tgz()
    _, event = await upload(client, archive)
    path = tmp_path / event["message"]["uploadedBundlePath"]
    path.unlink()
    async with client.get(f"{PATH}/{event['uuid']}") as answer:
        assert (answer.status, (await answer.json(content_type=None))["code"]) == (410, "gone")
    assert await upload(client, archive, name="other.tgz") == (200, event)
    assert path.read_bytes() == archive


@pytest.mark.parametrize("name", CASES | LISTED_CASES)
async def test_hostile_archive_is_refused(client: TestClient, tmp_path: Path, name: str) -> None:
    """With its code and 422; nothing is left, and the server goes on."""
    make, code = (CASES | LISTED_CASES)[name]
    status, problem = await upload(client, make())
    assert (status, problem["code"]) == (422, code)
    assert files_in(tmp_path) == []
    assert (await upload(client, tgz()))[0] == 201


@pytest.mark.parametrize(
    ("disposition", "kept"),
    [
        (b'form-data; filename="x.tgz"; name="techsupport_tgz"', "x.tgz"),
        (b'form-data; filename="\xfcn\xef".tgz"; name="techsupport_tgz"', "_n_"),
        ('form-data; name="techsupport_tgz"; filename="ünï漢.tgz"'.encode(), None),
        (b'form-data; name="techsupport_tgz"; filename="../../../etc/passwd"', "passwd"),
        (b'form-data; name="techsupport_tgz"; filename="C:\\\\a\\\\b.tgz"', "b.tgz"),
        (b'form-data; name="techsupport_tgz"; filename=""', "bundle"),
        (b'form-data; name="techsupport_tgz"', "bundle"),
        (b'form-data; name="techsupport_tgz"; filename="' + b"x" * 3000 + b'.tgz"', "x" * 96 + ".tgz"),
    ],
)
async def test_file_names_as_they_come(client: TestClient, disposition: bytes, kept: str | None) -> None:
    """Whatever installed clients, and others, make of them."""
    async with client.post(PATH, data=body(part(tgz(), disposition)), headers=FORM) as answer:
        assert answer.status == 201
        path = (await answer.json())["message"]["uploadedBundlePath"]
    assert kept is None or path[len("files/2026/11/24/") + 37 :] == kept


GOOD = part(tgz())


@pytest.mark.parametrize(
    ("content", "headers", "status", "code"),
    [
        (body(GOOD, GOOD), FORM, 400, "invalid_upload"),
        (body(), FORM, 400, "invalid_upload"),
        (b"", FORM, 400, "invalid_upload"),
        (GOOD, FORM, 400, "invalid_upload"),
        (body(GOOD)[:-200], FORM, 400, "invalid_upload"),
        (body(part(b"x", b'form-data; name="other"; filename="a"')), FORM, 400, "invalid_upload"),
        (body(part(b"x", b'form-data; name="comment"')), FORM, 400, "invalid_upload"),
        (body(part(b"x", b"form-data")), FORM, 400, "invalid_upload"),
        (body(*[part(b"x", b'form-data; name="comment"')] * 20), FORM, 400, "invalid_upload"),
        (b"--xyzzy\r\n" + b"a" * 60_000, FORM, 400, "invalid_upload"),
        (body(GOOD), {"Content-Type": "multipart/form-data"}, 400, "invalid_upload"),
        (body(GOOD), {"Content-Type": "multipart/form-data; boundary=" + "x" * 100}, 400, "invalid_upload"),
        (tgz(), {"Content-Type": "application/gzip"}, 415, "unsupported_media_type"),
        (body(part(b"")), FORM, 422, "bundle_empty"),
    ],
)
async def test_what_is_no_upload_is_refused(
    client: TestClient, tmp_path: Path, content: bytes, headers: dict[str, str], status: int, code: str
) -> None:
    """More than one file, none, one that breaks off, an empty part as of a file that has vanished."""
    async with client.post(PATH, data=content, headers=headers) as answer:
        assert (answer.status, (await answer.json(content_type=None))["code"]) == (status, code)
    assert files_in(tmp_path) == []


async def test_other_fields_are_passed_over(client: TestClient) -> None:
    """A comment in the form, or bytes behind its end, do no harm."""
    content = body(part(b"hello", b'form-data; name="comment"'), GOOD) + b"epilogue"
    async with client.post(PATH, data=content, headers=FORM) as answer:
        assert answer.status == 201


@pytest.mark.parametrize("chunked", [False, True])
async def test_limit_is_of_the_archive(client: TestClient, tmp_path: Path, chunked: bool) -> None:  # noqa: FBT001
    """8,388,607 bytes are looked at, 8,388,608 are not, also where no length is declared."""

    async def send(length: int) -> tuple[int, str]:
        content = body(part(bytes(length)))

        async def pieces() -> AsyncIterator[bytes]:
            for start in range(0, len(content), 100_000):
                yield content[start : start + 100_000]

        async with client.post(PATH, data=pieces() if chunked else io.BytesIO(content), headers=FORM) as answer:
            return answer.status, (await answer.json(content_type=None))["code"]

    assert await send(8_388_607) == (422, "bundle_unknown_format")
    assert await send(8_388_608) == (413, "payload_too_large")
    assert await send(9_000_000) == (413, "payload_too_large")
    assert files_in(tmp_path) == []


async def test_archive_is_given_back_whole_and_in_parts(client: TestClient) -> None:
    """With a tag, and ranges of RFC 9110."""
    archive = tgz({"noise": sha256(b"x").digest() * 100})
    _, event = await upload(client, archive)
    url = f"{PATH}/{event['uuid']}"
    async with client.get(url) as answer:
        assert await answer.read() == archive
        assert answer.headers["Content-Type"] == "application/gzip"
        assert answer.headers["Content-Disposition"].startswith('attachment; filename="example.tgz"')
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        tag = answer.headers["ETag"]
    size = len(archive)
    for wanted, part_of, said in (
        ("bytes=0-9", archive[:10], f"bytes 0-9/{size}"),
        ("bytes=10-", archive[10:], f"bytes 10-{size - 1}/{size}"),
        ("bytes=-10", archive[-10:], f"bytes {size - 10}-{size - 1}/{size}"),
        ("bytes=5-999999", archive[5:], f"bytes 5-{size - 1}/{size}"),
        ("bytes=-999999", archive, f"bytes 0-{size - 1}/{size}"),
    ):
        async with client.get(url, headers={"Range": wanted, "If-Range": tag}) as answer:
            assert (answer.status, await answer.read()) == (206, part_of)
            assert answer.headers["Content-Range"] == said
    for ignored in ("bytes=9-0", "bytes=0-1,3-4", "bytes=x-", "lines=0-1", "bytes=-", "bytes=²-"):
        async with client.get(url, headers={"Range": ignored}) as answer:
            assert (answer.status, len(await answer.read())) == (200, size)
    async with client.get(url, headers={"Range": "bytes=0-9", "If-Range": '"other"'}) as answer:
        assert answer.status == 200
    async with client.get(url, headers={"Range": f"bytes={size}-"}) as answer:
        assert (answer.status, answer.headers["Content-Range"]) == (416, f"bytes */{size}")
    async with client.get(url, headers={"If-None-Match": f'"a", W/{tag}'}) as answer:
        assert (answer.status, await answer.read()) == (304, b"")
    async with client.head(url) as answer:
        assert (answer.status, answer.headers["Content-Length"]) == (200, str(size))


@pytest.mark.parametrize("make", [tgz, zipped])
async def test_contents_are_listed_and_given(client: TestClient, make: Any) -> None:
    """Size and time of each; one as text, one as bytes, never as a page."""
    files = {
        "logs/smrtlink.log": "alles grün\n".encode() * 50_000,
        "page.html": b"<script>alert(1)</script>",
        "core": b"\x7fELF\0\xff",
        "ünï 漢.txt": b"",
    }
    _, event = await upload(client, make(files))
    url = f"{PATH}/{event['uuid']}/contents"
    async with client.get(url) as answer:
        listed = await answer.json()
    assert [(each["path"], each["type"], each["size"]) for each in listed][1:] == [
        (path, "file", len(content)) for path, content in files.items()
    ]
    assert all(each["modifiedAt"].startswith("20") for each in listed)
    for path, content in files.items():
        async with client.get(f"{url}/{path}") as answer:
            assert await answer.read() == content
            kind = "application/octet-stream" if path == "core" else "text/plain; charset=utf-8"
            assert answer.headers["Content-Type"] == kind
            assert answer.headers["Content-Disposition"].startswith("attachment; ")
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
    async with client.get(f"{url}/nothing") as answer:
        assert answer.status == 404
    async with client.get(f"{url}/logs%2Fsmrtlink.log") as answer:
        assert answer.status == 200


@pytest.mark.parametrize("path", ["", "/contents", f"/contents/{MANIFEST}"])
async def test_what_is_no_bundle_has_no_archive(client: TestClient, path: str) -> None:
    """Neither an unknown uuid, nor the event that somebody posted with a path of theirs."""
    uuid = "83927d00-f46c-11e6-9f9b-3c15c2cc8f88"
    for wanted, status in ((uuid, 404), ("x", 400)):
        async with client.get(f"{PATH}/{wanted}{path}") as answer:
            assert answer.status == status
    message = {**manifest(), "uploadedBundlePath": "../../../etc/passwd"}
    event = {"uuid": uuid, "smrtLinkId": SYSTEM, "createdAt": "2026-11-24T04:02:47.463Z", "message": message}
    event |= {"eventTypeId": "sl_ts_test_bundle", "eventTypeVersion": 1}
    async with client.post("/api/v1/events", json=event) as answer:
        assert answer.status == 201
    async with client.get(f"{PATH}/{uuid}{path}") as answer:
        assert answer.status == 404


@pytest.mark.parametrize(
    ("created_at", "told"),
    [
        ("2026-11-24T04:02:47-08:00", "2026-11-24T04:02:47.0-08:00"),
        ("2026-11-24t04:02:47.1z", "2026-11-24T04:02:47.1Z"),
        ("2026-11-24T04:02:47.123456789+05:30", "2026-11-24T04:02:47.123456789+05:30"),
    ],
)
async def test_created_at_is_what_installed_clients_decode(client: TestClient, created_at: str, told: str) -> None:
    """With a fraction, and a zone with a colon."""
    status, event = await upload(client, tgz(createdAt=created_at))
    assert (status, event["createdAt"]) == (201, told)


async def test_manifest_stays_as_it_was_written(client: TestClient) -> None:
    """Number for number; without a name of the machine the event has none."""
    text = text_of({**manifest(dnsName=None), "x": 1}).replace(b'"x": 1', b'"x": 1.50E+3')
    async with client.post(PATH, data=form(tgz({MANIFEST: text}))) as answer:
        answered = await answer.read()
    assert b"1.50E+3" in answered
    assert "dnsName" not in {key for key in json.loads(answered) if key != "message"}


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"bundleTypeId": "sl_ts_nothing"}, "unknown_event_type"),
        ({"bundleTypeVersion": 2}, "unknown_event_type"),
        ({"user": 7}, "schema_violation"),
        ({"smrtLinkSystemId": "7"}, "invalid_event"),
        ({"createdAt": "yesterday"}, "invalid_event"),
        ({"bundleTypeId": 7}, "invalid_event"),
    ],
)
async def test_manifest_that_fails_its_schema_is_refused(client: TestClient, fields: dict[str, Any], code: str) -> None:
    """And its archive is in quarantine, whole."""
    archive = tgz(**fields)
    status, problem = await upload(client, archive)
    assert (status, problem["code"]) == (422, code)
    async with client.get("/api/v1/quarantine") as answer:
        kept = await answer.json()
    assert [(entry["code"], entry["size"]) for entry in kept] == [(code, len(archive))]


async def test_jobs_are_judged(client: TestClient) -> None:
    """The file that jobsJson names holds messages of sl_job_metrics."""
    good = {
        "id": 7,
        "uuid": SYSTEM,
        "createdAt": "2026-11-24T12:20:51Z",
        "updatedAt": "2026-11-24T12:20:51Z",
        "state": "FAILED",
        "jobTypeId": "x",
        "movieIds": [],
        "isActive": True,
        "isMultiJob": False,
    }
    more = {"bundleTypeId": "sl_ts_bundle_job_metrics_history", "jobsJson": "jobs.json"}
    assert (await upload(client, tgz({"jobs.json": text_of([good])}, **more)))[0] == 201
    status, problem = await upload(client, tgz({"jobs.json": text_of([good, {}])}, **more))
    assert (status, problem["code"]) == (422, "schema_violation")
    assert "Entry 1" in problem["detail"]
    status, problem = await upload(client, tgz(**more))
    assert (status, problem["code"]) == (422, "bundle_file_missing")
