"""Commands run in this process, each test on a data directory of its own."""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from backends.base import Event
from backends.filesystem import FilesystemStore
from eventserver.cli import main
from tests.support.command_line import Run, Store


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting comes from where the tests are run."""
    monkeypatch.chdir(tmp_path)
    for name in os.environ:
        if name.startswith(("SMRTFLOW_", "PB_", "EVE_")):
            monkeypatch.delenv(name)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A data directory that is not there yet."""
    return tmp_path / "data"


@pytest.fixture
def run() -> Run:
    """Run a command; an exception that is no exit is the test's."""

    def run(*arguments: object) -> Result:
        result = CliRunner().invoke(main, [str(argument) for argument in arguments])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


@pytest.fixture
def store(root: Path) -> Store:
    """Store events, as a server does that then stops."""

    async def put(events: Sequence[Event]) -> None:
        async with FilesystemStore(root) as target:
            await target.put(events)

    return lambda events: asyncio.run(put(events))
