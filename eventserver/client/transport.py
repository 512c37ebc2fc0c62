"""One call: authenticated, compressed, under a time limit, tried again where that is safe, errors in our own terms."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from importlib.metadata import version
from typing import Any, Final, NamedTuple, TypeVar

from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    stop_after_attempt,
    stop_before_delay,
    wait_exponential_jitter,
)
from yarl import URL

from eventserver.client.answers import read_violations
from eventserver.client.authentication import Credentials
from eventserver.client.errors import (
    EventConflict,
    EventRefused,
    EventServerError,
    NotAuthorized,
    NotFound,
    RequestRefused,
    ServerFull,
    ServerUnavailable,
    ServerUnreachable,
    TemporaryFailure,
    UnexpectedAnswer,
)

JSON: Final = "application/json"
NDJSON: Final = "application/x-ndjson"
_CONNECT_SECONDS: Final = 10
_COMPRESSED_FROM: Final = 16 * 1024
_COMPRESSED_IN_THREAD: Final = 128 * 1024
_LARGEST_ANSWER: Final = 64 * 1024 * 1024
_PROBLEM_TYPES: Final = "application/json, application/problem+json"
_SUCCESSES: Final = frozenset({200, 201})

_ERRORS: Final[dict[int, type[EventServerError]]] = {
    400: EventRefused,
    401: NotAuthorized,
    403: NotAuthorized,
    404: NotFound,
    408: ServerUnavailable,
    409: EventConflict,
    413: EventRefused,
    422: EventRefused,
    429: ServerUnavailable,
    500: ServerUnavailable,
    502: ServerUnavailable,
    503: ServerUnavailable,
    504: ServerUnavailable,
    507: ServerFull,
}

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Retries:
    """How often, and for how long, a call is tried again.

    The wait grows from ``first_wait`` with factor 2 up to ``longest_wait``, with up to as much jitter as the first;
    a server's ``Retry-After`` counts instead, up to ``longest_wait``.
    """

    attempts: int = 5
    """All tries together; 1 is no retry."""
    seconds: float = 60.0
    """No further try begins after this time."""
    first_wait: float = 0.2
    longest_wait: float = 15.0


class Answer(NamedTuple):
    """A success."""

    status: int
    headers: Mapping[str, str]
    """Looked up without regard to case."""
    body: bytes
    next_query: str | None
    """Of the ``Link`` with ``rel="next"``. Only its query counts: a server can't send its clients elsewhere."""

    def value(self) -> Any:
        """Return the JSON value.

        Raises:
            UnexpectedAnswer: it is none.

        """
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise UnexpectedAnswer("the answer is not JSON; is this an event server?", status=self.status) from error


class Transport:
    """The connection to one server, for the time of an ``async with`` block.

    Args:
        url: of the server, such as ``http://host:8070``.
        credentials: of each request.
        retries: see there.
        timeout: seconds that one try may take, from the connection to the last byte of the answer.

    Raises:
        ValueError: the URL is none of http or https.

    """

    def __init__(self, url: str, *, credentials: Credentials, retries: Retries, timeout: float) -> None:
        self.url = URL(url)
        self._base = url.rstrip("/")
        if self.url.scheme not in {"http", "https"} or not self.url.host:
            msg = f"{url[:200]!r} is no URL of an event server, such as http://host:8070"
            raise ValueError(msg)
        self.tries = 0
        """Requests made since the start, those made again included."""
        self._credentials = credentials
        self._retrying = AsyncRetrying(
            retry=retry_if_exception_type(TemporaryFailure),
            stop=stop_after_attempt(retries.attempts) | stop_before_delay(retries.seconds),
            wait=self._wait_after,
            reraise=True,
        )
        self._wait = wait_exponential_jitter(
            multiplier=retries.first_wait, max=retries.longest_wait, jitter=retries.first_wait
        )
        self._longest_wait = retries.longest_wait
        self._timeout = timeout
        self._session: ClientSession | None = None

    async def open(self) -> None:
        """Make ready; nothing is sent."""
        agent = f"smrtlink-event-client/{version('smrtlink-event-server')}"
        self._session = ClientSession(headers={"User-Agent": agent, "Accept": _PROBLEM_TYPES})

    async def close(self) -> None:
        """Close the connections. Idempotent."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def get(self, path: str, query: str = "") -> Answer:
        """Ask for something; the query is encoded already."""
        return await self.trying(lambda: self.call("GET", path, query=query))

    async def post(self, path: str, body: bytes, content_type: str, *, is_retried: bool = True) -> Answer:
        """Send something that may be sent twice."""
        headers = {"Content-Type": content_type}
        if len(body) >= _COMPRESSED_FROM:
            headers["Content-Encoding"] = "gzip"
            body = await _compress(body)
        if not is_retried:
            return await self.call("POST", path, data=body, headers=headers)
        return await self.trying(lambda: self.call("POST", path, data=body, headers=headers))

    async def trying(self, call: Callable[[], Awaitable[Result]]) -> Result:
        """Make a call that is safe to make twice, again while it fails in a way that time may mend.

        Raises:
            EventServerError: what the last try raised.

        """
        async for attempt in self._retrying.copy():
            with attempt:
                return await call()
        raise AssertionError  # the last try has returned or raised

    async def call(
        self,
        method: str,
        path: str,
        *,
        query: str = "",
        data: Any = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - of one request, as aiohttp counts it
    ) -> Answer:
        """Make one request, once.

        Raises:
            EventServerError: it failed.

        """
        if self._session is None:
            msg = "the client is used outside of its `async with` block"
            raise RuntimeError(msg)
        target = URL(f"{self._base}{path}{'?' if query else ''}{query}", encoded=True)
        self.tries += 1
        request = self._session.request(
            method,
            target,
            data=data,
            headers={**(headers or {}), **self._credentials.headers(method, target.raw_path)},
            timeout=ClientTimeout(timeout or self._timeout, sock_connect=_CONNECT_SECONDS),
            allow_redirects=False,
        )
        with _errors_of_transport(self.url):
            async with request as response:
                body = b"".join([chunk async for chunk in _bounded(response)])
        link = response.links.get("next")
        answer = Answer(
            response.status, response.headers, body, None if link is None else URL(link["url"]).raw_query_string
        )
        if answer.status not in _SUCCESSES:
            raise error_of(answer)
        return answer

    async def stream(self, path: str, *, timeout: float) -> AsyncIterator[bytes]:  # noqa: ASYNC109 - as of ``call``
        """Ask for something large, once, and yield it as it comes.

        Raises:
            EventServerError: it failed, at the beginning or in the middle.

        """
        if self._session is None:
            msg = "the client is used outside of its `async with` block"
            raise RuntimeError(msg)
        target = URL(f"{self._base}{path}", encoded=True)
        self.tries += 1
        with _errors_of_transport(self.url):
            async with self._session.get(
                target,
                headers=self._credentials.headers("GET", target.raw_path),
                timeout=ClientTimeout(timeout, sock_connect=_CONNECT_SECONDS),
                allow_redirects=False,
            ) as response:
                if response.status not in _SUCCESSES:
                    body = b"".join([chunk async for chunk in _bounded(response)])
                    raise error_of(Answer(response.status, response.headers, body, None))
                async for chunk in response.content.iter_any():
                    yield chunk

    def _wait_after(self, state: RetryCallState) -> float:
        """Return how long to wait: as long as the server said, or as the back-off does."""
        error = state.outcome.exception() if state.outcome is not None else None
        asked = error.retry_after if isinstance(error, TemporaryFailure) else None
        return self._wait(state) if asked is None else min(asked, self._longest_wait)


@contextmanager
def _errors_of_transport(url: URL) -> Iterator[None]:
    """Say in our terms what aiohttp raises.

    Raises:
        ServerUnreachable: whatever kept the whole answer away.

    """
    place = f"{url.host}:{url.port}"
    try:
        yield
    except TimeoutError as error:
        raise ServerUnreachable(f"{place} has not answered in time") from error
    except (ClientError, OSError) as error:
        raise ServerUnreachable(f"{place} can't be reached: {error or type(error).__name__}") from error


def error_of(answer: Answer) -> EventServerError:
    """Return what an answer means that is no success."""
    try:
        document = json.loads(answer.body)
        code, detail = document.get("code"), document.get("detail") or document.get("message")
        violations = read_violations(document.get("errors"))
    except (ValueError, AttributeError, KeyError, TypeError):
        code, detail, violations = None, None, ()
    message = str(detail or f"the server answered {answer.status}")
    error = _kind_of(answer.status)(message, status=answer.status, code=code, violations=violations)
    if isinstance(error, TemporaryFailure):
        error.retry_after = read_retry_after(answer.headers.get("Retry-After"))
    return error


def _kind_of(status: int) -> type[EventServerError]:
    if status in _ERRORS:
        return _ERRORS[status]
    return {4: RequestRefused, 5: ServerUnavailable}.get(status // 100, UnexpectedAnswer)


def read_retry_after(text: str | None) -> float | None:
    """Read ``Retry-After``: seconds, or a date; None when it is neither."""
    if text is None:
        return None
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        return max(0.0, (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None


async def _bounded(response: ClientResponse) -> AsyncIterator[bytes]:
    """Yield the body, as long as it is not larger than any answer of an event server."""
    size = 0
    async for chunk in response.content.iter_any():
        size += len(chunk)
        if size > _LARGEST_ANSWER:
            response.close()
            raise UnexpectedAnswer(f"the answer is larger than {_LARGEST_ANSWER} bytes")
        yield chunk


async def _compress(body: bytes) -> bytes:
    if len(body) < _COMPRESSED_IN_THREAD:
        return gzip.compress(body, 1, mtime=0)
    return await asyncio.to_thread(gzip.compress, body, 1, mtime=0)
