"""The tail: claims are numbered in the order in which they are made, and that is the order of arrival.

No clock is asked, so an event that comes late, by a copy with an old ``@received``, is the newest arrival all the same.
"""

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final, NamedTuple

from backends.base import Arrival
from backends.elasticsearch.connection import Answer, Connection
from backends.elasticsearch.counts import Counts
from backends.elasticsearch.documents import Documents, Place
from backends.elasticsearch.layout import Layout
from backends.elasticsearch.records import read_record, tell_damage
from backends.elasticsearch.refreshing import Refresher
from backends.errors import StoreUnavailable
from backends.record import read_event

PAGE: Final = 500
_MISSING: Final = 404
_TOKEN: Final = re.compile(r"([A-Za-z0-9_-]{22})\.(0|[1-9][0-9]{0,18})")
_FILTER: Final = "timed_out,hits.hits._id,hits.hits._source,hits.hits.sort"
_FIRST_PAUSE: Final = 0.01
_LONGEST_PAUSE: Final = 0.2


class _Numbering(NamedTuple):
    """How far the claims are numbered."""

    uuid: str
    """Identity of the index that numbers them."""
    newest: int
    complete: int
    """Up to here, all numbers are used and none will be."""


_NOT_STARTED: Final = _Numbering("", -1, -1)
"""Its shard can't be asked yet."""
_NONE: Final = _Numbering("", -1, -1)
"""There are no claims."""


class _Numbered(NamedTuple):
    number: int
    place: Place
    bytes: int


class Tailing:
    """Runs through the claims.

    Args:
        connection: asks.
        documents: reads events.
        layout: names.
        refresher: makes all claims seen by searches.
        counts: of what was found damaged.
        timeout: seconds that each step may take.
        patience: seconds after which a claim without an event is passed.

    """

    def __init__(
        self,
        connection: Connection,
        documents: Documents,
        layout: Layout,
        refresher: Refresher,
        counts: Counts,
        *,
        timeout: float,
        patience: float,
    ) -> None:
        self._connection = connection
        self._documents = documents
        self._layout = layout
        self._refresher = refresher
        self._counts = counts
        self._timeout = timeout
        self._patience = patience

    async def tail(self, token: str | None) -> AsyncIterator[Arrival]:
        """Run through all arrivals behind a token; see ``EventStore.tail``."""
        match = _TOKEN.fullmatch(token) if token is not None else None
        if token is not None and match is None:
            raise _foreign(token)
        numbering = await self._numbering()
        # All that is numbered so far was claimed before this moment, by writers that do not take longer.
        written_by = time.monotonic() + self._patience
        if match is not None and (match[1] != numbering.uuid or int(match[2]) > numbering.newest):
            raise _foreign(token or "")
        if numbering.newest < 0:
            return
        last = int(match[2]) if match else -1
        await self._refresher.wait()
        while last < numbering.newest:
            page = await self._page(last, numbering.newest)
            for piece in _pieces(page):
                for numbered, record in zip(piece, await self._records(piece, written_by), strict=True):
                    if record is None:
                        continue
                    if tell_damage(*numbered.place, record):
                        self._counts.damaged += 1
                        continue
                    yield Arrival(read_event(record), f"{numbering.uuid}.{numbered.number}")
            if len(page) < PAGE:
                return
            last = page[-1].number

    async def _numbering(self) -> _Numbering:
        """Return how far the claims are numbered, when all numbers up to there are used."""
        deadline, pause = time.monotonic() + self._timeout, _FIRST_PAUSE
        numbering = await self._ask_numbering()
        newest = numbering.newest
        while numbering is _NOT_STARTED or numbering.complete < newest:
            # A claim with a smaller number is still being written, for some milliseconds.
            if time.monotonic() > deadline:
                raise StoreUnavailable("Elasticsearch can't read all claims now")
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
            before, numbering = numbering, await self._ask_numbering()
            newest = numbering.newest if before is _NOT_STARTED else newest
        return numbering._replace(newest=newest)

    async def _ask_numbering(self) -> _Numbering:
        target = f"/{self._layout.claims}/_stats/docs?level=shards&filter_path=indices.*.uuid,indices.*.shards"
        answer = await self._ask("GET", target)
        if answer.status == _MISSING:
            if not await self._make_claims():
                return _NONE
            answer = await self._ask("GET", target)
        if not answer.ok:
            raise answer.problem()
        for index in answer.value().get("indices", {}).values():
            for shard in index.get("shards", {}).get("0", ()):
                if shard["routing"]["primary"] and "seq_no" in shard:
                    numbers = shard["seq_no"]
                    return _Numbering(index["uuid"], numbers["max_seq_no"], numbers["global_checkpoint"])
        return _NOT_STARTED

    async def _make_claims(self) -> bool:
        """Have the claims made again that somebody deleted, or their alias; tell whether there are any."""
        deadline = time.monotonic() + self._timeout
        found = await self._layout.restore_aliases(deadline)
        if found.has_events and not found.has_claims:
            await self._layout.create(self._layout.claims, deadline=deadline)
        return found.has_events or found.has_claims

    async def _page(self, last: int, newest: int) -> list[_Numbered]:
        body: dict[str, Any] = {
            "size": PAGE,
            "sort": [{"_seq_no": "asc"}],
            "search_after": [last],
            "query": {"range": {"_seq_no": {"lte": newest}}},
            "track_total_hits": False,
        }
        target = f"/{self._layout.claims}/_search?allow_partial_search_results=false&filter_path={_FILTER}"
        answer = await self._ask("POST", target, json.dumps(body).encode())
        if not answer.ok:
            raise answer.problem()
        value = answer.value()
        if value.get("timed_out"):
            raise StoreUnavailable("Elasticsearch has found a part only")
        hits = value.get("hits", {}).get("hits", [])
        return [
            _Numbered(hit["sort"][0], Place(hit["_source"]["index"], hit["_id"]), hit["_source"].get("bytes", 0))
            for hit in hits
        ]

    async def _records(self, piece: Sequence[_Numbered], written_by: float) -> list[bytes | None]:
        """Return the record for each claim; where there is none, it may be on its way until that moment."""
        pause = _FIRST_PAUSE
        records: dict[Place, bytes] = {}
        waiting = list(piece)
        while True:
            places = [numbered.place for numbered in waiting]
            sizes = [numbered.bytes for numbered in waiting]
            found = await self._documents.read(places, sizes=sizes, deadline=time.monotonic() + self._timeout)
            for place, document in zip(places, found, strict=True):
                if document is not None:
                    records[place] = read_record(document.source)
            waiting = [numbered for numbered in waiting if numbered.place not in records]
            if not waiting or time.monotonic() > written_by:
                return [records.get(numbered.place) for numbered in piece]
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    async def _ask(self, method: str, target: str, body: bytes | None = None) -> Answer:
        return await self._connection.ask(method, target, body, deadline=time.monotonic() + self._timeout)


def _pieces(page: Sequence[_Numbered]) -> list[list[_Numbered]]:
    """Part a page into pieces whose records fit into memory together."""
    pieces: list[list[_Numbered]] = []
    room = 0
    for numbered in page:
        if not pieces or numbered.bytes > room:
            pieces.append([])
            room = 4 << 20
        pieces[-1].append(numbered)
        room -= numbered.bytes
    return pieces


def _foreign(token: str) -> ValueError:
    return ValueError(f"not a token of this store: {token[:40]!r}")
