"""Answers that are files: an archive or a range of it, and one member, which a browser never takes for a page."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import BinaryIO, Final
from urllib.parse import quote

from aiohttp import hdrs, web

from backends.bundles import BundlePath
from eventserver.bundle import Format, format_of
from eventserver.refusal import Code, Refusal
from eventserver.web.keys import BUNDLE_INTAKE
from eventserver.web.members import open_member
from eventserver.web.responses import in_time, write_pieces

_PIECE_BYTES: Final = 256 * 1024
_TYPES: Final = {Format.TGZ: "application/gzip", Format.ZIP: "application/zip"}
_SAFE: Final = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
}


@asynccontextmanager
async def open_archive(request: web.Request, path: BundlePath) -> AsyncIterator[BinaryIO]:
    """Open an archive for the time of the block.

    Raises:
        Refusal: ``gone``: its event is there, but the archive is not kept any longer; ``not_found``: the event names
            an archive that was never this server's, as one that somebody posted or imported.

    """
    file = await request.app[BUNDLE_INTAKE].bundles.open(path)
    if file is None and path.uuid != request.match_info["uuid"].lower():
        raise Refusal(Code.NOT_FOUND, "The archive that this event names is not here.")
    if file is None:
        raise Refusal(Code.GONE, "The archive of this bundle is no longer kept here; its event is.")
    try:
        yield file
    finally:
        file.close()  # it was only read: that takes no time, and is done also when this is cancelled


async def send_archive(request: web.Request, path: BundlePath, file: BinaryIO) -> web.StreamResponse:
    """Answer with an archive, or with a range of it (RFC 9110 section 14).

    Raises:
        Refusal: ``range_not_satisfiable``.

    """
    size, kind = await asyncio.to_thread(lambda: (file.seek(0, 2), format_of(file)))
    tag = f'"{path.uuid}"'
    headers = {"ETag": tag, "Accept-Ranges": "bytes", "Cache-Control": "private, no-cache", **_SAFE}
    if _names(request.headers.get(hdrs.IF_NONE_MATCH, ""), tag):
        return web.Response(status=304, headers=headers)
    headers |= {"Content-Type": _TYPES[kind], "Content-Disposition": _attachment(path.name)}
    start, end, status = 0, size, 200
    if (wanted := _range(request, size, tag)) is not None:
        start, end = wanted
        status, headers["Content-Range"] = 206, f"bytes {start}-{end - 1}/{size}"
    response = web.StreamResponse(status=status, headers=headers)
    response.content_length = end - start
    await response.prepare(request)
    if request.method != "HEAD":
        await asyncio.to_thread(file.seek, start)
        while start < end:
            piece = await asyncio.to_thread(file.read, min(_PIECE_BYTES, end - start))
            if not piece:
                raise ConnectionResetError("the archive is shorter than it was")
            start += len(piece)
            await write_pieces(request, response, piece)
    await in_time(request, response.write_eof())
    return response


async def send_member(request: web.Request, file: BinaryIO, path: str) -> web.StreamResponse:
    """Answer with one file of an archive, as plain text where it begins like text, else as bytes to be saved.

    Raises:
        Refusal: ``not_found``.

    """
    found = await open_member(request.app[BUNDLE_INTAKE], file, path)
    if found is None:
        raise Refusal(Code.NOT_FOUND, f"There is no file {path[:100]!r} in this bundle.")
    kind = "text/plain; charset=utf-8" if _is_text(found.first) else "application/octet-stream"
    name = path.rpartition("/")[2]
    headers = {"Content-Type": kind, "Content-Disposition": _attachment(name), **_SAFE}
    response = web.StreamResponse(headers=headers)
    response.content_length = found.member.size
    await response.prepare(request)
    if request.method != "HEAD":
        await write_pieces(request, response, found.first)
        async for piece in found.rest:
            await write_pieces(request, response, piece)
    await in_time(request, response.write_eof())
    return response


def _range(request: web.Request, size: int, tag: str) -> tuple[int, int] | None:
    """Return begin and end of the one range that is asked for; None where all is to be sent.

    What is not understood, several ranges among it, may be answered with all (RFC 9110 section 14.2).
    """
    if request.headers.get(hdrs.IF_RANGE, tag) != tag:
        return None
    unit, _, text = request.headers.get(hdrs.RANGE, "").partition("=")
    first, dash, last = text.strip().partition("-")
    if unit.strip().lower() != "bytes" or not dash or not all(_is_number(part) for part in (first, last) if part):
        return None
    if first:
        start, end = int(first), min(int(last) + 1 if last else size, size)
        if last and int(last) < int(first):
            return None
    elif last:
        start, end = max(0, size - int(last)), size
    else:
        return None
    if start >= size:
        detail = f"The range begins behind the end; the archive has {size} bytes."
        raise Refusal(Code.RANGE_NOT_SATISFIABLE, detail, headers={"Content-Range": f"bytes */{size}"})
    return start, end


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 18  # noqa: PLR2004 - digits of what no file has


def _names(header: str, tag: str) -> bool:
    return header.strip() == "*" or tag in [each.strip().removeprefix("W/") for each in header.split(",")]


def _is_text(beginning: bytes) -> bool:
    try:
        text = beginning.decode()
    except UnicodeDecodeError as error:
        if error.reason != "unexpected end of data":  # the piece may end within a character
            return False
        text = beginning[: error.start].decode()
    return "\0" not in text


def _attachment(name: str) -> str:
    """Return the header of a file to be saved (RFC 6266); a name in other letters stands in it percent-encoded."""
    plain = "".join(each if each.isascii() and (each.isalnum() or each in "._- ") else "_" for each in name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
