"""Distinct events without end, told again from a seed: what is sent, and what can be asked for afterwards."""

from collections.abc import Iterator
from datetime import UTC, datetime
from random import Random
from typing import Final
from uuid import UUID

BLOCK: Final = 256
"""Events made at once: few enough not to delay an open loop, many enough to be cheap."""
SYSTEMS: Final = [str(UUID(bytes=Random(number).randbytes(16), version=4)) for number in range(300)]
"""The installations that send: hundreds, as in life."""


def uuids(seed: int, block: int) -> list[str]:
    """Return the uuids of one block of the events of a seed: random, and the same each time."""
    digits = Random(f"{seed}/{block}").randbytes(16 * BLOCK).hex()
    return [
        f"{digits[i : i + 8]}-{digits[i + 8 : i + 12]}-4{digits[i + 13 : i + 16]}"
        f"-a{digits[i + 17 : i + 20]}-{digits[i + 20 : i + 32]}"
        for i in range(0, 32 * BLOCK, 32)
    ]


def events(seed: int, other_every: int = 0) -> Iterator[bytes]:
    """Yield events as a client sends them, all of one length, each with a uuid of its own.

    ``createdAt`` is about now and the system one of 300, so that every order of the index gets its usual work.

    Args:
        seed: events of one seed have the same uuids each time.
        other_every: each so many-th is of version 2 of its type; 0 makes none.

    """
    block = 0
    while True:
        second = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S")
        for number, uuid in enumerate(uuids(seed, block)):
            version = 2 if other_every and (block * BLOCK + number) % other_every == 0 else 1
            yield (
                f'{{"smrtlinkId":"{SYSTEMS[(block * 7 + number) % 300]}","uuid":"{uuid}",'
                f'"createdAt":"{second}.{number:03d}Z","eventTypeId":"smrtlink_job_change_state","eventTypeVersion":{version},'
                f'"message":{{"jobId":{100_000 + block % 900_000},"jobTypeId":"pbsmrtpipe","state":"SUCCESSFUL"}}}}'
            ).encode()
        block += 1


def sample(seeds: range, count: int, size: int) -> list[str]:
    """Choose uuids among the first `count` events of each seed.

    Args:
        seeds: of the events that were sent.
        count: how many of each were sent and acknowledged.
        size: how many to choose, about evenly over all of them.

    """
    choose = Random(size)
    chosen: list[str] = []
    while len(chosen) < size:
        block = choose.randrange(max(1, count // BLOCK))
        there = uuids(choose.choice(seeds), block)[: count - block * BLOCK]
        chosen += choose.sample(there, min(16, len(there)))
    choose.shuffle(chosen)
    return chosen[:size]
