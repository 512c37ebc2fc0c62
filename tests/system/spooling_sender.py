"""A program that sends through a spool until it is killed, and says which events it was told are safe."""

import asyncio
import sys
from pathlib import Path

from eventserver.client import EventServerClient
from support.sent_events import sent_event


async def main(url: str, spool: Path, count: int) -> None:
    """Send so many events, print the uuid of each that is safe, then wait until all are delivered."""
    async with EventServerClient(url, spool=spool) as client:
        for number in range(count):
            receipt = await client.send(sent_event(number))
            print(receipt.uuid, flush=True)  # noqa: T201 - that is what it is for
        if not count:
            delivered = await client.flush(60)
            print("delivered" if delivered else f"{client.pending} wait", flush=True)  # noqa: T201


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])))
