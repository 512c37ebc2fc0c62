"""An append-only log on the fake disk, and beside it all that it may show."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from random import Random

from backends.errors import StoreError
from backends.log import AppendLog, Place
from support.events import is_whole, line
from support.fake_disk import FakeDisk

DIRECTORY = Path("/data/events")


class LogModel:
    """The promises of the log, kept as two lists.

    Attributes:
        shown: lines that were acknowledged, or that a reopened log has shown: each is there for ever, once, in this
            order, at its place.
        unknown: lines of groups that failed since the last one that succeeded. If the process dies now they may be
            there when the log is opened again; once a later line is acknowledged they are void for ever.

    """

    def __init__(self, seed: int = 0, segment_bytes: int = 400) -> None:
        self.disk = FakeDisk(seed)
        self.day = "2026-11-24"
        self.shown: list[tuple[Place, bytes]] = []
        self.unknown: list[bytes] = []
        self._segment_bytes = segment_bytes
        self._number = 0
        self.log = self._new_log()

    async def open(self) -> None:
        """Open the log for the first time."""
        await self.log.__aenter__()

    async def try_to_open(self) -> None:
        """Open the log for the first time, on a disk that may fail; it is closed then."""
        with suppress(StoreError):
            await self.log.__aenter__()

    def new_lines(self, paddings: Sequence[int]) -> list[bytes]:
        """Return lines that nobody has appended yet."""
        first = self._number + 1
        self._number += len(paddings)
        return [line(number, padding) for number, padding in enumerate(paddings, first)]

    async def append(self, *calls: Sequence[int]) -> None:
        """Append lines of these sizes, all calls at once, and take note of what was acknowledged."""
        batches = [self.new_lines(paddings) for paddings in calls]
        answers = await asyncio.gather(*(self.log.append(batch) for batch in batches), return_exceptions=True)
        for batch, answer in zip(batches, answers, strict=True):
            if isinstance(answer, StoreError):
                self.unknown += batch
            elif isinstance(answer, BaseException):
                raise answer
            elif batch:
                assert [place.length for place in answer] == [len(text) for text in batch]
                self.shown += zip(answer, batch, strict=True)
                self.unknown.clear()

    def check(self) -> None:
        """The open log shows what it has acknowledged, and nothing else."""
        assert list(self.log.scan()) == self.shown
        paths = {segment.number: str(segment.path) for segment in self.log.segments()}
        contents = self.disk.contents()
        for place, text in self.shown:
            end = place.offset + place.length
            assert contents[paths[place.segment]][end : end + 1] == b"\n", "a line that is torn off is shown"
            assert self.log.read(place) == text
            assert self.log.read_cached(place) in (text, None)

    async def close(self) -> None:
        """Close the log; on a broken disk it may complain in the terms of the contract."""
        with suppress(StoreError):
            await self.log.__aexit__(None, None, None)

    async def restart(self) -> None:
        """Close the log and open it again."""
        self.disk.mend()
        await self.close()
        await self._reopen()

    async def lose_power(self, random: Random) -> None:
        """Open the log on what a power cut has left."""
        self.disk.cut_power()
        await self.close()
        self.disk = self.disk.after_power_cut(random)
        await self._reopen()

    async def be_killed(self, random: Random) -> None:
        """Open the log as after kill -9: what was written and not synced is still in the page cache."""
        self.disk.cut_power()
        await self.close()
        self.disk = self.disk.after_kill(random)
        await self._reopen()

    async def try_to_restart(self) -> bool:
        """Close the log and open it again on a disk that may fail; tell whether it opened."""
        await self.close()
        self.log = self._new_log()
        try:
            await self.log.__aenter__()
        except StoreError:
            return False
        self._take_over()
        return True

    async def _reopen(self) -> None:
        self.log = self._new_log()
        await self.log.__aenter__()
        self._take_over()

    def _take_over(self) -> None:
        found = list(self.log.scan())
        assert found[: len(self.shown)] == self.shown, "something acknowledged is lost, changed or moved"
        more = [text for _, text in found[len(self.shown) :]]
        whole = [text for text in more if is_whole(text)]
        # Damaged lines are left for the caller, who knows the checksum. They come from what was never acknowledged.
        assert whole == [text for text in self.unknown if text in whole], "a void line is shown, or in disorder"
        self.shown = found
        self.unknown.clear()

    def _new_log(self) -> AppendLog:
        return AppendLog(DIRECTORY, disk=self.disk, segment_bytes=self._segment_bytes, today=lambda: self.day)
