"""The lock of a data directory: one owner, named, and gone with its process."""

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from backends.errors import DirectoryInUse, StorageFull, StoreUnavailable
from backends.lock import UNKNOWN_HOLDER, DirectoryLock, holder_of

HOLD = """
import sys
from pathlib import Path
from backends.lock import DirectoryLock
with DirectoryLock(Path(sys.argv[1]), "pid 1 at http://127.0.0.1:9"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def other_process(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the directory until its standard input ends."""
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_second_process_is_refused_and_told_who_holds_it(
    tmp_path: Path, other_process: subprocess.Popen[str]
) -> None:
    """The error names the directory and what the owner wrote."""
    with pytest.raises(DirectoryInUse) as caught, DirectoryLock(tmp_path, "pid 2"):
        pass
    assert caught.value.holder == "pid 1 at http://127.0.0.1:9"
    assert str(caught.value) == f"{tmp_path} is in use by pid 1 at http://127.0.0.1:9"
    assert holder_of(tmp_path) == "pid 1 at http://127.0.0.1:9"


def test_the_lock_of_a_killed_process_is_gone(tmp_path: Path, other_process: subprocess.Popen[str]) -> None:
    """After kill -9 the address still stands in the file, and nobody holds the directory."""
    other_process.send_signal(signal.SIGKILL)
    other_process.wait()
    assert (tmp_path / "lock").read_text() == "pid 1 at http://127.0.0.1:9\n"
    assert holder_of(tmp_path) is None
    with DirectoryLock(tmp_path, "pid 2"):
        assert holder_of(tmp_path) == "pid 2"


def test_a_free_directory_has_no_holder(tmp_path: Path) -> None:
    """Neither before the first lock nor after the last."""
    assert holder_of(tmp_path / "missing") is None
    assert holder_of(tmp_path) is None
    with DirectoryLock(tmp_path, "me"):
        pass
    assert holder_of(tmp_path) is None
    assert (tmp_path / "lock").read_bytes() == b""


def test_a_missing_directory_is_made(tmp_path: Path) -> None:
    """With its parents."""
    with DirectoryLock(tmp_path / "a" / "b", "me"):
        assert holder_of(tmp_path / "a" / "b") == "me"


def test_the_address_can_be_told_later(tmp_path: Path) -> None:
    """A server knows its port only when it listens; a shorter address leaves nothing of a longer one."""
    with DirectoryLock(tmp_path, "pid 1, starting, with a long explanation") as lock:
        lock.announce("pid 1 at http://h:1")
        assert holder_of(tmp_path) == "pid 1 at http://h:1"


def test_a_short_look_by_another_process_does_not_refuse_a_start(tmp_path: Path) -> None:
    """``holder_of`` takes a shared lock for a moment; a starting server outlasts it."""
    (tmp_path / "lock").touch()
    look = """
import fcntl, sys, time
file = open(sys.argv[1])
fcntl.flock(file, fcntl.LOCK_SH)
print("looking", flush=True)
time.sleep(0.1)
"""
    command = [sys.executable, "-c", look, str(tmp_path / "lock")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        process.stdout.readline()
        with DirectoryLock(tmp_path, "me"):
            assert holder_of(tmp_path) == "me"


def test_a_full_disk_does_not_prevent_ownership(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the address can't be written the lock holds all the same, and no stale address is shown."""
    (tmp_path / "lock").write_text("pid 1, long dead\n")

    def refuse(descriptor: int, data: bytes, offset: int) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "pwrite", refuse)
    with DirectoryLock(tmp_path, "me"):
        assert holder_of(tmp_path) == UNKNOWN_HOLDER
        with pytest.raises(DirectoryInUse, match="another process"), DirectoryLock(tmp_path, "you"):
            pass


@pytest.mark.parametrize(
    ("number", "error", "words"),
    [
        (errno.EROFS, StoreUnavailable, "can't be written: Read-only file system"),
        (errno.EACCES, StoreUnavailable, "can't be written: Permission denied"),
        (errno.ENOSPC, StorageFull, "there is no room for"),
    ],
)
def test_a_directory_that_cannot_be_written_is_a_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, error: type[Exception], words: str
) -> None:
    """The message names the directory and the reason."""

    def refuse(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(error, match=words) as caught, DirectoryLock(tmp_path, "me"):
        pass
    assert str(tmp_path) in str(caught.value)


def test_a_file_system_without_locks_is_a_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Better no start than two owners."""

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("backends.lock.fcntl.flock", refuse)
    with pytest.raises(StoreUnavailable, match="can't be locked: No locks available"), DirectoryLock(tmp_path, "me"):
        pass
