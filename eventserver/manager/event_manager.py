"""Publishing on the SMRT Link side: a message becomes an event of the system, is kept, and reaches each listener."""

import asyncio
import json
import os
from collections.abc import Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from uuid import uuid4

from backends.base import Event
from backends.disk import Disk
from backends.errors import StorageFull
from backends.lock import DirectoryLock
from backends.record import finish_record
from eventserver.manager.configuration import Configured, load_listeners
from eventserver.manager.listeners import Listeners, MakeSender
from eventserver.manager.senders import make_sender
from eventserver.manager.sources import OutboxLog
from eventserver.message import is_uuid, parse, received_now
from eventserver.refusal import Refusal
from eventserver.strict_json import decode

MAX_BYTES: Final = 1024**3
_MADE_BY_US: Final = ("smrtlinkId", "smrtLinkId")


class InvalidMessage(ValueError):
    """It is no SMRT Link Message; the text says what would be right."""


class EventManager:
    """Publishes the messages of one SMRT Link system; for the time of an ``async with`` block.

    ::

        async with EventManager(smrtlink_id, directory, listeners=Path("listeners.toml")) as manager:
            await manager.publish({"eventTypeId": "smrtlink_job_change_state", "eventTypeVersion": 1, "message": {...}})

    ``publish`` returns when the event is safe on the local disk. From there each listener whose filter takes it gets it
    at least once, in order, through outages, restarts and kill -9. An event server that it is posted to stores it once:
    its uuid is its identity.

    Args:
        smrtlink_id: identity of the system, a UUID.
        directory: where events wait; made when missing. One process has it open.
        listeners: the TOML file of the listeners, or what ``load_listeners`` made of one.
        dns_name: of the system, added to each event; None leaves it out.
        max_bytes: of the events that wait.
        make_sender: makes the sender of a listener.

    Raises:
        ValueError: the identity is no UUID.

    """

    def __init__(
        self,
        smrtlink_id: str,
        directory: Path,
        *,
        listeners: Path | Mapping[str, Configured],
        dns_name: str | None = None,
        max_bytes: int = MAX_BYTES,
        make_sender: MakeSender = make_sender,
    ) -> None:
        if not is_uuid(smrtlink_id):
            msg = f"{smrtlink_id!r} is no uuid, such as 83927d00-f46c-11e6-9f9b-3c15c2cc8f88"
            raise ValueError(msg)
        self.listeners: Listeners
        """Those at work, while it is open."""
        self._identity: dict[str, Any] = {"smrtlinkId": smrtlink_id}
        if dns_name is not None:
            self._identity["dnsName"] = dns_name
        self._directory = directory
        self._described = listeners
        self._max_bytes = max_bytes
        self._make_sender = make_sender
        self._opened = AsyncExitStack()
        self._outbox = OutboxLog(directory / "outbox", None)

    async def __aenter__(self) -> Self:
        """Open, and go on delivering what waits.

        Raises:
            ConfigurationError: the file of the listeners can't be used.
            DirectoryInUse: another process has the directory open.
            StoreError: the disk can't be used.

        """
        described = self._described
        if isinstance(described, Path):
            described = await asyncio.to_thread(load_listeners, described)
        lock = DirectoryLock(self._directory, f"pid {os.getpid()}, an EventManager")
        async with AsyncExitStack() as stack:
            await asyncio.to_thread(Disk().make_directory, self._directory)
            await asyncio.to_thread(stack.enter_context, lock)
            made = Listeners(self._directory, self._outbox, described, self._make_sender, store=None)
            self.listeners = await stack.enter_async_context(made)
            self._opened = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop delivering; what waits is delivered by the next one that opens the directory. Idempotent."""
        await self._opened.aclose()

    async def publish(self, message: Mapping[str, Any] | bytes | str) -> str:
        """Publish a SMRT Link Message; when it returns, the event is safe.

        Args:
            message: with ``eventTypeId``, ``eventTypeVersion`` and ``message``; ``uuid`` and ``createdAt`` are added
                where they are missing. A text is kept token for token.

        Returns:
            The event's uuid, in lower case.

        Raises:
            InvalidMessage: it is none, or has a ``smrtlinkId`` already.
            StorageFull, StoreUnavailable: it is not safe.

        """
        event = self._event_of(message)
        if self.listeners.takers[event.event_type_id, event.event_type_version]:
            if self._outbox.size + len(event.record) > self._max_bytes:
                raise StorageFull(f"events of {self._max_bytes} bytes wait already")
            await self.listeners.keep([event])
        return event.uuid

    def _event_of(self, message: Mapping[str, Any] | bytes | str) -> Event:
        try:
            system_message = parse(self._augmented(message))
        except Refusal as refusal:
            raise InvalidMessage(refusal.detail) from None
        uuid, smrtlink_id, event_type_id, version, at, _, original = system_message
        return Event(uuid, smrtlink_id, event_type_id, version, at, finish_record(original, at, received_now()))

    def _augmented(self, message: Mapping[str, Any] | bytes | str) -> bytes:
        """Return the event's text: what is missing, then what was given, as it was given."""
        if isinstance(message, Mapping):
            try:
                message = json.dumps(dict(message), ensure_ascii=False, allow_nan=False)
            except (TypeError, ValueError) as error:
                raise InvalidMessage(f"it can't be written as JSON: {error}") from error
        text = message.encode() if isinstance(message, str) else message
        value = decode(text)
        if not isinstance(value, dict):
            raise InvalidMessage("it must be a JSON object: one SMRT Link Message")
        if any(key in value for key in _MADE_BY_US):
            raise InvalidMessage("it must have no smrtlinkId: that of this system is added")
        made = {"uuid": str(uuid4()), "createdAt": datetime.now(UTC).isoformat(timespec="milliseconds")}
        added = {key: given for key, given in (self._identity | made).items() if key not in value}
        head = json.dumps(added, ensure_ascii=False, separators=(",", ":")).encode()[:-1]
        rest = text.strip()[1:]
        return head + (b"," if value else b"") + rest
