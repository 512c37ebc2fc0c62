"""``EventServerClient``: everything that a program asks of an event server."""

from collections.abc import AsyncIterator, Awaitable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from urllib.parse import quote, urlencode

from backends.statistics import Statistic
from eventserver.client.answers import (
    BundleMember,
    EventType,
    Judgement,
    Receipt,
    ReceivedEvent,
    ServerStatus,
    Verdict,
    read_violations,
)
from eventserver.client.authentication import Credentials
from eventserver.client.batches import Sending, cut_into_batches
from eventserver.client.errors import UnexpectedAnswer
from eventserver.client.events import SentEvent, text_of
from eventserver.client.spool import MAX_BYTES, ClientSpool
from eventserver.client.transport import JSON, Answer, Retries, Transport
from eventserver.client.uploads import UPLOAD_SECONDS, Progress, upload
from eventserver.json_array import split_array
from eventserver.refusal import Refusal

TIMEOUT: Final = 30.0
_EVENTS: Final = "/api/v1/events"
_FILES: Final = "/api/v1/files"
_MOST_OF_A_PAGE: Final = 1000
_TYPE_KEYS: Final = ("eventTypeId", "eventTypeVersion", "title", "description")


class EventServerClient:
    """Speaks to one event server, for the time of an ``async with`` block.

    All methods may be called concurrently. What is safe to do twice is tried again, with back-off and jitter, while the
    server can't be reached or can't serve: all but an upload from an open file. Errors are those of
    ``eventserver.client.errors``; a ``TemporaryFailure`` has been tried again in vain.

    Args:
        url: of the server: ``http://host:8070``; a path before ``/api`` is kept.
        token: bearer token (operators' methods, and servers that ask for one).
        secret: the shared secret of SMRT Link systems, for HMAC.
        uid: the name that goes with the HMAC.
        timeout: seconds that one try may take.
        retries: how often a call is tried again, and for how long.
        spool: a directory of this client alone. With it ``send`` returns once an event is safe on the local disk; it
            is delivered in the background, in order, through outages and restarts, and stored exactly once.
        spool_max_bytes: of the events that wait there.

    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        secret: str | None = None,
        uid: str = "uid",
        timeout: float = TIMEOUT,
        retries: Retries | None = None,
        spool: Path | None = None,
        spool_max_bytes: int = MAX_BYTES,
    ) -> None:
        credentials = Credentials(token, secret, uid=uid)
        self._transport = Transport(url, credentials=credentials, retries=retries or Retries(), timeout=timeout)
        self.spool = ClientSpool(spool, self._transport, max_bytes=spool_max_bytes) if spool is not None else None
        """What waits on the local disk, and the dead letters; None without."""

    async def __aenter__(self) -> Self:
        """Open; whether the server is there shows with the first call.

        Raises:
            SpoolUnavailable: another client has the spool open, or its disk can't be used.

        """
        await self._transport.open()
        if self.spool is not None:
            try:
                await self.spool.open()
            except BaseException:
                await self._transport.close()
                raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections. What waits in a spool stays there for the next client. Idempotent."""
        if self.spool is not None:
            await self.spool.close()
        await self._transport.close()

    @property
    def pending(self) -> int:
        """How many events wait in the spool."""
        return 0 if self.spool is None else self.spool.pending

    async def flush(self, seconds: float) -> bool:
        """Wait until the spool is empty, as before the end of a program; tell whether that came true in time.

        Nothing is lost when it did not.
        """
        return self.spool is None or await self.spool.flush(seconds)

    def statistics(self) -> list[Statistic]:
        """Return what the client counts, for a program's own metrics."""
        requests = Statistic("requests_total", "Requests made, those made again included", self._transport.tries)
        return [requests, *(self.spool.statistics() if self.spool is not None else ())]

    async def status(self) -> ServerStatus:
        """Return what the server says of itself."""
        value = (await self._transport.get("/status")).value()
        with _expected():
            return ServerStatus(*[value[field] for field in ServerStatus._fields])

    async def send(self, event: SentEvent) -> Receipt:
        """Send one event; when this returns, it is safe: at the server, or in the spool.

        Raises:
            EventRefused: it is not valid.
            EventConflict: another event has its uuid.
            TemporaryFailure: it may, or may not, have been taken; sending it again is safe.

        """
        if self.spool is not None:
            return await self.spool.keep(text_of(event))
        answer = await self._transport.post(_EVENTS, text_of(event), JSON)
        return _receipt_of(answer)

    async def send_many(self, events: Iterable[SentEvent]) -> list[Verdict]:
        """Send events, in batches of up to 1,000, in their order.

        Events that the server could not take *now* are sent again, as after any other temporary failure; so an event
        that was stored by a try whose answer was lost is a ``duplicate``.

        Returns:
            A verdict for each event, in order.

        Raises:
            TemporaryFailure, PermanentFailure: of the batch as a whole. Those before it are stored.

        """
        if self.spool is not None:
            return await self.spool.keep_many(text_of(event) for event in events)
        sending, verdicts = Sending(self._transport), list[Verdict]()
        for batch in cut_into_batches(text_of(event) for event in events):
            verdicts += await sending.send(batch, first=len(verdicts))
        return verdicts

    async def get(self, uuid: str) -> ReceivedEvent:
        """Return the event with this uuid.

        Raises:
            NotFound: there is none.

        """
        return ReceivedEvent((await self._transport.get(f"{_EVENTS}/{_path_part(uuid)}")).body)

    async def find(
        self,
        *,
        system: str | None = None,
        event_type: str | None = None,
        version: int | None = None,
        from_: datetime | str | None = None,
        to: datetime | str | None = None,
        newest_first: bool = False,
        limit: int | None = None,
    ) -> AsyncIterator[ReceivedEvent]:
        """Run through events in the order of their ``createdAt``, page by page, each page when it is needed.

        An event that was there at the beginning, and fits, comes exactly once.

        Args:
            system: uuid of a SMRT Link system; all systems when left out.
            event_type: ``eventTypeId``.
            version: ``eventTypeVersion``; needs ``event_type``.
            from_: created at this time or later (a datetime has a time zone).
            to: created before this time.
            newest_first: the other direction.
            limit: so many at most.

        """
        path = _EVENTS if system is None else f"{_EVENTS}/smrt-link/{_path_part(system)}"
        left = limit
        asked = {
            "eventTypeId": event_type,
            "eventTypeVersion": version,
            "from": _instant(from_),
            "to": _instant(to),
            "order": "desc" if newest_first else "asc",
            "limit": min(left or _MOST_OF_A_PAGE, _MOST_OF_A_PAGE),
        }
        query: str | None = urlencode({name: value for name, value in asked.items() if value is not None})
        while query is not None and left != 0:
            answer = await self._transport.get(path, query)
            for text in await _elements_of(answer):
                yield ReceivedEvent(text)
                if left is not None and not (left := left - 1):
                    return
            query = answer.next_query

    async def upload(
        self,
        bundle: Path,
        *,
        timeout: float = UPLOAD_SECONDS,  # noqa: ASYNC109 - of a try
        progress: Progress | None = None,
    ) -> Receipt:
        """Send a tech-support bundle (``.tgz``, ``.tar.gz``, ``.zip``), streamed from the disk.

        The server makes an event of it, and knows the same archive again; so this too is tried again.

        Args:
            bundle: the archive.
            timeout: seconds that one try may take.
            progress: is told how many bytes have been read, in another thread; less again when another try begins.

        Raises:
            OSError: the file can't be read.
            EventRefused: the archive is not one that the server takes.

        """

        def send() -> Awaitable[Answer]:
            return upload(self._transport, bundle, seconds=timeout, progress=progress)

        return _receipt_of(await self._transport.trying(send))

    async def contents(self, uuid: str) -> list[BundleMember]:
        """List what is in the archive of a bundle, in its order.

        Raises:
            NotFound: no bundle has this uuid.
            RequestRefused: its archive is no longer kept (410).

        """
        value = (await self._transport.get(f"{_FILES}/{_path_part(uuid)}/contents")).value()
        with _expected():
            return [
                BundleMember(each["path"], each["size"], each["modifiedAt"], each["type"] == "directory")
                for each in value
            ]

    def download(
        self,
        uuid: str,
        path: str | None = None,
        *,
        timeout: float = UPLOAD_SECONDS,
    ) -> AsyncIterator[bytes]:
        """Yield the archive of a bundle, or one file in it, as it comes; not tried again.

        Args:
            uuid: of the bundle.
            path: of a file in the archive; the archive itself when left out.
            timeout: seconds that all of it may take.

        Raises:
            NotFound: no bundle has this uuid, or its archive no such file.
            RequestRefused: its archive is no longer kept (410).
            TemporaryFailure: it broke off.

        """
        member = "" if path is None else f"/contents/{quote(path, safe='/')}"
        return self._transport.stream(f"{_FILES}/{_path_part(uuid)}{member}", timeout=timeout)

    async def validate(self, event: SentEvent) -> Judgement:
        """Ask whether the server would take an event; nothing is stored."""
        value = (await self._transport.post("/api/v1/validate", text_of(event), JSON)).value()
        with _expected():
            return Judgement(
                value["valid"], value.get("code"), value.get("detail"), read_violations(value.get("errors"))
            )

    async def event_types(self) -> list[EventType]:
        """Return all versions of all event types that the server knows."""
        value = (await self._transport.get("/api/v1/event-types")).value()
        with _expected():
            return [EventType(*[version[key] for key in _TYPE_KEYS]) for version in value]


def _receipt_of(answer: Answer) -> Receipt:
    value = answer.value()
    with _expected():
        uuid = str(value["uuid"]).lower()
        # The predecessor tells nothing of the kind; it takes each event for a new one.
        return Receipt(answer.headers.get("Event-Status", "stored"), uuid, ReceivedEvent(answer.body))


async def _elements_of(answer: Answer) -> list[bytes]:
    try:
        return await split_array(answer.body, most=_MOST_OF_A_PAGE)
    except Refusal as error:
        raise UnexpectedAnswer(f"the server's list is none: {error.detail}") from error


@contextmanager
def _expected() -> Iterator[None]:
    """Read what an event server answers.

    Raises:
        UnexpectedAnswer: a key is missing, or has another type.

    """
    try:
        yield
    except (KeyError, TypeError, AttributeError) as error:
        raise UnexpectedAnswer(f"the answer lacks what an event server says: {error!r}") from error


def _path_part(uuid: str) -> str:
    return quote(uuid, safe="")


def _instant(moment: datetime | str | None) -> str | None:
    return moment.isoformat() if isinstance(moment, datetime) else moment
