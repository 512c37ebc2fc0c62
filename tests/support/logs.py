"""What the specification of the append-only log is written with."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from backends.log import AppendLog
from support.events import line

DAY = "2026-11-24"


class Clock:
    """A day that the test turns."""

    def __init__(self) -> None:
        self.day = DAY

    def __call__(self) -> str:
        """Return the day."""
        return self.day


@asynccontextmanager
async def reopened(log: AppendLog, clock: Clock, *, read_only: bool = False) -> AsyncIterator[AppendLog]:
    """Close a log and open its directory again."""
    await log.__aexit__(None, None, None)
    async with AppendLog(log.directory, segment_bytes=1000, today=clock, read_only=read_only) as again:
        yield again


def lines(count: int, first: int = 1) -> list[bytes]:
    """Return numbered lines of 99 bytes, so that ten of them with their ends fill a segment."""
    return [line(1000 + number, 64) for number in range(first, first + count)]


def files(directory: Path) -> dict[str, bytes]:
    """Return all files below a directory."""
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def shown(log: AppendLog) -> list[bytes]:
    """Return the lines of a log."""
    return [text for _, text in log.scan()]
