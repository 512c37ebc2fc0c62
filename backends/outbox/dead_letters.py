"""Events that were refused for good: kept with the reason, until a person decides."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NamedTuple, Self
from zlib import crc32

from backends.disk import Disk
from backends.errors import StorageFull
from backends.log import AppendLog, Place
from backends.spool.threads import Threads

MAX_BYTES: Final = 256 * 1024**2
_SEGMENT_BYTES: Final = 16 * 1024**2
_TIMEOUT: Final = 10.0
_EVENT: Final = b',"event":'
_CRC: Final = b',"@crc":"'


class DeadLetter(NamedTuple):
    """An event that its receiver refused, and would refuse again."""

    number: str
    """Names it, for ``drop``."""
    uuid: str
    code: str
    """The receiver's, such as ``schema_violation``."""
    detail: str
    """A sentence for people."""
    moment: str
    """When it was refused, ``YYYY-MM-DDTHH:MM:SS.ffffffZ``."""
    event: bytes
    """As sent."""


class DeadLetters:
    """Keeps dead letters in a log; for the time of an ``async with`` block.

    They are never evicted: when there is no room, nothing more can be set aside, so the delivery waits.

    Args:
        directory: made when missing; the caller owns it.
        max_bytes: of all that is kept.
        disk: the system calls.

    """

    def __init__(self, directory: Path, *, max_bytes: int = MAX_BYTES, disk: Disk | None = None) -> None:
        self._log = AppendLog(directory, disk=disk or Disk(), segment_bytes=_SEGMENT_BYTES, timeout=_TIMEOUT)
        self._threads = Threads(_TIMEOUT)
        self._max_bytes = max_bytes
        self._places: dict[str, Place] = {}
        self.size = 0
        """How many bytes they have."""

    async def __aenter__(self) -> Self:
        """Recover what is on disk.

        Raises:
            StorageFull, StoreUnavailable: it can't be read, or not be made.

        """
        self._threads.open()
        await self._log.__aenter__()
        await self._threads.run_to_end(self._recover)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close. Idempotent."""
        await self._log.__aexit__(kind, error, trace)
        self._threads.close()

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._places)

    async def keep(self, event: bytes, *, uuid: str, code: str, detail: str) -> None:
        """Keep one; when it returns, that is durable.

        Raises:
            StorageFull, StoreUnavailable: it is not kept.

        """
        moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        head = json.dumps({"uuid": uuid, "code": code, "detail": detail, "refused": moment}, separators=(",", ":"))
        line = _checked(head.encode()[:-1] + _EVENT + event)
        if self.size + len(line) > self._max_bytes:
            msg = f"{self.count} events were refused and wait for a decision; there is room for no more"
            raise StorageFull(msg)
        [place] = await self._log.append([line])
        self._add(place)

    @property
    def numbers(self) -> list[str]:
        """Name all, oldest first."""
        return list(self._places)

    async def letters(self, numbers: Sequence[str] | None = None) -> list[DeadLetter]:
        """Return those of these numbers, or all, oldest first.

        Raises:
            StoreUnavailable: they can't be read.

        """
        wanted = None if numbers is None else set(numbers)
        places = [(number, place) for number, place in self._places.items() if wanted is None or number in wanted]
        return await self._threads.run(self._read, places)

    async def drop(self, numbers: Sequence[str]) -> int:
        """Forget some, durably; return how many of them were there.

        Raises:
            StorageFull, StoreUnavailable: none is forgotten.

        """
        known = [number for number in dict.fromkeys(numbers) if number in self._places]
        if known:
            await self._log.append([_checked(b'{"settled":%b' % json.dumps(known).encode())])
            for number in known:
                self._forget(number)
            first = min((place.segment for place in self._places.values()), default=self._log.end.segment)
            old = [segment.number for segment in self._log.segments() if segment.number < first]
            await self._log.remove_segments(old)
        return len(known)

    def _recover(self) -> None:
        self._places = {}
        self.size = 0
        for place, line in self._log.scan():
            if line.startswith(b'{"settled":'):
                for number in json.loads(line)["settled"] if _is_intact(line) else ():
                    self._forget(number)
            elif _is_intact(line):
                self._add(place)

    def _add(self, place: Place) -> None:
        self._places[_number(place)] = place
        self.size += place.length + 1

    def _forget(self, number: str) -> None:
        place = self._places.pop(number, None)
        if place is not None:
            self.size -= place.length + 1

    def _read(self, places: Sequence[tuple[str, Place]]) -> list[DeadLetter]:
        letters = []
        for number, place in places:
            head, _, rest = self._log.read(place).partition(_EVENT)
            told: dict[str, Any] = json.loads(head + b"}")
            event = rest[: rest.rindex(_CRC)]
            letters.append(DeadLetter(number, told["uuid"], told["code"], told["detail"], told["refused"], event))
        return letters


def _number(place: Place) -> str:
    return f"{place.segment}-{place.offset}"


def _checked(body: bytes) -> bytes:
    return b'%b,"@crc":"%08x"}' % (body, crc32(body))


def _is_intact(line: bytes) -> bool:
    body, found, checksum = line.rpartition(_CRC)
    return bool(found) and checksum == b'%08x"}' % crc32(body)
