"""A bound on the memory that bodies take together: those of all requests, or those of all answers."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from eventserver.refusal import Code, Refusal

ROOM_BYTES: Final = 128 * 1024 * 1024
"""Seven of the largest batches, and sixteen of the largest events beside them; or 32 of the largest pages."""
PART_OF_BATCHES: Final = 7 / 8
"""Batches take no more of it, so that the largest of single events find room beside them."""
FREE_BYTES: Final = 64 * 1024
"""Of each body so much is not counted: however many large ones stand there, an ordinary event finds room."""


class BodyRoom:
    """Bounds the bytes that are held together: of requests, bodies that did not come in one packet with their headers.

    Args:
        most: bytes.
        free: so many bytes of each body are not counted.

    """

    def __init__(self, most: int = ROOM_BYTES, free: int = FREE_BYTES) -> None:
        self.held = 0
        """Bytes that are held now, counted or free."""
        self._counted = 0
        self._most = most
        self._free = free

    @contextmanager
    def share(self, part: float = 1) -> Iterator[Callable[[int], None]]:
        """Take what a function, called with numbers of bytes, asks for; give it back when the block ends.

        Args:
            part: of the room, from 0 to 1: beyond it no more is taken.

        Yields:
            The function. It raises ``Refusal``, ``too_many_requests``, when there is no more.
        """
        taken = counted = 0

        def take(count: int) -> None:
            nonlocal taken, counted
            more = max(0, taken + count - self._free) - counted
            if more and self._counted + more > self._most * part:
                detail = "Others hold as many bytes as this server keeps at a time; send the request again later."
                raise Refusal(Code.TOO_MANY_REQUESTS, detail)
            self._counted += more
            counted += more
            self.held += count
            taken += count

        try:
            yield take
        finally:
            self.held -= taken
            self._counted -= counted
