"""Reading records out of the log: checked, and set aside when they are damaged."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from backends.base import Event
from backends.disk import Disk
from backends.log import AppendLog, Place
from backends.record import DamagedRecordError, is_intact, read_event

_LOGGER: Final = logging.getLogger(__name__)


class RecordReader:
    """Reads records, and reports each damaged one once.

    Args:
        log: where they stand.
        disk: the system calls.
        directory: where damaged lines are kept as they were found, ``<segment>-<offset>.line``; None keeps none.

    """

    def __init__(self, log: AppendLog, disk: Disk, directory: Path | None) -> None:
        self.damaged: set[Place] = set()
        """Places whose line was found damaged since the start."""
        self._log = log
        self._disk = disk
        self._directory = directory

    def first_cached(self, uuid: str, places: Sequence[Place]) -> bytes | None:
        """Return the record of that event if the first place has it whole and no device must be waited for."""
        record = self._log.read_cached(places[0])
        return record if record is not None and uuid.encode() in record and is_intact(record) else None

    def first(self, uuid: str, places: Sequence[Place]) -> bytes | None:
        """Return the record of that event from the first place that has it whole; blocks.

        Raises:
            StoreUnavailable: the log can't be read.

        """
        for place in places:
            event = self.event(place, self._log.read(place))
            # A place found by the hash of a uuid is only a candidate.
            if event is not None and event.uuid == uuid:
                return event.record
        return None

    def intact(self, place: Place) -> bytes | None:
        """Return the record at a place, or None when it is damaged; blocks."""
        record = self._log.read(place)
        if is_intact(record):
            return record
        self._set_aside(place, record)
        return None

    def event(self, place: Place, line: bytes) -> Event | None:
        """Return the event that was read at a place, or None when the line is damaged; may block."""
        try:
            return read_event(line)
        except DamagedRecordError:
            self._set_aside(place, line)
            return None

    def _set_aside(self, place: Place, line: bytes) -> None:
        if place in self.damaged:
            return
        self.damaged.add(place)
        _LOGGER.error("damaged record in segment %d at %d, %d bytes", place.segment, place.offset, place.length)
        if self._directory is None:
            return
        try:
            self._disk.make_directory(self._directory)
            self._disk.replace(self._directory / f"{place.segment:08d}-{place.offset}.line", [line])
        except OSError as error:
            _LOGGER.warning("the damaged record could not be set aside: %s", error)
