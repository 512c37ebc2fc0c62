"""A bound on the memory that the bodies of all requests take together."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from eventserver.refusal import Code, Refusal

ROOM_BYTES: Final = 128 * 1024 * 1024
"""Eight of the largest batches, or 128 of the largest events, at a time."""
FREE_BYTES: Final = 64 * 1024
"""Of each body so much is not counted: however many large ones stand there, an ordinary event finds room."""


class BodyRoom:
    """Bounds the bytes that all requests together hold of bodies that did not come in one packet with their headers.

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
    def share(self) -> Iterator[Callable[[int], None]]:
        """Take what a function, called with numbers of bytes, asks for; give it back when the block ends.

        The function raises ``Refusal``, ``too_many_requests``, when there is no more.
        """
        taken = counted = 0

        def take(count: int) -> None:
            nonlocal taken, counted
            more = max(0, taken + count - self._free) - counted
            if more and self._counted + more > self._most:
                detail = "Other requests hold as many bytes as this server takes at a time; send it again later."
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
