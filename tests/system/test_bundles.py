"""Bundles on a real server: killed at each step, many at a time, and cut off."""

import asyncio
import io
import json
import random
import socket
import subprocess
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from support.archives import MANIFEST, manifest, text_of, tgz
from support.eventserver_killed_at import STEPS
from support.uploads import FORM, body, form, part
from tests.system.server_process import ServerProcess

MIB = 1024 * 1024
KILLED = ("support.eventserver_killed_at", "serve")


def request(port: int, method: str, path: str, content: bytes = b"") -> tuple[int, bytes]:
    """Send one request."""
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, content, FORM if content else {})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def archives(root: Path) -> list[str]:
    """Return what lies below ``files``: archives, marks, parts."""
    return sorted(path.relative_to(root).as_posix() for path in (root / "files").rglob("*") if path.is_file())


def events(port: int) -> list[dict[str, Any]]:
    """Return all events."""
    found: list[dict[str, Any]] = json.loads(request(port, "GET", "/api/v1/events")[1])
    return found


@pytest.mark.parametrize("step", STEPS)
def test_killed_at_any_step_archive_and_event_are_both_there_or_neither(tmp_path: Path, step: str) -> None:
    """After the next start; and the same upload again makes both, once."""
    root, upload = tmp_path / "root", body(part(tgz()))
    where = {"KILL_AT": step, "PYTHONPATH": f"{Path(__file__).parents[1]}:{Path(__file__).parents[2]}"}
    with ServerProcess(root, tmp_path / "log", module=KILLED, **where) as server:
        with pytest.raises((HTTPException, OSError)):
            request(server.port, "POST", "/api/v1/files", upload)
        assert server.process.wait(10) == -9
    with ServerProcess(root, tmp_path / "log") as server:
        kept = [event["message"]["uploadedBundlePath"] for event in events(server.port)]
        assert archives(root) == kept
        status, answer = request(server.port, "POST", "/api/v1/files", upload)
        assert status == (200 if kept else 201)
        event = json.loads(answer)
        assert [event] == events(server.port)
        assert archives(root) == [event["message"]["uploadedBundlePath"]]
        assert request(server.port, "GET", f"/api/v1/files/{event['uuid']}") == (200, tgz())


def noise(size: int, seed: int) -> bytes:
    """Return a bundle of about so many bytes that can't be packed."""
    content = random.Random(seed).randbytes(size)
    return tgz({MANIFEST: text_of(manifest(comment=str(seed))), "noise": content}, level=1)


@pytest.mark.slow
async def test_memory_stays_flat_under_a_hundred_uploads(tmp_path: Path) -> None:
    """A hundred of 8 MB at a time add less than 50 MB."""
    bodies = [noise(8 * MIB - 20_000, seed) for seed in range(4)]
    assert all(7.9 * MIB < len(each) < 8 * MIB for each in bodies)
    with ServerProcess(tmp_path / "root", tmp_path / "log") as server:
        url = f"http://127.0.0.1:{server.port}/api/v1/files"
        async with ClientSession() as session:
            await _upload(session, url, noise(MIB, 99))
            before = most = server.anonymous_memory()
            uploads = [asyncio.ensure_future(_upload(session, url, bodies[number % 4])) for number in range(100)]
            while not all(upload.done() for upload in uploads):
                most = max(most, await asyncio.to_thread(server.anonymous_memory))
                await asyncio.sleep(0.02)
            statuses = [upload.result() for upload in uploads]
    assert sorted(statuses) == [200] * 96 + [201] * 4
    assert most - before < 50 * MIB, f"{(most - before) / MIB:.0f} MiB"


async def _upload(session: ClientSession, url: str, archive: bytes) -> int:
    async with session.post(url, data=form(archive)) as answer:
        await answer.read()
        return answer.status


def test_upload_that_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    """Whether the connection ends or the time."""
    environment = {"SMRTFLOW_EVENT_UPLOAD_TIMEOUT_SECONDS": "0.5"}
    content = body(part(noise(MIB, 1)))
    head = f"POST /api/v1/files HTTP/1.1\r\nHost: x\r\nContent-Length: {len(content)}\r\n"
    head += f"Content-Type: {FORM['Content-Type']}\r\n\r\n"
    with ServerProcess(tmp_path / "root", tmp_path / "log", **environment) as server:
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            connection.sendall(head.encode() + content[: MIB // 2])
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            connection.sendall(head.encode() + content[: MIB // 2])
            assert connection.recv(100).startswith(b"HTTP/1.1 408")
        assert archives(tmp_path / "root") == []
        assert request(server.port, "POST", "/api/v1/files", content)[0] == 201


def test_curl_uploads_as_the_issue_says(server: ServerProcess, tmp_path: Path) -> None:
    """And a lying length changes nothing."""
    (tmp_path / "example.tgz").write_bytes(tgz())
    url = f"http://localhost:{server.port}/api/v1/files"
    command = ["curl", "-sS", "-F", f"techsupport_tgz=@{tmp_path}/example.tgz", url]
    event = json.loads(subprocess.run(command, check=True, capture_output=True, timeout=30).stdout)
    assert event["message"]["uploadedBundlePath"].endswith(f"{event['uuid']}-example.tgz")
    assert io.BytesIO(request(server.port, "GET", f"/api/v1/files/{event['uuid']}")[1]).read() == tgz()
