"""Posting to a receiver over HTTP: within a time limit, to an allowed address, following no redirect."""

import ssl
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any, Final, Self

from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout, DummyCookieJar, TCPConnector
from yarl import URL

from backends.base import Event
from eventserver.client.transport import read_retry_after
from eventserver.manager.addresses import GuardedResolver, require_allowed
from eventserver.manager.configuration import AutoAnalysisListener, Configured, WebhookListener
from eventserver.manager.sender import DeliveryFailed, DeliveryRefused, Sender

_REFUSED: Final = frozenset({400, 409, 410, 413, 415, 422})
"""What judges the event. Any other failure may be mended without it: a token, a URL, a server."""
_LONGEST_ANSWER: Final = 4 * 1024**2
_SHOWN: Final = 300
_REDIRECT: Final = range(300, 400)
_SUCCESS: Final = range(200, 300)


class HttpSender(Sender):
    """Posts one event at a time.

    Args:
        configured: the listener.

    """

    def __init__(self, configured: Configured) -> None:
        listener = configured.listener
        assert isinstance(listener, WebhookListener | AutoAnalysisListener)
        self.lanes = listener.concurrency
        self._url = URL(listener.url)
        self._place = f"{self._url.host}:{self._url.port}"
        self._listener = listener
        token = configured.secret("token")
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._session: ClientSession | None = None

    async def __aenter__(self) -> Self:
        """Make ready; nothing is sent."""
        listener = self._listener
        context = ssl.create_default_context(cafile=None if listener.ca_file is None else str(listener.ca_file))
        connector = TCPConnector(
            limit=self.lanes, ssl=context, resolver=GuardedResolver(listener.allowed_networks), ttl_dns_cache=30
        )
        agent = f"smrtlink-event-server/{version('smrtlink-event-server')}"
        self._session = ClientSession(
            connector=connector,
            cookie_jar=DummyCookieJar(),
            headers={"User-Agent": agent, "Content-Type": "application/json", **self._headers},
            timeout=ClientTimeout(total=listener.timeout_seconds),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the connections. Idempotent."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def send(self, events: Sequence[Event]) -> None:
        """Post the one event; a success is any 2xx.

        Raises:
            DeliveryFailed, DeliveryRefused: it was not taken.

        """
        [event] = events
        body, headers = self.make_request(event)
        assert self._session is not None, "not open"
        try:
            require_allowed(self._url.host or "", self._listener.allowed_networks)
            async with self._session.post(self._url, data=body, headers=headers, allow_redirects=False) as response:
                if response.status not in _SUCCESS:
                    raise await _error_of(response)
                await _read_through(response)
        except TimeoutError:
            raise DeliveryFailed(
                f"{self._place} has not answered within {self._listener.timeout_seconds:g} s"
            ) from None
        except (ClientError, OSError) as error:
            reason = error.__cause__ if isinstance(error.__cause__, OSError) else error
            raise DeliveryFailed(f"{self._place} can't be reached: {reason or type(error).__name__}") from error

    @abstractmethod
    def make_request(self, event: Event) -> tuple[bytes, Mapping[str, str]]:
        """Return the body and the headers that an event becomes.

        Raises:
            DeliveryRefused: it can't become one.

        """


async def _error_of(response: ClientResponse) -> Exception:
    """Return what an answer means that is no success."""
    status = response.status
    if status in _REDIRECT:
        return DeliveryFailed(f"it answered {status}, a redirect, which is not followed: set the url to its target")
    start: Any = b""
    try:
        start = await response.content.read(_SHOWN)
    finally:
        response.close()
    said = " ".join(start.decode(errors="replace").split())
    message = f"it answered {status}{': ' if said else ''}{said}"
    if status in _REFUSED:
        return DeliveryRefused(message, f"http_{status}")
    return DeliveryFailed(message, read_retry_after(response.headers.get("Retry-After")))


async def _read_through(response: ClientResponse) -> None:
    """Read an answer to its end, so that its connection can be used again; a long one is left."""
    size = 0
    async for chunk in response.content.iter_any():
        size += len(chunk)
        if size > _LONGEST_ANSWER:
            response.close()
            return
