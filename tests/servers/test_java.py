"""Java is found where it is, and what Maven fetches is fetched once."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from servers import java
from servers.errors import NoServer

JavaHome = Callable[[str, str], Path]


@pytest.fixture
def java_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> JavaHome:
    """Return what makes homes of Java; no other is found."""
    monkeypatch.setattr(java, "INSTALLED", tmp_path / "jvm")
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setattr("shutil.which", lambda _: None)
    for name in ("JAVA_HOME", "JAVA_HOME_21_X64"):
        monkeypatch.delenv(name, raising=False)

    def make(name: str, version: str, *, compiler: bool = True) -> Path:
        home = tmp_path / "jvm" / name
        (home / "bin").mkdir(parents=True)
        told = f"    java.home = {home}\n    java.specification.version = {version}"
        (home / "bin" / "java").write_text(f"#!/bin/sh\ncat >&2 <<E\n{told}\nE\n")
        (home / "bin" / "java").chmod(0o755)
        if compiler:
            (home / "bin" / "javac").touch()
        return home

    return make


def test_the_java_that_suits_is_found_among_others(java_home: JavaHome) -> None:
    """Beside older and newer ones."""
    java_home("a", "1.8")
    wanted = java_home("b", "17")
    java_home("c", "25")
    assert java.find_java(lambda version: version == 17, "17") == wanted


def test_java_home_comes_first(java_home: JavaHome, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who sets it means it."""
    java_home("a", "21")
    wanted = java_home("b", "25")
    monkeypatch.setenv("JAVA_HOME", str(wanted))
    assert java.find_java(lambda version: version >= 21, "21 or newer") == wanted


def test_those_that_do_not_suit_are_named(java_home: JavaHome, tmp_path: Path) -> None:
    """One that can't compile does not suit either, and one that does not run has no version."""
    java_home("a", "17")
    java_home("b", "25", compiler=False)  # type: ignore[call-arg]
    broken = java_home("c", "25") / "bin" / "java"
    broken.write_text("#!/bin/sh\nexit 1\n")
    with pytest.raises(NoServer) as raised:
        java.find_java(lambda version: version >= 21, "21 or newer")
    jvm = tmp_path / "jvm"
    assert str(raised.value) == (
        f"no JDK 21 or newer was found (17 in {jvm}/a; 25 without javac in {jvm}/b; one that does not run in {jvm}/c)"
    )


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's cache, empty."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "smrtlink-event-server"


def test_of_several_at_once_one_fills_and_all_get_it(cache: Path) -> None:
    """The others wait; none sees it half filled."""
    filled = []

    def fill(folder: Path) -> None:
        filled.append(folder)
        time.sleep(0.05)
        (folder / "jar").write_text("whole")

    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda _: java.cached("program", fill), range(8)))
    assert found == {cache / "program"}
    assert (cache / "program" / "jar").read_text() == "whole"
    assert len(filled) == 1


def test_what_was_not_filled_whole_is_not_there(cache: Path) -> None:
    """And leaves nothing behind; the next one fills it."""

    def fail(folder: Path) -> None:
        (folder / "jar").write_text("half")
        raise NoServer("no network")

    with pytest.raises(NoServer, match="no network"):
        java.cached("program", fail)
    assert [path.name for path in cache.iterdir()] == ["program.lock"]
    assert java.cached("program", lambda folder: (folder / "jar").touch()) == cache / "program"


def test_what_maven_says_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Maven that fails names its reason."""
    maven = tmp_path / "mvn"
    maven.write_text("#!/bin/sh\necho '[ERROR] no such host'; exit 1\n")
    maven.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(NoServer, match=r"Maven could not fetch a:b:1: \[ERROR\] no such host"):
        java.fetch("a:b:1", tmp_path / "lib")
