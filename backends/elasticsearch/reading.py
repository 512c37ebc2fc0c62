"""Reading: an event by its uuid, and lists."""

import json
import time
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from backends.base import Page, Position, Query
from backends.elasticsearch.connection import Answer, Connection, Pauses, Transient
from backends.elasticsearch.counts import Counts
from backends.elasticsearch.documents import PIECE_BYTES, UNKNOWN_BYTES, Document, Documents, Place
from backends.elasticsearch.layout import Layout
from backends.elasticsearch.records import read_record, tell_damage
from backends.elasticsearch.refreshing import Refresher
from backends.errors import StoreUnavailable

_PAGE: Final = 1000
_MISSING: Final = 404
_REFRESH_SECONDS: Final = 50.0
_FILTER: Final = "timed_out,hits.hits._index,hits.hits._id,hits.hits.sort"


class _Hit(NamedTuple):
    name: str
    position: Position
    bytes: int = UNKNOWN_BYTES


class Reading:
    """Reads events.

    Args:
        connection: asks.
        documents: reads by ids.
        layout: names.
        refresher: makes what was acknowledged seen by searches.
        counts: of what was found damaged.

    """

    def __init__(
        self, connection: Connection, documents: Documents, layout: Layout, refresher: Refresher, counts: Counts
    ) -> None:
        self._connection = connection
        self._documents = documents
        self._layout = layout
        self._refresher = refresher
        self._counts = counts

    async def get(self, uuid: str, deadline: float) -> bytes | None:
        """Return the record of an event; see ``EventStore.get``."""
        claims = await self._documents.read_claims([uuid], deadline=deadline)
        claim = claims[0] if claims else None
        if claim is not None:
            place = Place(claim.name, uuid)
        else:
            if claims is None:
                # Somebody deleted them; what was acknowledged is there all the same.
                await self._refresher.wait()
            by_arrival = {"size": 1, "sort": [{"@received": "asc"}], "query": {"ids": {"values": [uuid]}}}
            hits = await self._search(by_arrival, deadline)
            if not hits:
                return None
            place = Place(hits[0]["_index"], uuid)
        (found,) = await self._documents.read([place], deadline=deadline)
        return None if found is None else self._record(found)

    async def find(self, query: Query, limit: int, max_bytes: int, deadline: float) -> Page:
        """Return the first part of a list; see ``EventStore.find``."""
        await self._refresher.wait()
        records: list[bytes] = []
        size, last, after = 0, None, query.after
        while True:
            wanted = min(limit - len(records) + 1, _PAGE)
            found = await self._hits(query, after, wanted, deadline)
            hits = await self._claimed(found, deadline)
            while hits:
                if records and (len(records) == limit or size + hits[0].bytes > max_bytes):
                    return Page(records, last)
                piece = hits[: _fitting(hits, limit - len(records), min(max_bytes - size, PIECE_BYTES))]
                del hits[: len(piece)]
                for hit, record in zip(piece, await self._records(piece, deadline), strict=True):
                    if record is None:
                        continue
                    # Its claim may have been wrong about its size.
                    if records and size + len(record) > max_bytes:
                        return Page(records, last)
                    records.append(record)
                    size += len(record)
                    last = hit.position
            if len(found) < wanted:
                return Page(records, None)
            after = found[-1].position

    async def _hits(self, query: Query, after: Position | None, size: int, deadline: float) -> list[_Hit]:
        order = "desc" if query.descending else "asc"
        body: dict[str, Any] = {
            "size": size,
            "sort": [{"@at": order}, {"uuid": order}],
            "query": {"bool": {"filter": _conditions(query)}},
        }
        if after is not None:
            body["search_after"] = list(after)
        return [_Hit(hit["_index"], Position(*hit["sort"])) for hit in await self._search(body, deadline)]

    async def _search(self, body: dict[str, Any], deadline: float) -> list[dict[str, Any]]:
        """Return what is found over all events, without the documents."""
        text = json.dumps({**body, "_source": False, "track_total_hits": False}).encode()
        target = f"/{self._layout.events}/_search?allow_partial_search_results=false&filter_path={_FILTER}"
        answer = await self._connection.ask("POST", target, text, deadline=deadline)
        if answer.status == _MISSING:
            found = await self._layout.restore_aliases(deadline)
            if not found.has_events:
                return []
            answer = await self._connection.ask("POST", target, text, deadline=deadline)
        value = _checked(answer)
        if value.get("timed_out"):
            raise StoreUnavailable("Elasticsearch has found a part only")
        hits: list[dict[str, Any]] = value.get("hits", {}).get("hits", [])
        return hits

    async def _claimed(self, hits: Sequence[_Hit], deadline: float) -> list[_Hit]:
        """Leave out what another claim beats, and learn how large the others are."""
        claims = await self._documents.read_claims([hit.position.uuid for hit in hits], deadline=deadline)
        if claims is None:
            return list(hits)
        claimed = []
        for hit, claim in zip(hits, claims, strict=True):
            if claim is None:
                claimed.append(hit)
            elif claim.name == self._layout.without_number(hit.name):
                claimed.append(hit._replace(bytes=claim.bytes))
        return claimed

    async def _records(self, hits: Sequence[_Hit], deadline: float) -> list[bytes | None]:
        places = [Place(hit.name, hit.position.uuid) for hit in hits]
        found = await self._documents.read(places, sizes=[hit.bytes for hit in hits], deadline=deadline)
        return [None if document is None else self._record(document) for document in found]

    def _record(self, document: Document) -> bytes | None:
        record = read_record(document.source)
        if tell_damage(document.name, document.uuid, record):
            self._counts.damaged += 1
            return None
        return record


async def refresh(connection: Connection, layout: Layout, name: str, deadline: float) -> None:
    """Make all that is there seen by searches, by the aliases too.

    Raises:
        StoreUnavailable: not all of it could be.

    """
    # An alias that one of its indices lacks hides that one's events from a list, and nothing else says so.
    found = await layout.restore_aliases(deadline)
    if not (found.has_claims if name == layout.claims else found.has_events):
        return
    pauses = Pauses(deadline)
    while _checked(await _refresh(connection, name, deadline))["_shards"]["failed"]:
        await pauses.wait(Transient("Elasticsearch can't read a part of its data now"))


async def _refresh(connection: Connection, name: str, deadline: float) -> Answer:
    # It waits for a shard that is not there, and after a minute it says that nothing has failed.
    limit = min(deadline, time.monotonic() + _REFRESH_SECONDS)
    return await connection.ask("POST", f"/{name}/_refresh", deadline=limit)


def _checked(answer: Answer) -> dict[str, Any]:
    if not answer.ok:
        raise answer.problem()
    value: dict[str, Any] = answer.value()
    return value


def _conditions(query: Query) -> list[dict[str, Any]]:
    wanted = {
        "smrtlinkId": query.smrtlink_id,
        "eventTypeId": query.event_type_id,
        "eventTypeVersion": query.event_type_version,
    }
    conditions: list[dict[str, Any]] = [{"term": {key: value}} for key, value in wanted.items() if value is not None]
    bounds = {"gte": query.from_at, "lt": query.to_at}
    if any(bounds.values()):
        conditions.append({"range": {"@at": {key: value for key, value in bounds.items() if value is not None}}})
    return conditions


def _fitting(hits: Sequence[_Hit], count: int, room: int) -> int:
    """Return how many of the first hits are read together: one at least, and as many as there is room for."""
    size = 0
    for number, hit in enumerate(hits[:count]):
        size += hit.bytes
        if number and size > room:
            return number
    return min(len(hits), count)
