"""The log that listeners read when they have fallen behind, or were not there: of the store, or an outbox beside it."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, Self, cast

import structlog

from backends.base import Arrival, Event, EventStore
from backends.disk import Disk
from backends.filesystem import FilesystemStore
from backends.log import BEGINNING, AppendLog, LogPosition, Place
from backends.record import DamagedRecordError, read_event

_MOST_TAKEN: Final = 500
_MOST_BYTES: Final = 4 * 1024**2
_MOST_SCANNED: Final = 5_000
_ASKED_AT_A_TIME: Final = 16
_SEGMENT_BYTES: Final = 16 * 1024**2
_TIMEOUT: Final = 10.0
_log = structlog.get_logger("eventserver.listeners")

Takes = Callable[[Event], bool]


class Block(NamedTuple):
    """A part of the log."""

    events: list[Event]
    """Those that were asked for, in order, all of them stored."""
    token: str | None
    """Reading goes on here."""
    is_end: bool
    """Whether there was no more."""


class Source(ABC):
    """What may be read again, for the time of an ``async with`` block.

    A token is a place between two events; None is before the first.
    """

    name: str
    """Tells its tokens from those of other sources."""

    async def __aenter__(self) -> Self:
        """Open."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        return

    @abstractmethod
    def newest(self) -> str | None:
        """Return the place behind all events that are there."""

    @abstractmethod
    async def read(self, token: str | None, takes: Takes) -> Block:
        """Read on from a place.

        Raises:
            StoreError: it can't be read now.
            ValueError: there never was such a token.

        """

    async def admit(self, events: Sequence[Event]) -> None:  # noqa: B027 - the store's own log needs nothing
        """Note events that are about to be put; when it returns, ``read`` will know of them, whatever happens.

        Raises:
            StoreError: they are not noted, and must not be put.

        """

    async def release(self, tokens: Sequence[str | None]) -> None:  # noqa: B027 - as above
        """Forget what lies before all of these places."""


class StoreLog(Source):
    """The log of the filesystem store itself. It costs a put nothing.

    Args:
        store: open while this is read.

    """

    name = "store"

    def __init__(self, store: FilesystemStore) -> None:
        self._store = store

    def newest(self) -> str | None:  # noqa: D102
        return self._store.newest_token()

    async def read(self, token: str | None, takes: Takes) -> Block:  # noqa: D102
        events: list[Event] = []
        size = scanned = 0
        async with aclosing(cast("AsyncGenerator[Arrival, None]", self._store.tail(token))) as arrivals:
            async for event, behind in arrivals:
                token = behind
                scanned += 1
                if takes(event):
                    events.append(event)
                    size += len(event.record)
                if len(events) == _MOST_TAKEN or size >= _MOST_BYTES or scanned == _MOST_SCANNED:
                    return Block(events, token, is_end=False)
        return Block(events, token, is_end=True)


class OutboxLog(Source):
    """A log beside a store that is elsewhere: what a listener takes is synced here before it is put there.

    Whether it came to be stored, and by this server, the store is asked when it is read again: the record that it has
    is then the very one that stands here, with the same ``@received``. So of several servers on one store only the one
    that stored an event delivers it, after a crash too.

    Args:
        directory: made when missing; the caller owns it.
        store: asked; None when what stands here is what is delivered.
        disk: the system calls.

    """

    name = "outbox"

    def __init__(self, directory: Path, store: EventStore | None, *, disk: Disk | None = None) -> None:
        self._log = AppendLog(directory, disk=disk or Disk(), segment_bytes=_SEGMENT_BYTES, timeout=_TIMEOUT)
        self._store = store

    async def __aenter__(self) -> Self:
        """Recover what is on disk.

        Raises:
            StorageFull, StoreUnavailable: it can't be read, or not be made.

        """
        await self._log.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Sync and close. Idempotent."""
        await self._log.__aexit__(kind, error, trace)

    @property
    def size(self) -> int:
        """How many bytes it has on the disk."""
        return sum(segment.valid for segment in self._log.segments())

    def newest(self) -> str | None:  # noqa: D102
        end = self._log.end
        return None if end == BEGINNING else _token(end)

    async def admit(self, events: Sequence[Event]) -> None:  # noqa: D102
        await self._log.append([event.record for event in events])

    async def read(self, token: str | None, takes: Takes) -> Block:  # noqa: D102
        position = BEGINNING if token is None else _position(token)
        lines, position, is_end = await asyncio.to_thread(self._read, position)
        events = [event for event in lines if takes(event)]
        if self._store is not None:
            events = await self._stored(self._store, events)
        return Block(events, _token(position), is_end)

    async def release(self, tokens: Sequence[str | None]) -> None:  # noqa: D102
        if tokens and None not in tokens:
            first = min(_position(token) for token in tokens if token is not None)
            old = [segment.number for segment in self._log.segments() if segment.number < first.segment]
            await self._log.remove_segments(old)

    def _read(self, position: LogPosition) -> tuple[list[Event], LogPosition, bool]:
        events: list[Event] = []
        size = 0
        for place, line in self._log.scan(position):
            position = _behind(place)
            try:
                events.append(read_event(line))
            except DamagedRecordError as error:
                _log.error("damaged outbox record", segment=place.segment, offset=place.offset, problem=str(error))
            size += place.length
            if len(events) == _MOST_TAKEN or size >= _MOST_BYTES:
                return events, position, False
        return events, position, True

    async def _stored(self, store: EventStore, events: Sequence[Event]) -> list[Event]:
        """Return those that the store has from this server."""
        found: list[Event] = []
        for start in range(0, len(events), _ASKED_AT_A_TIME):
            part = events[start : start + _ASKED_AT_A_TIME]
            records = await asyncio.gather(*(store.get(event.uuid) for event in part))
            found.extend(event for event, record in zip(part, records, strict=True) if record == event.record)
        return found


def _token(position: LogPosition) -> str:
    return f"{position.segment}-{position.offset}"


def _position(token: str) -> LogPosition:
    segment, _, offset = token.partition("-")
    if not (segment.isdecimal() and offset.isdecimal()):
        msg = f"not a token of this log: {token[:40]!r}"
        raise ValueError(msg)
    return LogPosition(int(segment), int(offset))


def _behind(place: Place) -> LogPosition:
    return LogPosition(place.segment, place.offset + place.length + 1)
