"""Members of an archive for whoever is on the event loop: unpacked in threads, a piece at a time."""

import asyncio
from collections.abc import AsyncIterator
from typing import BinaryIO, NamedTuple

from eventserver.bundle import Member, find_member, list_members
from eventserver.bundle_intake import BundleIntake


class OpenMember(NamedTuple):
    """A member whose first piece is read."""

    member: Member
    first: bytes
    rest: AsyncIterator[bytes]


async def list_in_thread(intake: BundleIntake, file: BinaryIO) -> list[Member]:
    """Return the members of an archive.

    Raises:
        Refusal: something is wrong with it.

    """
    return await intake.in_thread(lambda: list(list_members(file)))


async def open_member(intake: BundleIntake, file: BinaryIO, path: str) -> OpenMember | None:
    """Begin to read one file of an archive; None where there is no such file.

    Raises:
        Refusal: something is wrong with the archive.

    """
    found = await intake.in_thread(find_member, file, path)
    if found is None:
        return None
    member, pieces = found
    first = await intake.in_thread(next, pieces, b"")

    async def rest() -> AsyncIterator[bytes]:
        while piece := await asyncio.to_thread(next, pieces, b""):
            yield piece

    return OpenMember(member, first, rest())
