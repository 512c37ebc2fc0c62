"""The log on a disk that fails."""

import asyncio
import errno
from pathlib import Path
from zlib import crc32

import pytest

from backends.errors import StorageFull, StoreClosed, StoreUnavailable
from backends.log import AppendLog
from support.fake_disk import FakeDisk
from support.logs import DAY, lines, shown


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.EIO, StoreUnavailable),
        (errno.EROFS, StoreUnavailable),
        (errno.ENOSPC, StorageFull),
        (errno.EDQUOT, StorageFull),
        (errno.EFBIG, StorageFull),
    ],
)
@pytest.mark.parametrize("operation", ["create", "write", "sync", "sync_directory"])
async def test_a_failure_is_an_error_of_the_contract(operation: str, number: int, kind: type[Exception]) -> None:
    """All that wait for one group fail alike, none of their lines is there, and the next group is written."""
    disk = FakeDisk(2)
    async with AppendLog(Path("/data/events"), disk=disk) as log:
        disk.fail({operation}, error=number)
        answers = await asyncio.gather(*(log.append([text]) for text in lines(5)), return_exceptions=True)
        assert [type(answer) for answer in answers] == [kind] * 5
        assert log.failing
        assert shown(log) == []
        await log.append(lines(1, first=6))
        assert not log.failing
        assert shown(log) == lines(1, first=6)


async def test_a_void_group_is_marked_before_anything_else_is_acknowledged() -> None:
    """The next segment begins with what of the failed one counts, synced before a line follows."""
    disk = FakeDisk(3)
    async with AppendLog(Path("/data/events"), disk=disk, today=lambda: DAY) as log:
        await log.append(lines(2))
        disk.fail({"sync"})
        with pytest.raises(StoreUnavailable):
            await log.append(lines(1, first=3))
        before = len(disk.calls)
        await log.append(lines(1, first=4))
        assert disk.calls[before:] == [
            ("sync_directory", "events"),
            ("create", "00000002.ndjson"),
            ("write", "00000002.ndjson"),
            ("sync", "00000002.ndjson"),
            ("sync_directory", DAY),
            ("write", "00000002.ndjson"),
            ("sync", "00000002.ndjson"),
        ]
        body = b'{"@log":{"previous":1,"valid":200}'
        content = disk.contents()[f"/data/events/{DAY}/00000002.ndjson"]
        assert content == b'%b,"@crc":"%08x"}\n%b\n' % (body, crc32(body), lines(1, first=4)[0])
        assert disk.contents()[f"/data/events/{DAY}/00000001.ndjson"] == b"\n".join([*lines(3), b""])
        assert shown(log) == [*lines(2), *lines(1, first=4)]


async def test_a_disk_that_goes_on_failing_is_not_littered() -> None:
    """However often it is tried in vain, no files pile up."""
    disk = FakeDisk()
    async with AppendLog(Path("/data/events"), disk=disk) as log:
        await log.append(lines(1))
        disk.fail({"write"}, times=None, error=errno.ENOSPC)
        for number in range(2, 30):
            with pytest.raises(StorageFull):
                await log.append(lines(1, first=number))
        assert len(disk.contents()) == 1
        disk.mend()
        await log.append(lines(1, first=30))
        assert shown(log) == [*lines(1), *lines(1, first=30)]
        assert len(disk.contents()) == 2


async def test_a_probe_finds_out_whether_the_disk_is_well_again() -> None:
    """After a failure it tries to begin a segment; as long as nothing failed it writes nothing."""
    disk = FakeDisk()
    async with AppendLog(Path("/data/events"), disk=disk) as log:
        await log.append(lines(1))
        before = list(disk.calls)
        await log.probe()
        assert disk.calls == before
        disk.fail(times=None)
        with pytest.raises(StoreUnavailable):
            await log.append(lines(1, first=2))
        with pytest.raises(StoreUnavailable):
            await log.probe()
        disk.mend()
        await log.probe()
        assert not log.failing
        assert shown(log) == lines(1)
    with pytest.raises(StoreClosed):
        await log.probe()


async def test_a_writer_that_meets_the_unexpected_lives_on() -> None:
    """Whatever is raised below it, those who wait are told, and the next lines are written."""

    class Broken(FakeDisk):
        broken = True

        def write(self, descriptor: int, data: bytes) -> None:
            if self.broken:
                raise RuntimeError
            super().write(descriptor, data)

    disk = Broken()
    async with AppendLog(Path("/data/events"), disk=disk) as log:
        with pytest.raises(StoreUnavailable):
            await log.append(lines(1))
        disk.broken = False
        await log.append(lines(1, first=2))
        assert shown(log) == lines(1, first=2)


async def test_a_segment_that_can_not_be_read_is_an_error_of_the_contract() -> None:
    """Reading and scanning raise StoreUnavailable, and work when the disk does."""
    disk = FakeDisk()
    async with AppendLog(Path("/data/events"), disk=disk) as log:
        (place,) = await log.append(lines(1))
        disk.fail({"open", "read"}, times=None)
        with pytest.raises(StoreUnavailable):
            log.read(place)
        with pytest.raises(StoreUnavailable):
            shown(log)
        disk.mend()
        assert log.read(place) == lines(1)[0]
        assert shown(log) == lines(1)
