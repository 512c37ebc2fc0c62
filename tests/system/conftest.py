"""What the system tests share: a server for each test, a random seed that is printed, and the soak's results."""

import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from random import SystemRandom

import pytest

from bench import report
from tests.system.server_process import ServerProcess


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    """Serve an empty directory."""
    with ServerProcess(tmp_path / "root", tmp_path / "server.log") as process:
        yield process


@pytest.fixture(scope="session")
def seed(pytestconfig: pytest.Config) -> str:
    """Return the seed of this session: from the environment (TEST_SEED), or a new one; shown either way."""
    value = os.environ.get("TEST_SEED") or str(SystemRandom().randrange(10**6))
    reporter = pytestconfig.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None:
        reporter.write_line(f"\nTEST_SEED={value}")
    return value


@pytest.fixture
def show(pytestconfig: pytest.Config) -> Callable[[str], None]:
    """Return what shows a figure to whoever runs the tests, though they pass."""
    reporter = pytestconfig.pluginmanager.get_plugin("terminalreporter")

    def write(text: str) -> None:
        if reporter is not None:
            reporter.write_line(f"\n  {text}")

    return write


@pytest.fixture(scope="session")
def soak_result(pytestconfig: pytest.Config) -> Iterator[Callable[[str], None]]:
    """Return what takes a line of the soak's result; they are shown, and written into the documentation, at the end."""
    lines: list[str] = []
    yield lines.append
    block = "\n".join([f"- {line}" for line in lines] + ["", f"{datetime.now(UTC):%Y-%m-%d}, {report.machine()}."])
    report.write("soak", block)
    reporter = pytestconfig.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None:
        reporter.write_line(f"\n{block}")
