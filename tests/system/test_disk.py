"""Disks that are full, read-only or taken: the server says so, and goes on with what still works."""

import errno
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from tests.system.loop_device import make_image, mounted
from tests.system.server_process import ServerProcess
from tests.system.wire import Answer, exchange, get, post
from tests.system.workload import make_event

SYSTEM = "8d2c3ab4-f46e-11e6-a35c-3c15c2cc8f88"
BALLAST = 16 * 1024 * 1024
LARGE_BALLAST = 64 * 1024 * 1024
MANY = 200_000
"""Events: more than the index keeps in memory while the disk works."""
READ_ONLY_EXIT = 1
TAKEN_EXIT = 2


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a file system of 48 MB with 16 MB of ballast."""
    make_image(tmp_path / "disk.image", 48)
    with mounted(tmp_path / "disk.image", tmp_path / "disk") as disk:
        (disk / "ballast").write_bytes(bytes(BALLAST))
        yield disk


def _post_new(server: ServerProcess, random: Random, size: int = 0) -> tuple[str, bytes, Answer]:
    uuid, body = make_event(random, SYSTEM)
    if size:
        body = body[:-2] + b',"more":"' + b"y" * size + b'"}}'
    return uuid, body, exchange(server.port, post(body))


def _fill(server: ServerProcess, random: Random) -> dict[str, bytes]:
    """Post until there is no room; returns what was acknowledged."""
    acknowledged = {}
    for size in (400_000, 0):
        for _ in range(2_000):
            uuid, body, answer = _post_new(server, random, size)
            if answer.status != 201:
                break
            acknowledged[uuid] = body
        assert (answer.status, answer.code) == (507, "storage_full"), answer
    return acknowledged


def _stuff(disk: Path) -> None:
    """Fill a disk to the last byte."""
    with (disk / "stuffing").open("wb", buffering=0) as file:
        for size in (1_048_576, 4096, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError as error:
                assert error.errno == errno.ENOSPC  # noqa: PT017 - a full disk is what is wanted


def _check_reads_only(server: ServerProcess, acknowledged: dict[str, bytes]) -> None:
    """Hold a server on a full disk to what it still can: read, say how it is, refuse writes."""
    for uuid, body in list(acknowledged.items())[:3] + list(acknowledged.items())[-3:]:
        assert get(server.port, f"/api/v1/events/{uuid}")[::2] == (200, body)
    assert get(server.port, f"/api/v1/events/smrt-link/{SYSTEM}?limit=1").status == 200
    assert get(server.port, "/status").status == 200
    assert get(server.port, "/health/live").status == 200
    ready = get(server.port, "/health/ready")
    assert ready.status == 503, ready
    _, _, answer = _post_new(server, Random(1))
    assert (answer.status, answer.code) == (507, "storage_full"), answer


def _await_stored(server: ServerProcess, random: Random) -> tuple[str, bytes]:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        uuid, body, answer = _post_new(server, random)
        if answer.status == 201:
            return uuid, body
        time.sleep(0.2)
    pytest.fail(f"still refused: {answer}")


def test_full_disk_refuses_writes_and_recovers(small_disk: Path, tmp_path: Path) -> None:
    """On a full disk writes get 507, reads go on, /status answers, and writes work again when there is room."""
    random = Random(2)
    with ServerProcess(small_disk / "root", tmp_path / "server.log") as server:
        acknowledged = _fill(server, random)
        assert len(acknowledged) > 20
        _check_reads_only(server, acknowledged)
        (small_disk / "ballast").unlink()
        uuid, body = _await_stored(server, random)
        acknowledged[uuid] = body
        assert get(server.port, "/health/ready").status == 200
        assert server.terminate() == 0, server.output()
        server.start()
        for uuid, body in acknowledged.items():
            assert get(server.port, f"/api/v1/events/{uuid}")[::2] == (200, body)


def test_starts_and_reads_on_a_full_disk(small_disk: Path, tmp_path: Path) -> None:
    """Started on a disk without a free byte it reads, answers /status, is not ready and refuses writes."""
    random = Random(3)
    with ServerProcess(small_disk / "root", tmp_path / "server.log") as server:
        acknowledged = {uuid: body for uuid, body, _ in (_post_new(server, random) for _ in range(50))}
        server.kill()
        _stuff(small_disk)
        server.start(path="/health/live")
        _check_reads_only(server, acknowledged)
        (small_disk / "ballast").unlink()
        _await_stored(server, random)
        assert server.terminate() == 0, server.output()


def test_full_disk_loses_nothing_when_killed(small_disk: Path, tmp_path: Path) -> None:
    """What was acknowledged before the disk was full is there after kill -9 on the full disk."""
    with ServerProcess(small_disk / "root", tmp_path / "server.log") as server:
        acknowledged = _fill(server, Random(4))
        _stuff(small_disk)
        server.kill()
        server.start(path="/health/live")
        for uuid, body in acknowledged.items():
            assert get(server.port, f"/api/v1/events/{uuid}")[::2] == (200, body)


@pytest.fixture
def larger_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a file system of 256 MB with 64 MB of ballast."""
    make_image(tmp_path / "disk.image", 256)
    with mounted(tmp_path / "disk.image", tmp_path / "disk") as disk:
        (disk / "ballast").write_bytes(bytes(LARGE_BALLAST))
        yield disk


def _post_many(server: ServerProcess, random: Random) -> dict[str, bytes]:
    """Post in batches; returns a few of the first and of the last."""
    some = {}
    for _ in range(MANY // 10_000):
        made = [small_event(random) for _ in range(10_000)]
        body = b"\n".join(text for _, text in made)
        answer = exchange(server.port, post(body, "/api/v1/events/batch", "application/x-ndjson"), seconds=60)
        assert answer.status == 200, answer
        assert answer.body.count(b'"stored"') == 10_000
        some |= dict([made[0], made[-1]])
    return some


def small_event(random: Random) -> tuple[str, bytes]:
    """Make an event of little content."""
    uuid, body = make_event(random, SYSTEM)
    return uuid, body[: body.index(b'"message"')] + b'"message":{"jobId":1,"jobTypeId":"x","state":"CREATED"}}'


def test_starts_on_a_full_disk_when_the_whole_index_is_missing(larger_disk: Path, tmp_path: Path) -> None:
    """However much is to be made anew, it starts, reads, refuses writes; and is ready once there is room."""
    random = Random(8)
    with ServerProcess(larger_disk / "root", tmp_path / "server.log") as server:
        acknowledged = _post_many(server, random)
        assert server.terminate() == 0, server.output()
        shutil.rmtree(larger_disk / "root" / "index")
        _stuff(larger_disk)
        server.start(path="/health/live", seconds=90)
        _check_reads_only(server, acknowledged)
        assert f"eventserver_store_index_memory_rows {MANY}" in get(server.port, "/metrics").body.decode()
        (larger_disk / "ballast").unlink()
        uuid, body = _await_stored(server, random)
        acknowledged[uuid] = body
        assert get(server.port, "/health/ready").status == 200
        assert server.terminate() == 0, server.output()
        server.start(seconds=5)
        for uuid, body in acknowledged.items():
            assert get(server.port, f"/api/v1/events/{uuid}")[::2] == (200, body)


@pytest.mark.parametrize("used", [False, True], ids=["empty", "with data"])
def test_read_only_directory_is_an_error_at_start(tmp_path: Path, used: bool) -> None:  # noqa: FBT001
    """A read-only data directory ends the start with exit code 1 and one line that names the directory."""
    (source := tmp_path / "source").mkdir()
    if used:
        with ServerProcess(source, tmp_path / "first.log") as server:
            assert _post_new(server, Random(5))[2].status == 201
            assert server.terminate() == 0
    with mounted(source, tmp_path / "root", "ro") as root:
        server = ServerProcess(root, tmp_path / "server.log")
        assert server.run_to_its_end() == READ_ONLY_EXIT
        lines = server.output().splitlines()
    assert str(root) in lines[-1]
    assert len(lines) <= 2, lines


def test_second_server_is_refused(server: ServerProcess, tmp_path: Path) -> None:
    """A second server on the directory ends with exit code 2 and names the holder; the first one serves on."""
    second = ServerProcess(server.root, tmp_path / "second.log")
    assert second.run_to_its_end() == TAKEN_EXIT
    message = second.output()
    assert f"pid {server.process.pid}" in message
    assert f":{server.port}" in message
    assert "Traceback" not in message
    assert _post_new(server, Random(6))[2].status == 201


def test_directory_is_free_again_after_a_kill(server: ServerProcess, tmp_path: Path) -> None:
    """A killed holder leaves no lock behind: another server takes the directory, and reads what was stored."""
    uuid, body, _ = _post_new(server, Random(7))
    server.kill()
    with ServerProcess(server.root, tmp_path / "second.log") as second:
        assert get(second.port, f"/api/v1/events/{uuid}")[::2] == (200, body)
