"""A program that publishes until it is killed, and says which events it was told are safe."""

import asyncio
import sys
from pathlib import Path

from eventserver.manager import EventManager

SYSTEM = "2319db24-f46e-11e6-a35c-3c15c2cc8f88"


async def main(directory: Path, listeners: Path, count: int) -> None:
    """Publish so many events, print the uuid of each that is safe; with none, wait until all are delivered."""
    async with EventManager(SYSTEM, directory, listeners=listeners) as manager:
        for number in range(count):
            message = {"eventTypeId": "sl_test_event", "eventTypeVersion": 1, "message": {"number": number}}
            print(await manager.publish(message), flush=True)  # noqa: T201 - that is what it is for
        while not count and any(one["isBehind"] or one["waiting"] for one in manager.listeners.status()):  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.05)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])))
