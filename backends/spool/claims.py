"""Which uuids are on their way: of two puts with one uuid the second waits for the first.

So an event has one unknown outcome at most: when the backend does not answer for the first one, that one is spooled,
and the second is judged against it there.
"""

import asyncio
import time
from collections.abc import Sequence

from backends.base import Event
from backends.errors import StoreUnavailable


class Claim:
    """The uuids of one call, until it knows what became of them."""

    __slots__ = ("_claims", "_uuids", "_waiting")

    def __init__(self, claims: "dict[str, Claim]", uuids: Sequence[str]) -> None:
        self._claims = claims
        self._uuids = uuids
        self._waiting: list[asyncio.Future[None]] = []

    def release(self) -> None:
        """Let others have their turn."""
        for uuid in self._uuids:
            self._claims.pop(uuid, None)
        for future in self._waiting:
            if not future.done():
                future.set_result(None)
        self._waiting.clear()
        self._uuids = ()

    async def released(self, deadline: float) -> None:
        """Return when its uuids are free.

        Args:
            deadline: a moment of ``time.monotonic``.

        Raises:
            StoreUnavailable: they are not by then.

        """
        if not self._uuids:
            return
        future = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        try:
            async with asyncio.timeout(deadline - time.monotonic()):
                await future
        except TimeoutError:
            raise StoreUnavailable("an event with the same uuid is still on its way") from None


class Claims:
    """All claims of a store."""

    def __init__(self) -> None:
        self._claims: dict[str, Claim] = {}

    def is_taken(self, uuid: str) -> bool:
        """Tell whether somebody has this uuid in hand."""
        return uuid in self._claims

    def take_one(self, uuid: str) -> Claim:
        """Claim a uuid that is not taken."""
        claim = self._claims[uuid] = Claim(self._claims, (uuid,))
        return claim

    def take(self, events: Sequence[Event], numbers: Sequence[int]) -> tuple[Claim, Sequence[int], dict[int, Claim]]:
        """Claim the uuids of events.

        Args:
            events: of the call.
            numbers: which of them are meant.

        Returns:
            The claim, the numbers of the events that it holds (several may have one uuid), and for each of the others
            the claim to wait for.

        """
        claims = self._claims
        mine: list[int] = []
        others: dict[int, Claim] = {}
        uuids: list[str] = []
        claim = Claim(claims, uuids)
        for number in numbers:
            uuid = events[number].uuid
            holder = claims.setdefault(uuid, claim)
            if holder is claim:
                mine.append(number)
                uuids.append(uuid)
            else:
                others[number] = holder
        return claim, mine, others
