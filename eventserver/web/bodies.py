"""Reading the body of a request, within limits of size and time."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import hdrs, web

from eventserver.batch import SLICE_SECONDS
from eventserver.refusal import Code, Refusal
from eventserver.web.keys import BODY_ROOM

_JSON_TYPES: Final = frozenset({"application/json", "text/plain", ""})
"""A missing type and ``text/plain`` are taken as JSON, for old clients."""
_ENCODINGS: Final = frozenset({"gzip", "deflate", "identity", ""})
NDJSON: Final = "application/x-ndjson"


def require_json(request: web.Request, *others: str) -> str:
    """Return the media type of the body, lower case.

    Raises:
        Refusal: ``unsupported_media_type``: it is neither JSON nor one of the others, or not in UTF-8, or has a
            content encoding that is not undone here.

    """
    headers = request.headers
    if hdrs.CONTENT_ENCODING in headers:
        _require_known(headers.getall(hdrs.CONTENT_ENCODING))
    header = headers.get(hdrs.CONTENT_TYPE, "")
    if header == "application/json":
        return header
    media_type, _, parameters = header.lower().partition(";")
    media_type = media_type.strip()
    if media_type not in _JSON_TYPES and media_type not in others:
        right = ", ".join(("application/json", *others))
        detail = f"The body is said to be {media_type[:80]!r}; send Content-Type: {right}."
        raise Refusal(Code.UNSUPPORTED_MEDIA_TYPE, detail)
    charset = parameters.partition("charset=")[2].partition(";")[0].strip(' "')
    if charset and charset not in {"utf-8", "utf8", "us-ascii"}:
        raise Refusal(Code.UNSUPPORTED_MEDIA_TYPE, f"The body is said to be in {charset[:40]!r}; JSON is UTF-8.")
    return media_type or "application/json"


def _require_known(encodings: list[str]) -> None:
    """Refuse an encoding that would be taken for the body itself, or undone only in part."""
    if len(encodings) > 1 or encodings[0].lower() not in _ENCODINGS:
        raise unknown_encoding(", ".join(encodings))


def unknown_encoding(encoding: str) -> Refusal:
    """Return the refusal of a body that is encoded in a way that is not undone here (RFC 9110 section 15.5.16)."""
    detail = f"The body is said to be encoded with {encoding[:40]!r}; gzip or deflate, once, are taken here."
    return Refusal(Code.UNSUPPORTED_MEDIA_TYPE, detail, headers={"Accept-Encoding": "gzip, deflate"})


def arrived_body(request: web.Request, limit: int) -> bytes | None:
    """Return the whole body if it is here already, as small ones are: they come in one packet with their headers.

    Raises:
        Refusal: ``payload_too_large``.

    """
    content = request.content
    if not content.is_eof() or content.exception() is not None:
        return None
    body = content.read_nowait(-1)
    if len(body) > limit:
        raise too_large(limit)
    return body


@asynccontextmanager
async def whole_body(request: web.Request, *, limit: int, seconds: float, part: float = 1) -> AsyncIterator[bytes]:
    """Read the whole body, decoded from its content encoding, and hold room for it while the block lasts.

    Args:
        request: whose body has not been read.
        limit: bytes at most, after decoding.
        seconds: the time for all of it.
        part: of the room for bodies, that such ones may take.

    Raises:
        Refusal: ``payload_too_large`` (at once when the declared length tells), ``request_timeout``,
            ``too_many_requests``.

    """
    body = arrived_body(request, limit)
    if body is not None:
        yield body
        return
    with request.app[BODY_ROOM].share(part) as take:
        chunks = []
        async for chunk in read_chunks(request, limit=limit, seconds=seconds):
            take(len(chunk))
            chunks.append(chunk)
        body = b"".join(chunks)
        chunks.clear()
        yield body


async def read_chunks(request: web.Request, *, limit: int, seconds: float) -> AsyncGenerator[bytes, None]:
    """Yield the body as it arrives, decoded from its content encoding.

    What arrived ahead of an end that comes too soon is given first: the bytes before the limit, or those before the
    connection was lost.

    Args:
        request: whose body has not been read.
        limit: bytes at most, after decoding.
        seconds: the time for all of it, not counting what the consumer takes.

    Raises:
        Refusal: ``payload_too_large`` (at once when the declared length tells), ``request_timeout``.
        ConnectionResetError: the client is gone, or the server stops, before the end of the body.

    """
    if (request.content_length or 0) > limit:
        raise too_large(limit)
    size, left, loop = 0, seconds, asyncio.get_running_loop()
    given_back = loop.time()
    while True:
        started = loop.time()
        if started - given_back > SLICE_SECONDS:
            # A chunk that is there already, or unpacks to many, is given without a turn of the loop.
            await asyncio.sleep(0)
            given_back = loop.time()
        try:
            async with asyncio.timeout(left):
                chunk = await _next_chunk(request)
        except TimeoutError:
            detail = f"The body did not arrive within {seconds:g} s."
            raise Refusal(Code.REQUEST_TIMEOUT, detail) from None
        left = max(0.001, left - (loop.time() - started))
        if not chunk:
            return
        size += len(chunk)
        if size > limit:
            yield chunk[: limit - size]
            raise too_large(limit)
        yield chunk
        chunk = b""  # it is not held while the next one is waited for


async def _next_chunk(request: web.Request) -> bytes:
    """Return what has arrived of the body, else wait for it; nothing is its end.

    aiohttp tells an error before it gives what arrived ahead of it, also when all has arrived; here it is the other
    way round.
    """
    content = request.content
    if content.exception() is None and (request.transport is not None or content.is_eof()):
        try:
            return await content.readany()
        except OSError:  # the connection is lost; how, is all the same
            pass
        except asyncio.CancelledError:
            if content.exception() is None:
                raise  # it is this task that is cancelled, not its request
    if (rest := content._read_nowait(-1)) or content.is_eof():  # noqa: SLF001 - what is public raises the error first
        return rest
    error = content.exception()
    if error is None or isinstance(error, OSError | asyncio.CancelledError):
        raise ConnectionResetError("the body is not all here, and nothing more will come") from error
    raise error


def too_large(limit: int) -> Refusal:
    """Return the refusal of a body over a limit of bytes."""
    return Refusal(Code.PAYLOAD_TOO_LARGE, f"The body is larger than the {limit} bytes that are taken here.")
