"""Listeners whose receiver is a list in this process: it fails, blocks and refuses as a test says."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from backends.base import Event
from backends.filesystem import FilesystemStore
from eventserver.manager.configuration import Configured, WebhookListener
from eventserver.manager.listened_store import ListenedStore
from eventserver.manager.listeners import Listeners
from eventserver.manager.sender import DeliveryFailed, Sender
from eventserver.manager.sources import Source, StoreLog

WAIT_SECONDS = 20.0


def listener(**more: object) -> Configured:
    """Return a listener that tries again at once."""
    waits = {"first_wait_seconds": 0.01, "longest_wait_seconds": 0.02}
    described = {"type": "webhook", "url": "http://example.org", **waits, **more}
    return Configured(WebhookListener.model_validate(described), {})


class Receiver(Sender):
    """Remembers what it got.

    Attributes:
        got: the uuids, in order.
        systems: the systems of them.
        open: cleared, sends wait.
        errors: raised by the next sends, the first one first.
        refused: raised by each send of an event with one of these uuids.

    """

    def __init__(self, lanes: int = 4) -> None:
        self.lanes = lanes
        self.got: list[str] = []
        self.systems: list[str] = []
        self.open = asyncio.Event()
        self.open.set()
        self.errors: list[Exception] = []
        self.refused: dict[str, Exception] = {}

    async def send(self, events: Sequence[Event]) -> None:
        """Take events, or fail as told."""
        await self.open.wait()
        for event in events:
            if self.errors:
                raise self.errors.pop(0)
            if event.uuid in self.refused:
                raise self.refused[event.uuid]
            self.got.append(event.uuid)
            self.systems.append(event.smrtlink_id)

    async def wait_for(self, uuids: Sequence[str]) -> None:
        """Wait until all of them were received."""
        async with asyncio.timeout(WAIT_SECONDS):
            while not set(uuids) <= set(self.got):  # noqa: ASYNC110 - a list is looked at
                await asyncio.sleep(0.005)


class Receivers(dict[str, Receiver]):
    """One for each listener, by name, made when it is asked for."""

    def __missing__(self, name: str) -> Receiver:
        """Make one."""
        self[name] = receiver = Receiver()
        return receiver

    def make(self, name: str, _: Configured) -> Sender:
        """Return the receiver as the sender of a listener."""
        return self[name]


@asynccontextmanager
async def listened(
    root: Path, receivers: Receivers, source: Source | None = None, **listeners: Configured
) -> AsyncIterator[tuple[ListenedStore, Listeners]]:
    """Open a filesystem store and listeners of it, as a server does."""
    async with (
        FilesystemStore(root) as store,
        Listeners(root / "listeners", source or StoreLog(store), listeners, receivers.make, store=store) as found,
    ):
        yield ListenedStore(store, found), found


async def wait_until_settled(listeners: Listeners, names: Sequence[str]) -> None:
    """Wait until nothing waits for these listeners."""
    async with asyncio.timeout(WAIT_SECONDS):
        for name in names:
            while _is_busy(listeners, name):  # noqa: ASYNC110 - counters are looked at
                await asyncio.sleep(0.01)


def _is_busy(listeners: Listeners, name: str) -> bool:
    found = listeners.get(name)
    return found is None or bool(found.status()["waiting"] or found.status()["isBehind"])


FAILED = DeliveryFailed("not now")
