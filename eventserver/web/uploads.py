"""Reading an upload: one file in ``multipart/form-data``, streamed to where it will stay.

The predecessor's clients write the parameters of ``Content-Disposition`` in an order of their own, and names outside
ASCII as bytes of Latin-1 with a stray quote. So the parser reads headers as Latin-1, which never fails, and the name is
only ever used reduced to what is safe.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing, contextmanager
from functools import partial
from typing import Final

from aiohttp import hdrs, web
from aiohttp.streams import EmptyStreamReader
from multipart import MultipartError, MultipartSegment, ParserLimitReached, PushMultipartParser, parse_options_header

from backends.bundles import Incoming
from eventserver.refusal import Code, Refusal
from eventserver.web.bodies import read_chunks, too_large

FIELDS: Final = ("techsupport_tgz", "techsupport_zip", "file")
ENVELOPE_BYTES: Final = 64 * 1024
"""Of the body, beside the archive."""
_MOST_PARTS: Final = 8
_PIECE_BYTES: Final = 64 * 1024
_TURN_SECONDS: Final = 0.05


async def read_upload(
    request: web.Request, incoming: Incoming, *, limit: int, seconds: float, turns: asyncio.Semaphore
) -> str:
    """Stream the one file of an upload into its place; return its name as sent.

    Args:
        request: whose body has not been read, ``held_back``.
        incoming: takes the bytes.
        limit: the file has fewer bytes.
        seconds: the time for all of it.
        turns: held while a piece that has arrived is worked on.

    Raises:
        Refusal: ``unsupported_media_type``, ``invalid_upload``, ``payload_too_large``, ``request_timeout``.
        StoreError: the bytes can't be written.
        ConnectionResetError: the client is gone.

    """
    parser = PushMultipartParser(
        _boundary(request),
        max_segment_count=_MOST_PARTS,
        header_charset="latin-1",
    )
    upload = _Upload(incoming, limit)
    try:
        async with aclosing(read_chunks(request, limit=limit + ENVELOPE_BYTES, seconds=seconds)) as chunks:
            await _in_turns(request, chunks, turns, partial(upload.take_chunk, parser))
        parser.close()  # type: ignore[no-untyped-call]
    except ParserLimitReached:
        raise Refusal(Code.INVALID_UPLOAD, f"The upload has over {_MOST_PARTS} parts, or too long headers.") from None
    except MultipartError as error:
        raise Refusal(Code.INVALID_UPLOAD, f"The upload is not valid multipart/form-data: {error}.") from None
    if upload.name is None:
        raise Refusal(Code.INVALID_UPLOAD, f"There is no file in the upload; send it in the field {FIELDS[0]}.")
    return upload.name


class _Upload:
    """The parts of an upload, one after the other."""

    def __init__(self, incoming: Incoming, limit: int) -> None:
        self.name: str | None = None
        self._incoming = incoming
        self._limit = limit
        self._is_file = False

    async def take_chunk(self, parser: PushMultipartParser, chunk: bytes) -> None:
        """Take what has arrived, in small pieces; what stands behind the last boundary counts for nothing."""
        for start in range(0, len(chunk), _PIECE_BYTES):
            if parser.closed:
                return
            for event in parser.parse(chunk[start : start + _PIECE_BYTES]):
                await self.take(event)

    async def take(self, event: MultipartSegment | bytes | bytearray | None) -> None:
        """Take the begin of a part, a piece of it, or its end."""
        if isinstance(event, MultipartSegment):
            self._begin(event)
        elif event and self._is_file:
            if self._incoming.size + len(event) >= self._limit:
                raise too_large(self._limit - 1)
            await self._incoming.write(event)

    def _begin(self, segment: MultipartSegment) -> None:
        self._is_file = segment.name in FIELDS
        if not self._is_file:
            if segment.filename is not None:
                detail = (
                    f"The field {(segment.name or '')[:40]!r} is not known; send one file, in the field {FIELDS[0]}."
                )
                raise Refusal(Code.INVALID_UPLOAD, detail)
            return
        if self.name is not None:
            raise Refusal(Code.INVALID_UPLOAD, "There is more than one file in the upload; send each by itself.")
        self.name = segment.filename or ""


async def _in_turns(
    request: web.Request,
    chunks: AsyncIterator[bytes],
    turns: asyncio.Semaphore,
    take: Callable[[bytes], Awaitable[None]],
) -> None:
    """Read and take one chunk a turn; between turns what arrives stays in the kernel, and in the client.

    So it is the number of turns that memory depends on, not that of uploads. A client that sends nothing for a while
    loses its turn, and comes to the next one.
    """
    coming = asyncio.ensure_future(_next(chunks))
    try:
        while True:
            async with turns:
                _resume(request)
                await asyncio.wait((coming,), timeout=_TURN_SECONDS)
                _pause(request)
                if not coming.done():
                    continue
                if not (chunk := coming.result()):
                    return
                await take(chunk)
                del chunk
            coming = asyncio.ensure_future(_next(chunks))
    finally:
        coming.cancel()
        await asyncio.wait((coming,))
        if not coming.cancelled():
            coming.exception()


async def _next(chunks: AsyncIterator[bytes]) -> bytes:
    """Return the next chunk; nothing is the end."""
    try:
        return await anext(chunks)
    except StopAsyncIteration:
        return b""


@contextmanager
def held_back(request: web.Request) -> Iterator[None]:
    """Let nothing more arrive, but in turns, until the block ends; the first thing that a handler does.

    The framework lets half a megabyte wait in memory, which is much for a hundred uploads at a time.
    """
    content = request.content
    if isinstance(content, EmptyStreamReader):
        yield
        return
    usual = content._low_water, content._high_water  # noqa: SLF001 - what is public can only raise them
    content._low_water, content._high_water = 0, _PIECE_BYTES  # noqa: SLF001
    _pause(request)
    try:
        yield
    finally:
        content._low_water, content._high_water = usual  # noqa: SLF001
        _resume(request)


def _pause(request: web.Request) -> None:
    """Leave what is still to come in the kernel; the framework can do this only while it is unpacking a body."""
    transport = request.transport
    if transport is not None and not transport.is_closing() and transport.is_reading():
        transport.pause_reading()


def _resume(request: web.Request) -> None:
    request.protocol.resume_reading()
    transport = request.transport
    if transport is not None and not transport.is_closing() and not request.protocol._buffer_paused:  # noqa: SLF001
        transport.resume_reading()


def _boundary(request: web.Request) -> str:
    kind, options = parse_options_header(request.headers.get(hdrs.CONTENT_TYPE, ""))  # type: ignore[no-untyped-call]
    if kind != "multipart/form-data":
        detail = f"The body is said to be {kind[:80]!r}; send multipart/form-data with a file in {FIELDS[0]}."
        raise Refusal(Code.UNSUPPORTED_MEDIA_TYPE, detail)
    boundary: str = options.get("boundary", "")
    if not 1 <= len(boundary) <= 70 or not boundary.isascii() or not boundary.isprintable():  # noqa: PLR2004 - RFC 2046
        raise Refusal(Code.INVALID_UPLOAD, "The Content-Type names no boundary of 1 to 70 characters.")
    return boundary
