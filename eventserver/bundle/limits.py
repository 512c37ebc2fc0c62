"""How much an archive may ask for. An archive that asks for more is refused before it gets it."""

import time
from collections.abc import Callable
from typing import Final, NamedTuple

from eventserver.refusal import Code, Refusal

_MIB: Final = 1024 * 1024


class Limits(NamedTuple):
    """The limits of one archive; what they were measured against stands in ``docs/adr/0007``."""

    members: int = 5_000
    """Files and directories, and the headers between them."""
    member_bytes: int = 128 * _MIB
    total_bytes: int = 256 * _MIB
    ratio: int = 100
    """Bytes that come out for each byte of the archive, beyond the first ``free_bytes``."""
    free_bytes: int = _MIB
    path_bytes: int = 512
    component_bytes: int = 255
    depth: int = 32
    """Directories in a path."""
    manifest_bytes: int = 512 * 1024
    """A half of the largest event: the manifest becomes one."""
    jobs_bytes: int = 8 * _MIB
    """Of the file that ``jobsJson`` names."""
    seconds: float = 10.0
    """Of the clock, for one pass through the archive."""


DEFAULT_LIMITS: Final = Limits()


class Budget:
    """What an archive has left of its limits; each step says what it takes before it goes on.

    Args:
        limits: of the archive.
        archive_bytes: its length.
        clock: seconds.

    """

    def __init__(self, limits: Limits, archive_bytes: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.limits = limits
        self._most = min(limits.total_bytes, max(limits.free_bytes, limits.ratio * archive_bytes))
        self._left = self._most
        self._members = 0
        self._clock = clock
        self._end = clock() + limits.seconds

    def take_header(self) -> None:
        """Count one member, or one header that says something of a member.

        Raises:
            Refusal: ``bundle_too_many_members``, ``bundle_too_complex``.

        """
        self._members += 1
        if self._members > self.limits.members:
            detail = f"The archive has more than {self.limits.members} members."
            raise Refusal(Code.BUNDLE_TOO_MANY_MEMBERS, detail)
        self._check_time()

    def take_bytes(self, count: int) -> None:
        """Count bytes that were unpacked.

        Raises:
            Refusal: ``bundle_too_large``, ``bundle_too_complex``.

        """
        self._left -= count
        if self._left < 0:
            raise self._too_large()
        self._check_time()

    def check_size(self, path: str, size: int) -> None:
        """Judge what a member says of its size, before a byte of it is unpacked.

        Raises:
            Refusal: ``bundle_too_large``.

        """
        if size > self.limits.member_bytes:
            detail = f"{path!r} says to have {size} bytes; a member may have {self.limits.member_bytes}."
            raise Refusal(Code.BUNDLE_TOO_LARGE, detail)
        if size > self._left:
            raise self._too_large()

    @property
    def room(self) -> int:
        """How many bytes may still be unpacked."""
        return self._left

    def _too_large(self) -> Refusal:
        detail = (
            f"Unpacked, the archive has more than {self._most} bytes: that is over {self.limits.total_bytes} bytes, or "
            f"{self.limits.ratio} times its own size."
        )
        return Refusal(Code.BUNDLE_TOO_LARGE, detail)

    def _check_time(self) -> None:
        if self._clock() > self._end:
            detail = f"Reading the archive takes longer than {self.limits.seconds:g} s."
            raise Refusal(Code.BUNDLE_TOO_COMPLEX, detail)
