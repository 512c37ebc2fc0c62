"""Comparing what was put with what is there."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from typing import Final

from backends.base import Outcome, Status
from backends.equality import same_content
from backends.record import original_of

_LARGE_RECORD: Final = 64 * 1024
_SLICE_SECONDS: Final = 0.005


async def judge(pairs: Sequence[tuple[bytes, bytes]]) -> AsyncIterator[tuple[int, Outcome]]:
    """Judge records against those that are there; never holds the event loop for long.

    Args:
        pairs: the record that was put, and the one that is there.

    Yields:
        The number of a pair, and what the first of it is.

    """
    started = time.monotonic()
    for number, (record, present) in enumerate(pairs):
        if time.monotonic() - started > _SLICE_SECONDS:
            await asyncio.sleep(0)
            started = time.monotonic()
        sent, stored = original_of(record), original_of(present)
        if len(sent) <= _LARGE_RECORD or sent == stored:
            same = _is_same(sent, stored)
        else:
            same = await asyncio.to_thread(_is_same, sent, stored)
        yield number, Outcome(Status.DUPLICATE if same else Status.CONFLICT, present)


def _is_same(sent: bytes, stored: bytes) -> bool:
    try:
        return same_content(sent, stored)
    except (ValueError, KeyError, AttributeError):
        # What is there was changed by somebody, and is no event any more; what was put is not that.
        return False
