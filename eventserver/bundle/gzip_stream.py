"""A gzip file that is read forward, within a budget, and that must be whole: one member and nothing behind it."""

import zlib
from collections.abc import Iterator
from typing import BinaryIO, Final

from eventserver.bundle.limits import Budget
from eventserver.bundle.members import corrupt, trailing, truncated

_IN: Final = 32 * 1024
_OUT: Final = 256 * 1024
_GZIP: Final = 31  # zlib's number for a gzip header and checksum around the deepest window
_MAGIC: Final = b"\x1f\x8b"


class GzipStream:
    """Unpacks as it is read; never holds more than a piece.

    Args:
        file: at its beginning.
        budget: counts each unpacked byte.

    """

    def __init__(self, file: BinaryIO, budget: Budget) -> None:
        self._file = file
        self._budget = budget
        self._inflater = zlib.decompressobj(_GZIP)
        self._piece = b""
        self._at = 0

    def read(self, length: int) -> bytes:
        """Return so many bytes, or what there is before the end; the lengths asked for are small.

        Raises:
            Refusal: it is damaged, ends too soon, or is over a limit.

        """
        piece = self._piece[self._at : self._at + length]
        self._at += len(piece)
        if len(piece) == length:
            return piece
        parts = [piece, *self.pieces(length - len(piece))]
        return b"".join(parts)

    def pieces(self, length: int) -> Iterator[bytes]:
        """Yield so many bytes in pieces, or what there is before the end."""
        while length and (self._at < len(self._piece) or self._fill()):
            piece = self._piece[self._at : self._at + length]
            self._at += len(piece)
            length -= len(piece)
            yield piece

    def skip(self, length: int) -> int:
        """Pass over so many bytes; return how many were missing."""
        while length and (self._at < len(self._piece) or self._fill()):
            step = min(length, len(self._piece) - self._at)
            self._at += step
            length -= step
        return length

    def require_end(self) -> None:
        """Read on to the end of the file, past zeros only.

        Raises:
            Refusal: ``bundle_trailing_data`` and those of reading.

        """
        while self._at < len(self._piece) or self._fill():
            if self._piece.count(0, self._at) != len(self._piece) - self._at:
                raise trailing("something behind the end of the tar archive")
            self._at = len(self._piece)

    def _fill(self) -> bool:
        """Unpack the next piece; False at the end, which is checked: the checksum, and that nothing follows."""
        inflater = self._inflater
        while not inflater.eof:
            data = inflater.unconsumed_tail or self._file.read(_IN)
            if not data:
                raise truncated()
            try:
                piece = inflater.decompress(data, min(_OUT, self._budget.room + 1))
            except zlib.error as error:
                raise corrupt(f"gzip says: {str(error)[:100]}") from None
            if piece:
                self._budget.take_bytes(len(piece))
                self._piece, self._at = piece, 0
                return True
        self._piece, self._at = b"", 0
        rest = inflater.unused_data or self._file.read(len(_MAGIC))
        if rest.startswith(_MAGIC):
            raise trailing("another gzip member behind the first")
        if rest:
            raise trailing("something behind the gzip member")
        return False
