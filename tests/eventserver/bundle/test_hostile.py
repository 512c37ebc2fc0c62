"""Whatever an archive does wrong: refused with its code, in little time and memory, and nothing is written."""

import io
import time
import tracemalloc
from pathlib import Path

import pytest

from eventserver.bundle import check_listed_files, inspect
from eventserver.bundle.limits import Budget, Limits
from eventserver.refusal import Code, Refusal
from support.archives import tgz, zipped
from support.hostile_archives import CASES, LISTED_CASES

SECONDS = 5
MEMORY = 8 * 1024 * 1024


@pytest.mark.parametrize("name", CASES)
def test_hostile_archive_is_refused(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The code says what is wrong; it takes little, and nothing is written anywhere near."""
    make, code = CASES[name]
    archive = make()
    monkeypatch.chdir(tmp_path)
    file = io.BytesIO(archive)
    tracemalloc.start()
    started = time.process_time()
    with pytest.raises(Refusal) as caught:
        inspect(file)
    seconds = time.process_time() - started
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert caught.value.code == code, caught.value.detail
    assert len(caught.value.detail) < 400
    caught.value.detail.encode()
    assert seconds < SECONDS
    assert most < MEMORY
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", LISTED_CASES)
def test_manifest_that_lists_other_files_is_refused(name: str) -> None:
    """What the manifest lists must be there, with that size and that digest."""
    make, code = LISTED_CASES[name]
    file = io.BytesIO(make())
    inspection = inspect(file)
    with pytest.raises(Refusal) as caught:
        check_listed_files(file, inspection)
    assert caught.value.code == code


@pytest.mark.parametrize("make", [tgz, zipped])
def test_cut_anywhere_it_is_refused(make: type) -> None:
    """No beginning of an archive is taken for an archive."""
    archive = make({"a": b"x" * 50})
    for length in range(len(archive)):
        with pytest.raises(Refusal):
            inspect(io.BytesIO(archive[:length]))


@pytest.mark.parametrize("make", [tgz, zipped])
def test_one_changed_byte_gives_no_other_content(make: type) -> None:
    """With any byte changed it is refused, or says the same of its contents; never is it anything but a refusal."""
    archive = make({"a": b"x" * 50})
    right = inspect(io.BytesIO(archive))
    for at in range(len(archive)):
        changed = bytearray(archive)
        changed[at] ^= 0xFF
        try:
            found = inspect(io.BytesIO(bytes(changed)))
        except Refusal:
            continue
        assert found.manifest == right.manifest
        assert [(member.path, member.size) for member in found.members] == [
            (member.path, member.size) for member in right.members
        ]


def test_time_is_limited() -> None:
    """An archive that takes too long is given up, whatever it holds."""
    now = iter((0, 5, 6))
    budget = Budget(Limits(seconds=5), 100, clock=lambda: next(now))
    budget.take_header()
    with pytest.raises(Refusal) as caught:
        budget.take_header()
    assert caught.value.code is Code.BUNDLE_TOO_COMPLEX
