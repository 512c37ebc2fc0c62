"""The way to Elasticsearch: requests and answers as bytes, and its errors in the terms of the contract.

The only module that knows the client. It is the official one, but used below its methods: they decode answers, and a
document that was decoded is not as it was sent any more.
"""

import asyncio
import random
import time
from io import BytesIO
from ssl import create_default_context
from typing import Any, Final, NamedTuple

from elastic_transport import (
    AiohttpHttpNode,
    AsyncTransport,
    ConnectionTimeout,
    HttpHeaders,
    Serializer,
    TlsError,
    TransportError,
)
from elastic_transport.client_utils import DEFAULT, DefaultType, basic_auth_to_header, url_to_node_config
from elasticsearch import AsyncElasticsearch
from jiter import from_json

from backends.elasticsearch.counts import Counts
from backends.elasticsearch.options import Options
from backends.errors import StorageFull, StoreClosed, StoreError, StoreUnavailable

JSON: Final = "application/vnd.elasticsearch+json; compatible-with=8"
NDJSON: Final = "application/vnd.elasticsearch+x-ndjson; compatible-with=8"
CONNECTIONS: Final = 64
ATTEMPTS: Final = 3
"""How often a connection that is refused or lost is tried again."""
_LARGE: Final = 1 << 20
_FIRST_PAUSE: Final = 0.02
_LONGEST_PAUSE: Final = 0.5
_TRANSIENT: Final = frozenset({429, 502, 503, 504})
CLOSED: Final = "index_closed_exception"
_FULL: Final = ("flood-stage", "read-only-allow-delete", "/12/")


class Transient(StoreUnavailable):
    """The same request may succeed in a moment; whether this one took effect is unknown."""


class ConnectionFailed(Transient):
    """There was no connection, or it was lost."""


class Answer(NamedTuple):
    """What Elasticsearch answered."""

    status: int
    body: bytes

    @property
    def ok(self) -> bool:
        """Whether it did what was asked for."""
        return 200 <= self.status < 300  # noqa: PLR2004 - as HTTP has it

    def value(self) -> Any:
        """Return the body, decoded.

        Raises:
            StoreUnavailable: it is not JSON.

        """
        try:
            return from_json(self.body)
        except ValueError as error:
            raise StoreUnavailable(f"the answer of Elasticsearch is no JSON: {self.body[:80]!r}") from error

    def problem(self) -> StoreError:
        """Return the error that it is."""
        kind, reason = self.reason()
        return problem(self.status, kind, reason)

    def reason(self) -> tuple[str, str]:
        """Return the type and the reason of the error that it is; a proxy's page has neither."""
        try:
            error = from_json(self.body)["error"]
            return error["type"], error.get("reason") or ""
        except (ValueError, KeyError, TypeError):
            return "", self.body[:200].decode(errors="replace")


def problem(status: int, kind: str, reason: str) -> StoreError:
    """Say an error of Elasticsearch, of a whole answer or of one item, in the terms of the contract."""
    if kind == "cluster_block_exception" and any(sign in reason for sign in _FULL):
        return StorageFull("Elasticsearch takes no documents: its disk is nearly full (flood stage)")
    if status == 401:  # noqa: PLR2004
        return StoreUnavailable("Elasticsearch refuses the credentials of the store URL (401)")
    if status == 403:  # noqa: PLR2004
        return StoreUnavailable(f"Elasticsearch does not allow this to the user of the store URL (403): {reason[:300]}")
    if kind == CLOSED:
        return Transient(f"an index in Elasticsearch is closed: {reason[:300]}")
    text = f"Elasticsearch answered {status} {kind}: {reason[:300]}"
    return Transient(text) if status in _TRANSIENT else StoreUnavailable(text)


class Pauses:
    """How long to wait before each further attempt: longer each time, and never twice the same."""

    def __init__(self, deadline: float) -> None:
        """Begin; ``deadline`` is a moment of ``time.monotonic``."""
        self._deadline = deadline
        self._pause = _FIRST_PAUSE

    async def wait(self, error: StoreError) -> None:
        """Wait; raises the error instead when there is no time for another attempt."""
        pause = self._pause * random.uniform(0.5, 1.0)  # noqa: S311 - jitter, no secret
        if time.monotonic() + pause >= self._deadline:
            raise type(error)(str(error))
        self._pause = min(self._pause * 2, _LONGEST_PAUSE)
        await asyncio.sleep(pause)


class Connection:
    """A pool of connections to all hosts.

    Args:
        options: where, and as whom.
        counts: of what is tried again.

    """

    def __init__(self, options: Options, counts: Counts) -> None:
        self._options = options
        self._counts = counts
        self._client: AsyncElasticsearch | None = None

    async def open(self) -> None:
        """Get ready; nothing is sent yet.

        Raises:
            StoreUnavailable: the certificates of ``ca`` can't be read.

        """
        # In a thread: with TLS it reads certificates.
        try:
            self._client = await asyncio.to_thread(self._make_client)
        except (OSError, ValueError) as error:
            raise StoreUnavailable(f"the connection to Elasticsearch can't be set up: {error}") from error

    def _make_client(self) -> AsyncElasticsearch:
        options = self._options
        headers = {}
        if options.api_key is not None:
            headers["authorization"] = f"ApiKey {options.api_key}"
        elif options.user is not None:
            headers["authorization"] = basic_auth_to_header((options.user, options.password or ""))
        more: dict[str, Any] = {"headers": HttpHeaders(headers), "connections_per_node": CONNECTIONS}
        if options.hosts[0].startswith("https:"):
            # Its own: the client's trusts the system's authorities besides ``ca``, and takes any certificate at an IP
            # address.
            more["ssl_context"] = create_default_context(cafile=options.ca)
        nodes = [url_to_node_config(host).replace(**more) for host in options.hosts]
        raw = _Raw()
        return AsyncElasticsearch(
            nodes,
            node_class=_Node,
            serializers={JSON: raw, "application/vnd.elasticsearch+json": raw, "application/json": raw},
            max_dead_node_backoff=5,
        )

    async def close(self) -> None:
        """Close all connections. Idempotent."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def send(
        self, method: str, target: str, body: bytes | None = None, *, deadline: float, mimetype: str = JSON
    ) -> Answer:
        """Send a request once, to a host that is believed to answer.

        Args:
            method: of HTTP.
            target: path and query.
            body: as it goes out.
            deadline: a moment of ``time.monotonic``.
            mimetype: of the body.

        Raises:
            Transient: no answer; whether the request took effect is unknown.
            StoreUnavailable: no answer, and trying again is of no use.

        """
        if self._client is None:
            raise StoreClosed("the store is not open")
        seconds = deadline - time.monotonic()
        if seconds <= 0:
            raise Transient("Elasticsearch has not answered in time")
        if len(self._options.hosts) > 1:
            # A host that hangs must leave time for the next one.
            seconds = max(seconds / 2, min(seconds, 0.1))
        transport: AsyncTransport = self._client.transport
        try:
            meta, content = await transport.perform_request(
                method,
                target,
                body=body,
                headers={"accept": JSON, "content-type": mimetype} if body else {"accept": JSON},
                request_timeout=seconds,
                max_retries=0,
            )
        except ConnectionTimeout:
            raise Transient("Elasticsearch has not answered in time") from None
        except TlsError as error:
            raise StoreUnavailable(f"no TLS connection to Elasticsearch: {error.message}") from error
        except (TransportError, OSError) as error:
            raise ConnectionFailed(f"no connection to Elasticsearch: {getattr(error, 'message', error)}") from error
        answer = Answer(meta.status, content or b"")
        if answer.ok and meta.headers.get("x-elastic-product") != "Elasticsearch":
            raise StoreUnavailable("what answers at the store URL is not Elasticsearch")
        return answer

    async def ask(
        self, method: str, target: str, body: bytes | None = None, *, deadline: float, mimetype: str = JSON
    ) -> Answer:
        """Send a request that may be sent twice, again while Elasticsearch is overloaded or can't do it *now*.

        Returns:
            An answer that says more than that.

        Raises:
            StoreError: there was none in time.

        """
        pauses, attempts = Pauses(deadline), 0
        while True:
            try:
                answer = await self.send(method, target, body, deadline=deadline, mimetype=mimetype)
                error = None if answer.ok else answer.problem()
            except Transient as failure:
                attempts += isinstance(failure, ConnectionFailed)
                if attempts >= ATTEMPTS + len(self._options.hosts) - 1:
                    raise
                error = failure
            if not isinstance(error, Transient):
                return answer
            self._counts.retries += 1
            await pauses.wait(error)


class _Raw(Serializer):
    """Bytes in, bytes out."""

    mimetype = "application/json"

    def loads(self, data: bytes) -> bytes:
        return data

    def dumps(self, data: bytes) -> bytes:
        return data


class _Node(AiohttpHttpNode):
    """One host."""

    async def perform_request(  # type: ignore[override]
        self,
        method: str,
        target: str,
        body: bytes | None = None,
        headers: HttpHeaders | None = None,
        request_timeout: DefaultType | float | None = DEFAULT,
    ) -> Any:
        if body is not None and len(body) > _LARGE:
            # In pieces: in one, it would hold the event loop.
            body = BytesIO(body)  # type: ignore[assignment]
        return await super().perform_request(method, target, body, headers, request_timeout)

    def _log_request(self, *_: Any, **__: Any) -> None:
        """Leave it out: it decodes every body, whatever the log's level is."""
