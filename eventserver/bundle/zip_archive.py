"""Zip archives: stored and deflated members, each checked against its size and its checksum."""

import zlib
from collections.abc import Iterator
from typing import BinaryIO, Final

from eventserver.bundle.limits import Budget
from eventserver.bundle.members import Member, Pieces, corrupt, truncated
from eventserver.bundle.zip_directory import STORED, ZipEntry, read_directory

_IN: Final = 32 * 1024
_OUT: Final = 256 * 1024


def read_zip(file: BinaryIO, size: int, budget: Budget) -> Iterator[tuple[Member, Pieces]]:
    """Yield each member with its content, in the order of their bytes.

    Raises:
        Refusal: something is wrong with it; what was yielded before counts for nothing.

    """
    for entry in read_directory(file, size, budget):
        if entry.member.path:
            yield entry.member, _checked(file, entry, budget)


def _checked(file: BinaryIO, entry: ZipEntry, budget: Budget) -> Pieces:
    """Yield the content; raise at its end if its size or its checksum is not what was said."""
    checksum, left = 0, entry.member.size
    unpack = _stored if entry.method == STORED else _inflated
    for piece in unpack(file, entry, budget):
        budget.take_bytes(len(piece))
        left -= len(piece)
        if left < 0:
            break
        checksum = zlib.crc32(piece, checksum)
        yield piece
    if left:
        raise corrupt(f"{entry.member.path[:100]!r} is not as long as it says")
    if checksum != entry.checksum:
        raise corrupt(f"the checksum of {entry.member.path[:100]!r} is wrong")


def _packed(file: BinaryIO, entry: ZipEntry) -> Iterator[bytes]:
    at, left = entry.data_at, entry.packed
    while left:
        file.seek(at)
        data = file.read(min(_IN, left))
        if not data:
            raise truncated()
        at += len(data)
        left -= len(data)
        yield data


def _stored(file: BinaryIO, entry: ZipEntry, _budget: Budget) -> Iterator[bytes]:
    return _packed(file, entry)


def _inflated(file: BinaryIO, entry: ZipEntry, budget: Budget) -> Iterator[bytes]:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    for packed in _packed(file, entry):
        data = packed
        while data:
            if inflater.eof:
                raise corrupt(f"{entry.member.path[:100]!r} has something behind its end")
            try:
                piece = inflater.decompress(data, min(_OUT, budget.room + 1))
            except zlib.error as error:
                raise corrupt(f"deflate says: {str(error)[:100]}") from None
            data = inflater.unconsumed_tail
            if piece:
                yield piece
        if inflater.unused_data:
            raise corrupt(f"{entry.member.path[:100]!r} has something behind its end")
    while not inflater.eof:
        # What is left is in the inflater's own window.
        piece = inflater.decompress(b"", min(_OUT, budget.room + 1))
        if not piece:
            raise corrupt(f"{entry.member.path[:100]!r} ends too soon")
        yield piece
