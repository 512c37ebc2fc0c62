"""The client of an event server: asynchronous, typed, and safe to retry.

::

    async with EventServerClient("http://events.example.org:8070") as client:
        receipt = await client.send({"smrtlinkId": ..., "uuid": ..., ...})
        async for event in client.find(system=receipt.event.value["smrtlinkId"], limit=10):
            print(event.value["message"])

``BlockingEventServerClient`` is the same without ``await``. What may be raised, and what of it may be tried again, is
drawn in ``eventserver.client.errors``.
"""

from eventserver.client.answers import BundleMember, EventType, Judgement, Receipt, ReceivedEvent, ServerStatus, Verdict
from eventserver.client.blocking import BlockingEventServerClient
from eventserver.client.client import EventServerClient
from eventserver.client.errors import (
    EventConflict,
    EventRefused,
    EventServerError,
    NotAuthorized,
    NotFound,
    PermanentFailure,
    RequestRefused,
    ServerFull,
    ServerUnavailable,
    ServerUnreachable,
    SpoolFull,
    SpoolUnavailable,
    TemporaryFailure,
    UnexpectedAnswer,
    Violation,
)
from eventserver.client.events import SentEvent
from eventserver.client.transport import Retries

__all__ = [
    "BlockingEventServerClient",
    "BundleMember",
    "EventConflict",
    "EventRefused",
    "EventServerClient",
    "EventServerError",
    "EventType",
    "Judgement",
    "NotAuthorized",
    "NotFound",
    "PermanentFailure",
    "Receipt",
    "ReceivedEvent",
    "RequestRefused",
    "Retries",
    "SentEvent",
    "ServerFull",
    "ServerStatus",
    "ServerUnavailable",
    "ServerUnreachable",
    "SpoolFull",
    "SpoolUnavailable",
    "TemporaryFailure",
    "UnexpectedAnswer",
    "Verdict",
    "Violation",
]
