"""Dead letters: kept until a person decides, over restarts, within their bound."""

from pathlib import Path

import pytest

from backends.errors import StorageFull
from backends.outbox import DeadLetters

EVENT = b'{"uuid":"x","message":{"event":1.10,",\\"event\\":":"\xc3\xbc"}}'


async def test_what_was_kept_is_there_as_it_was_also_after_a_restart(tmp_path: Path) -> None:
    """What was kept is there as it was also after a restart."""
    async with DeadLetters(tmp_path) as letters:
        await letters.keep(EVENT, uuid="x", code="schema_violation", detail='A ","event": in "quotes".\n')

    async with DeadLetters(tmp_path) as letters:
        [letter] = await letters.letters()

    assert (letter.event, letter.uuid, letter.code) == (EVENT, "x", "schema_violation")
    assert letter.detail == 'A ","event": in "quotes".\n'


async def test_what_was_dropped_does_not_come_back(tmp_path: Path) -> None:
    """What was dropped does not come back."""
    async with DeadLetters(tmp_path) as letters:
        for number in range(5):
            await letters.keep(EVENT, uuid=str(number), code="c", detail="d")
        numbers = [letter.number for letter in await letters.letters()]

        assert await letters.drop([numbers[1], numbers[3], numbers[3], "9-9"]) == 2

    async with DeadLetters(tmp_path) as letters:
        assert [letter.uuid for letter in await letters.letters()] == ["0", "2", "4"]
        assert letters.count == 3


async def test_none_is_evicted_when_there_is_no_room(tmp_path: Path) -> None:
    """None is evicted when there is no room."""
    async with DeadLetters(tmp_path, max_bytes=400) as letters:
        await letters.keep(EVENT, uuid="kept", code="c", detail="d")
        with pytest.raises(StorageFull):
            await letters.keep(EVENT, uuid="refused", code="c", detail="d" * 400)

        assert [letter.uuid for letter in await letters.letters()] == ["kept"]


async def test_what_was_dropped_gives_room(tmp_path: Path) -> None:
    """What was dropped gives room, before a restart and after one."""
    async with DeadLetters(tmp_path) as letters:
        await letters.keep(EVENT, uuid="a", code="c", detail="d")
        one = letters.size

    async with DeadLetters(tmp_path, max_bytes=one) as letters:
        assert letters.size == one
        with pytest.raises(StorageFull):
            await letters.keep(EVENT, uuid="b", code="c", detail="d")
        await letters.drop(letters.numbers)
        assert letters.size == 0
        await letters.keep(EVENT, uuid="b", code="c", detail="d")

    async with DeadLetters(tmp_path, max_bytes=one) as letters:
        assert (letters.count, letters.size) == (1, one)
