"""Bringing the index up to the end of the log, at the start of a store."""

import logging
import time
from collections.abc import Callable
from typing import Final

from backends.filesystem.index import Index
from backends.filesystem.record_reader import RecordReader
from backends.log import BEGINNING, AppendLog, LogPosition

Progress = Callable[[int, int], None]
"""Told how many bytes of the log were read again, and of how many."""

_LOGGER: Final = logging.getLogger(__name__)
_PAUSE_SECONDS: Final = 0.005
_LINES_A_REPORT: Final = 1000


def catch_up(
    index: Index, log: AppendLog, reader: RecordReader, *, read_only: bool, progress: Progress | None = None
) -> None:
    """Open the index and add what it lacks: after a clean stop nothing, after a crash the log's tail, at worst all.

    Blocks; runs before anybody else uses the index.

    Args:
        index: not open yet.
        log: open.
        reader: checks what is read.
        read_only: open the index beside its owner; what is added stays in memory.
        progress: told how far it is, if there is something to add.

    Raises:
        OSError: there is more to add than memory may hold, and the index can't be written.
        StoreUnavailable: the log can't be read.

    """
    start = index.open(read_only=read_only)
    if start > log.end:
        _LOGGER.warning("the index is ahead of the log, so it is made anew")
        index.discard()
        start = BEGINNING
    segments = [segment for segment in log.segments() if segment.number >= start.segment]
    total = sum(segment.valid for segment in segments) - start.offset
    done = 0
    for number, (place, line) in enumerate(log.scan(start)):
        event = reader.event(place, line)
        if event is not None:
            while index.is_behind and not read_only:
                index.raise_failure()
                time.sleep(_PAUSE_SECONDS)
            index.add(event, place)
            index.mark_complete(LogPosition(place.segment, place.offset + place.length + 1))
        done += place.length + 1
        if progress is not None and number % _LINES_A_REPORT == 0:
            progress(done, total)
    index.mark_complete(log.end)
    if done:
        _LOGGER.info("read %d bytes of the log again", done)
        if progress is not None:
            progress(total, total)
