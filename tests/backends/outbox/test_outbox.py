"""The outbox: what was put is there in order until it is let go, over restarts and kills, within its bounds."""

import asyncio
from pathlib import Path

import pytest

from backends.errors import DirectoryInUse, StorageFull
from backends.outbox import Outbox
from support.events import make_event, records_of

EVENTS = [make_event(message={"number": number}) for number in range(20)]


def outbox(directory: Path, *, max_bytes: int = 1_000_000, segment_bytes: int = 1_000_000) -> Outbox:
    """Return one that is not open."""
    return Outbox(directory, max_bytes=max_bytes, owner="a test", segment_bytes=segment_bytes)


def segments(directory: Path) -> list[Path]:
    """Return the files of its log."""
    return list(directory.rglob("*.ndjson"))


async def uuids(opened: Outbox, most: int = 100) -> list[str | None]:
    """Return the uuids of what is next."""
    return [line.event and line.event.uuid for line in await opened.next(most=most, max_bytes=1_000_000)]


async def test_what_was_put_is_next_in_order_and_stays_until_it_is_let_go(tmp_path: Path) -> None:
    """What was put is next in order and stays until it is let go."""
    async with outbox(tmp_path) as opened:
        await opened.put(records_of(EVENTS))
        assert await uuids(opened) == [event.uuid for event in EVENTS]

        await opened.advance(await opened.next(most=7, max_bytes=1_000_000))

        assert (opened.events, await uuids(opened, most=1)) == (13, [EVENTS[7].uuid])


async def test_after_a_restart_what_was_not_let_go_is_there(tmp_path: Path) -> None:
    """After a restart what was not let go is there."""
    async with outbox(tmp_path) as opened:
        await opened.put(records_of(EVENTS))
        await opened.advance(await opened.next(most=7, max_bytes=1_000_000))
        size = opened.bytes

    async with outbox(tmp_path) as opened:
        assert (opened.events, opened.bytes) == (13, size)
        assert await uuids(opened) == [event.uuid for event in EVENTS[7:]]


@pytest.mark.parametrize("damage", [None, b"", b"{}", b"\xff"])
async def test_without_its_progress_all_that_the_log_has_is_delivered_again(
    tmp_path: Path, damage: bytes | None
) -> None:
    """Without its progress all that the log has is delivered again."""
    async with outbox(tmp_path) as opened:
        await opened.put(records_of(EVENTS))
        await opened.advance(await opened.next(most=7, max_bytes=1_000_000))
    if damage is None:
        (tmp_path / "progress.json").unlink()
    else:
        (tmp_path / "progress.json").write_bytes(damage)

    async with outbox(tmp_path) as opened:
        assert await uuids(opened) == [event.uuid for event in EVENTS]


async def test_it_is_bounded_and_takes_more_once_something_is_let_go(tmp_path: Path) -> None:
    """It is bounded and takes more once something is let go."""
    async with outbox(tmp_path, max_bytes=1_000) as opened:
        with pytest.raises(StorageFull):
            await opened.put(records_of(EVENTS))
        await opened.put(records_of(EVENTS[:2]))
        with pytest.raises(StorageFull):
            await opened.put(records_of(EVENTS[2:4]))
        assert opened.events == 2

        await opened.advance(await opened.next(most=2, max_bytes=1_000))
        await opened.put(records_of(EVENTS[2:4]))

        assert await uuids(opened) == [event.uuid for event in EVENTS[2:4]]


async def test_concurrent_puts_do_not_pass_the_bound_together(tmp_path: Path) -> None:
    """Concurrent puts do not pass the bound together."""
    async with outbox(tmp_path, max_bytes=1_000) as opened:
        done = await asyncio.gather(*[opened.put([event.record]) for event in EVENTS], return_exceptions=True)

        assert {type(error) for error in done if error is not None} == {StorageFull}
        assert 0 < opened.bytes <= 1_000
        assert opened.events == done.count(None)


async def test_room_on_the_disk_is_given_back(tmp_path: Path) -> None:
    """Room on the disk is given back."""
    async with outbox(tmp_path, segment_bytes=1_000) as opened:
        for event in EVENTS:
            await opened.put([event.record])
        files = segments(tmp_path)

        await opened.advance(await opened.next(most=20, max_bytes=1_000_000))

        assert len(files) > 3
        assert len(segments(tmp_path)) == 1


async def test_a_damaged_line_is_told_and_does_not_hold_up_the_others(tmp_path: Path) -> None:
    """A damaged line is told and does not hold up the others."""
    async with outbox(tmp_path) as opened:
        await opened.put(records_of(EVENTS[:3]))
    [file] = segments(tmp_path)
    file.write_bytes(file.read_bytes().replace(b'"number":1', b'"number":9'))

    async with outbox(tmp_path) as opened:
        assert await uuids(opened) == [EVENTS[0].uuid, None, EVENTS[2].uuid]


async def test_one_process_has_it_open(tmp_path: Path) -> None:
    """One process has it open."""
    async with outbox(tmp_path):
        with pytest.raises(DirectoryInUse, match="a test"):
            await outbox(tmp_path).__aenter__()


async def test_a_reader_waits_for_what_is_put_and_a_flush_for_what_is_let_go(tmp_path: Path) -> None:
    """A reader waits for what is put and a flush for what is let go."""
    async with outbox(tmp_path) as opened, asyncio.timeout(10):
        reading = asyncio.create_task(opened.next(most=1, max_bytes=1))
        await asyncio.sleep(0.01)
        assert not reading.done()
        await opened.put([EVENTS[0].record])
        lines = await reading
        flushing = asyncio.create_task(opened.wait_until_empty())
        await asyncio.sleep(0.01)
        assert not flushing.done()

        await opened.advance(lines)

        await flushing
