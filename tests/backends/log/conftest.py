"""An open log on a real disk."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from backends.log import AppendLog
from support.logs import Clock


@pytest.fixture
def clock() -> Clock:
    """The day of new segments."""
    return Clock()


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Where the log lies; not there yet."""
    return tmp_path / "events"


@pytest.fixture
async def log(directory: Path, clock: Clock) -> AsyncIterator[AppendLog]:
    """An open log on a real disk, with segments of 1,000 bytes."""
    async with AppendLog(directory, segment_bytes=1000, today=clock) as log:
        yield log
