"""Tar archives, read forward: files and directories, long names of GNU and of pax, and nothing else.

``tarfile`` of the standard library reads a header block (checksum, numbers, names); what follows on what is decided
here. Its own reader follows sparse maps, overrides of the size and chains of headers, and reads a pax header whole
whatever its size: all of that is refused here instead.
"""

import tarfile
from collections.abc import Iterator
from typing import Final, NamedTuple

from eventserver.bundle.gzip_stream import GzipStream
from eventserver.bundle.limits import Budget
from eventserver.bundle.members import (
    Member,
    Pieces,
    check_mode,
    corrupt,
    link,
    moment_of,
    safe_path,
    special_file,
    trailing,
    truncated,
    unsupported,
)
from eventserver.bundle.pax import read_pax

_BLOCK: Final = 512
_END: Final = bytes(_BLOCK)
_MAX_PAX: Final = 64 * 1024
_FILES: Final = frozenset({tarfile.REGTYPE, tarfile.AREGTYPE})
_LINKS: Final = frozenset({tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.GNUTYPE_LONGLINK})
_SPECIAL: Final = frozenset({tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE})


class _Said(NamedTuple):
    """What headers ahead of a member say of it."""

    path: str | None = None
    modified: float | None = None
    is_said: bool = False


_NOTHING: Final = _Said()


def read_tar(stream: GzipStream, budget: Budget) -> Iterator[tuple[Member, Pieces]]:
    """Yield each member with its content, in the order of the archive.

    Raises:
        Refusal: something is wrong with it; what was yielded before counts for nothing.

    """
    said = _NOTHING
    while (block := stream.read(_BLOCK)) != _END:
        budget.take_header()
        header = _read_header(block)
        budget.check_size(header.name, header.size)
        if header.type in {tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME}:
            said = _read_said(stream, budget, header, said)
            continue
        member = _member_of(header, said, budget)
        said = _NOTHING
        content = _Content(stream, member.size)
        if member.path:
            yield member, content.pieces()
        content.finish(header.size)
    if said.is_said:
        raise corrupt("a header says something of a member that does not follow")
    _require_end(stream)


class _Content:
    """The content of one member: what nobody asks for is passed over."""

    def __init__(self, stream: GzipStream, size: int) -> None:
        self._stream = stream
        self._left = size

    def pieces(self) -> Pieces:
        """Yield it."""
        for piece in self._stream.pieces(self._left):
            self._left -= len(piece)
            yield piece
        if self._left:
            raise truncated()

    def finish(self, size: int) -> None:
        """Go to the end of the member's last block."""
        if self._stream.skip(self._left + -size % _BLOCK):
            raise truncated()
        self._left = 0


def _read_header(block: bytes) -> tarfile.TarInfo:
    if len(block) < _BLOCK:
        raise truncated()
    try:
        header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except (tarfile.HeaderError, ValueError, OverflowError) as error:
        raise corrupt(f"a header of the tar archive is wrong ({str(error)[:60]})") from None
    if header.size < 0:
        raise corrupt("a member has a negative size")
    return header


def _read_said(stream: GzipStream, budget: Budget, header: tarfile.TarInfo, said: _Said) -> _Said:
    """Read a header that says something of the next member, or of all (then it may hold a comment only)."""
    if header.size > _MAX_PAX:
        raise unsupported(f"a header of {header.size} bytes")
    data = stream.read(header.size)
    if len(data) < header.size or stream.skip(-header.size % _BLOCK):
        raise truncated()
    if header.type == tarfile.XGLTYPE:
        read_pax(data, is_global=True)
        return said
    if said.is_said:
        raise unsupported("two headers for one member")
    if header.type == tarfile.XHDTYPE:
        values = read_pax(data)
        return _Said(values.path, values.modified, is_said=True)
    if header.size > budget.limits.path_bytes + 1:
        safe_path("x" * header.size, budget.limits)
    name = data[:-1] if data.endswith(b"\0") else data
    return _Said(name.decode("utf-8", "surrogateescape"), is_said=True)


def _member_of(header: tarfile.TarInfo, said: _Said, budget: Budget) -> Member:
    """Judge a header; what it is counts before how it is called."""
    name = header.name if said.path is None else said.path
    if header.type in _LINKS:
        raise link(name)
    if header.type in _SPECIAL:
        raise special_file(name)
    is_directory = header.type == tarfile.DIRTYPE
    if not is_directory and header.type not in _FILES:
        raise unsupported(f"a member of the type {header.type!r}")
    if is_directory and header.size:
        raise corrupt("a directory has a content")
    path = safe_path(name, budget.limits)
    if not is_directory and (not path or name.endswith("/")):
        raise corrupt("a file is called like a directory")
    check_mode(path, header.mode, is_directory=is_directory)
    modified = header.mtime if said.modified is None else said.modified
    return Member(path, header.size, moment_of(modified), is_directory)


def _require_end(stream: GzipStream) -> None:
    """Read the second block of zeros, and the padding behind it."""
    second = stream.read(_BLOCK)
    if len(second) < _BLOCK:
        raise truncated()
    if second != _END:
        raise trailing("something behind the end of the tar archive")
    stream.require_end()
