"""Two servers that share bundles in object storage, and events in Elasticsearch; and what a kill leaves."""

import asyncio
import json
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from uuid import uuid4

import pytest

from servers.elasticsearch import Elasticsearch
from servers.s3 import S3, SECRET
from support.archives import tgz
from support.uploads import body, part
from tests.system.server_process import ServerProcess
from tests.system.test_bundles import KILLED, noise, request


def stored(s3: S3, url: str, root: Path) -> list[str]:
    """Return the paths of all archives in the bucket."""
    from backends.bundles import open_bundles  # noqa: PLC0415 - with the keys in the environment

    async def read() -> list[str]:
        async with open_bundles(url, root=root / "reader") as bundles:
            return [str(found.path) async for found in bundles.archives()]

    assert s3.ready()
    return asyncio.run(read())


@pytest.mark.timeout(180)
def test_one_archive_raced_on_two_servers_is_one_bundle(
    elasticsearch: Elasticsearch, prefix: str, s3: S3, tmp_path: Path
) -> None:
    """Exactly one 201 each time; both give the archive back, also once the other server is gone; no copy is left."""
    url = s3.url(uuid4().hex)
    store = f"elasticsearch://127.0.0.1:{elasticsearch.url.rpartition(':')[2]}/{prefix}"
    shared = {
        "SMRTFLOW_EVENT_BUNDLE_STORE": url,
        "SMRTFLOW_EVENT_STORE": store,
        "SMRTFLOW_EVENT_STORE_TIMEOUT_SECONDS": "20",
    }
    archives = [noise(20_000, seed) for seed in range(5)]
    with (
        ServerProcess(tmp_path / "a", tmp_path / "a.log", **shared) as one,
        ServerProcess(tmp_path / "b", tmp_path / "b.log", **shared) as two,
        ThreadPoolExecutor(4) as senders,
    ):
        events = []
        for archive in archives:
            upload = body(part(archive))
            sending = [
                senders.submit(request, port, "POST", "/api/v1/files", upload) for port in [one.port, two.port] * 2
            ]
            answers = [each.result() for each in sending]
            assert sorted(status for status, _ in answers) == [200, 200, 200, 201]
            assert len({answer for _, answer in answers}) == 1
            events.append(json.loads(answers[0][1]))
        assert sorted(event["message"]["uploadedBundlePath"] for event in events) == stored(s3, url, tmp_path)
        two.kill()
        for event, archive in zip(events, archives, strict=True):
            assert request(one.port, "GET", f"/api/v1/files/{event['uuid']}") == (200, archive)
    assert SECRET not in (tmp_path / "a.log").read_text() + (tmp_path / "b.log").read_text()


@pytest.mark.parametrize("step", ["before the event", "behind the event", "before the settling of objects"])
def test_killed_between_archive_and_event_the_next_start_finishes(s3: S3, tmp_path: Path, step: str) -> None:
    """Both are there then, once; and the same upload is the same bundle."""
    url, root = s3.url(uuid4().hex), tmp_path / "root"
    where = {
        "SMRTFLOW_EVENT_BUNDLE_STORE": url,
        "PYTHONPATH": f"{Path(__file__).parents[1]}:{Path(__file__).parents[2]}",
    }
    upload = body(part(tgz()))
    with ServerProcess(root, tmp_path / "log", module=KILLED, KILL_AT=step, **where) as server:
        with suppress(OSError):
            request(server.port, "POST", "/api/v1/files", upload)
        assert server.process.wait(10) == -9
    with ServerProcess(root, tmp_path / "log", **where) as server:
        [event] = json.loads(request(server.port, "GET", "/api/v1/events")[1])
        assert stored(s3, url, tmp_path) == [event["message"]["uploadedBundlePath"]]
        status, answer = request(server.port, "POST", "/api/v1/files", upload)
        assert (status, json.loads(answer)) == (200, event)
        assert request(server.port, "GET", f"/api/v1/files/{event['uuid']}") == (200, tgz())
    assert not list((root / "files" / ".incoming").iterdir())


def test_while_the_storage_is_away_uploads_are_to_be_tried_again(s3: S3, tmp_path: Path) -> None:
    """The server says that it is not ready, and takes events; it starts, too; later it is well by itself."""
    environment = {"SMRTFLOW_EVENT_BUNDLE_STORE": s3.url(uuid4().hex, timeout=2)}
    upload = body(part(tgz()))
    s3.kill()
    server = ServerProcess(tmp_path / "root", tmp_path / "log", **environment)
    with ExitStack() as stack:
        stack.callback(server.kill)
        server.start(path="/health/live")
        status, answer = request(server.port, "POST", "/api/v1/files", upload)
        assert (status, json.loads(answer)["code"]) == (503, "storage_unavailable")
        status, answer = request(server.port, "GET", "/health/ready")
        assert (status, json.loads(answer)["parts"]["bundles"]["ready"]) == (503, False)
        assert request(server.port, "GET", "/api/v1/events")[0] == 200
        s3.start()
        deadline = time.monotonic() + 30
        while request(server.port, "GET", "/health/ready")[0] != 200:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        status, answer = request(server.port, "POST", "/api/v1/files", upload)
        assert status == 201
        uuid = json.loads(answer)["uuid"]
        s3.kill()
        assert request(server.port, "GET", f"/api/v1/files/{uuid}")[0] == 503
        s3.start()
        assert request(server.port, "GET", f"/api/v1/files/{uuid}/contents")[0] == 200


def test_what_retention_has_removed_is_gone(s3: S3, tmp_path: Path) -> None:
    """410, while its event stays."""
    url, root = s3.url(uuid4().hex), tmp_path / "root"
    environment = {"SMRTFLOW_EVENT_BUNDLE_STORE": url}
    with ServerProcess(root, tmp_path / "log", **environment) as server:
        uuid = json.loads(request(server.port, "POST", "/api/v1/files", body(part(tgz())))[1])["uuid"]
    with ServerProcess(root, tmp_path / "log", SMRTFLOW_EVENT_BUNDLE_RETENTION="1 B", **environment) as server:
        deadline = time.monotonic() + 30
        while (answer := request(server.port, "GET", f"/api/v1/files/{uuid}"))[0] != 410:
            assert time.monotonic() < deadline, answer[0]
            time.sleep(0.1)
        assert request(server.port, "GET", f"/api/v1/events/{uuid}")[0] == 200
    assert stored(s3, url, tmp_path) == []
