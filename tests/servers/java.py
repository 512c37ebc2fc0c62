"""Java on this machine, and programs that Maven fetches once for all runs of the tests."""

import fcntl
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from servers.errors import NoServer

INSTALLED: Final = Path("/usr/lib/jvm")
FETCH_SECONDS: Final = 900
COPY: Final = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
POM: Final = """<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>tests</groupId><artifactId>jars</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>{dependencies}</dependencies>
</project>
"""
DEPENDENCY: Final = "<dependency><groupId>{}</groupId><artifactId>{}</artifactId><version>{}</version></dependency>"


def find_java(suits: Callable[[int], bool], wanted: str, *, compiler: bool = True) -> Path:
    """Return the home of a Java: from JAVA_HOME, /usr/lib/jvm, or PATH, in this order.

    Args:
        suits: whether a version, such as 21, will do.
        wanted: those versions in words.
        compiler: whether it must be a development kit (JDK).

    Raises:
        NoServer: there is none; the text says which are there.

    """
    seen = []
    for java in _candidates():
        version, home = _ask(java)
        compiles = (home / "bin" / "javac").exists()
        if suits(version) and (compiles or not compiler):
            return home
        told = (
            f"{version}{'' if compiles or not compiler else ' without javac'}" if version else "one that does not run"
        )
        seen.append(f"{told} in {home}")
    raise NoServer(
        f"no {'JDK' if compiler else 'Java'} {wanted} was found ({'; '.join(dict.fromkeys(seen)) or 'no Java at all'})"
    )


def _candidates() -> Iterator[Path]:
    homes = [Path(home) for name, home in sorted(os.environ.items()) if name.startswith("JAVA_HOME")]
    homes += sorted(INSTALLED.glob("*"))
    on_path = shutil.which("java")
    found = [home / "bin" / "java" for home in homes] + ([Path(on_path)] if on_path else [])
    return (java for java in found if os.access(java, os.X_OK))


def _ask(java: Path) -> tuple[int, Path]:
    """Return version and home; version 0 when it does not run."""
    command: list[str | Path] = [java, "-XshowSettings:properties", "-version"]
    try:
        told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stderr
    except (OSError, subprocess.SubprocessError):
        return 0, java.parents[1]
    version = re.search(r"java\.specification\.version = (?:1\.)?(\d+)", told)
    home = re.search(r"java\.home = (.+)", told)
    return (int(version[1]) if version else 0), (Path(home[1]) if home else java.parents[1])


def cached(name: str, fill: Callable[[Path], None]) -> Path:
    """Return the folder of this name in the user's cache; `fill` is called with a new folder if it is not there.

    It is there for others only when it is filled without an exception; who asks for it meanwhile waits.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "smrtlink-event-server"
    cache.mkdir(parents=True, exist_ok=True)
    found = cache / name
    with (cache / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not found.exists():
            with tempfile.TemporaryDirectory(dir=cache, prefix=f"{name}.") as folder:
                fresh = Path(folder) / name
                fresh.mkdir()
                fill(fresh)
                fresh.rename(found)
    return found


def fetch(coordinates: str, folder: Path) -> None:
    """Fill a folder with the jars of ``group:artifact:version`` and all that it needs, as this Maven is configured.

    Several, with spaces between them, are fetched together, and go before other versions that one of them asks for.

    Raises:
        NoServer: there is no Maven, or it failed; the text is what it wrote.

    """
    maven = shutil.which("mvn")
    if maven is None:
        raise NoServer("Maven (mvn) was not found on PATH")
    dependencies = "".join(DEPENDENCY.format(*each.split(":")) for each in coordinates.split())
    with tempfile.TemporaryDirectory() as project:
        pom = Path(project) / "pom.xml"
        pom.write_text(POM.format(dependencies=dependencies))
        command: list[str | Path] = [
            maven,
            "-B",
            "-q",
            "-f",
            pom,
            COPY,
            "-DincludeScope=runtime",
            f"-DoutputDirectory={folder}",
        ]
        run(command, f"Maven could not fetch {coordinates}")


def run(command: list[str | Path], failure: str) -> None:
    """Run a command to its end.

    Raises:
        NoServer: it failed, or took over 15 minutes; the text is `failure` and the end of what it wrote.

    """
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=FETCH_SECONDS
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise NoServer(f"{failure}: {error}") from error
    if done.returncode:
        raise NoServer(f"{failure}: {(done.stdout + done.stderr).strip()[-2000:]}")
