"""Bringing the index up to the end of the log, at the start of a store."""

import logging
import time
from collections.abc import Callable
from typing import Final

from backends.errors import StoreClosed
from backends.filesystem.index import Index
from backends.filesystem.record_reader import RecordReader
from backends.log import BEGINNING, AppendLog, LogPosition

Progress = Callable[[int, int], None]
"""Told how many bytes of the log were read again, and of how many."""

_LOGGER: Final = logging.getLogger(__name__)
_PAUSE_SECONDS: Final = 0.005
_LINES_A_REPORT: Final = 1000


def catch_up(
    start: LogPosition,
    index: Index,
    log: AppendLog,
    reader: RecordReader,
    *,
    read_only: bool,
    is_stopped: Callable[[], bool],
    progress: Progress | None = None,
) -> None:
    """Add to the index what it lacks: after a clean stop nothing, after a crash the log's tail, at worst all.

    Blocks; runs before anybody else uses the index.

    Args:
        start: what ``index.open`` returned.
        index: open.
        log: opened after the index, so that what it holds reaches as far.
        reader: checks what is read.
        read_only: the index was opened beside its owner; what is added stays in memory.
        is_stopped: asked now and then whether to give up.
        progress: told how far it is, if there is something to add.

    Raises:
        StorageFull: there is no room for the index, neither on the disk nor in memory.
        OSError: there is more to add than usually waits in memory, and the index can't be written for another reason.
        StoreUnavailable: the log can't be read.
        StoreClosed: it was stopped.

    """
    if start > log.end and not read_only:
        _LOGGER.warning("the index is ahead of the log, so it is made anew")
        index.discard()
        start = BEGINNING
    segments = [segment for segment in log.segments() if segment.number >= start.segment]
    total = sum(segment.valid for segment in segments) - start.offset
    done = 0
    for number, (place, line) in enumerate(log.scan(start)):
        event = reader.event(place, line)
        if event is not None:
            while index.is_behind and not index.takes_more():
                _raise_if(is_stopped)
                time.sleep(_PAUSE_SECONDS)
            index.add(event, place)
            index.mark_complete(LogPosition(place.segment, place.offset + place.length + 1))
        done += place.length + 1
        if number % _LINES_A_REPORT == 0:
            _raise_if(is_stopped)
            if progress is not None:
                progress(done, total)
    index.mark_complete(log.end)
    if index.is_behind and index.problem is not None:
        _LOGGER.warning(
            "until there is room for the index it is kept in memory, and no event is taken: %s", index.problem
        )
    if done:
        _LOGGER.info("read %d bytes of the log again", done)
        if progress is not None:
            progress(total, total)


def _raise_if(is_stopped: Callable[[], bool]) -> None:
    if is_stopped():
        msg = "stopped while the log was being read"
        raise StoreClosed(msg)
