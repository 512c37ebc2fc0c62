"""Making the claims again from the events, after somebody deleted them.

Until they are whole, nobody judges by them: they have no alias (``layout``). Several servers may do this at once, and
one may go on with what another has left: a claim is only ever created.

The events are claimed in the order in which they were received, so that they arrive in it again, and so that of two
under one uuid, of which a server that died left one in vain, the first one counts.
"""

import asyncio
import json
import logging
import time
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from backends.elasticsearch.connection import NDJSON, Answer, Connection, Pauses, Transient
from backends.errors import StoreUnavailable

_LOGGER: Final = logging.getLogger(__name__)
_SECONDS: Final = 30.0
"""What each request may take, with all attempts."""
_REPORT_SECONDS: Final = 10.0
PAGE: Final = 2000
_CREATED: Final = 201
_THERE: Final = 409
_FILTER: Final = "hits.hits._index,hits.hits._id,hits.hits.sort"


class _Found(NamedTuple):
    """An event that wants a claim."""

    uuid: str
    name: str
    """That its index is written by."""


class Rebuilding:
    """Fills one index of claims.

    Args:
        connection: asks.
        events: alias of all events; each index of events must have it.
        without_number: tells the name that an index is written by.
        lease: seconds for which a writer may still acknowledge by a claim that is gone.

    """

    def __init__(self, connection: Connection, events: str, without_number: Any, lease: float) -> None:
        self._connection = connection
        self._events = events
        self._without_number = without_number
        self._lease = lease
        self._doubles: list[_Found] = []

    async def fill(self, index: str) -> None:
        """Create the claims that are missing in an index.

        Raises:
            StoreError: it did not succeed; what was created stays.

        """
        _LOGGER.warning("the claims of %s are gone, and are made again from the events", self._events)
        # What is acknowledged by the claims that are gone is there after this.
        await asyncio.sleep(self._lease)
        await self._refresh()
        count, after, reported = 0, None, time.monotonic()
        while page := await self._page(after):
            after = page[-1]["sort"]
            await self._claim(index, [_Found(hit["_id"], self._without_number(hit["_index"])) for hit in page])
            if len(self._doubles) >= PAGE:
                await self._settle_doubles(index)
            count += len(page)
            if time.monotonic() - reported > _REPORT_SECONDS:
                reported = time.monotonic()
                _LOGGER.warning("%d claims of %s are made again", count, self._events)
        await self._settle_doubles(index)
        _LOGGER.warning("all %d claims of %s are made again", count, self._events)

    async def _refresh(self) -> None:
        answer = await self._ask(f"/{self._events}/_refresh")
        if answer["_shards"]["failed"]:
            raise StoreUnavailable("Elasticsearch can't read a part of its data now")

    async def _page(self, after: Any) -> list[dict[str, Any]]:
        body: dict[str, Any] = {
            "size": PAGE,
            "sort": [{"@received": "asc"}, {"uuid": "asc"}],
            "_source": False,
            "track_total_hits": False,
        }
        if after is not None:
            body["search_after"] = after
        target = f"/{self._events}/_search?allow_partial_search_results=false&filter_path={_FILTER}"
        hits: list[dict[str, Any]] = (await self._ask(target, body)).get("hits", {}).get("hits", [])
        return hits

    async def _claim(self, index: str, found: Sequence[_Found]) -> None:
        """Create claims; note which of them exist for other events."""
        pauses = Pauses(time.monotonic() + _SECONDS)
        while True:
            statuses = await self._bulk(
                [
                    b'{"create":{"_index":"%b","_id":"%b"}}\n{"index":"%b"}\n'
                    % (index.encode(), each.uuid.encode(), each.name.encode())
                    for each in found
                ]
            )
            there = [each for each, status in zip(found, statuses, strict=True) if status == _THERE]
            if all(status in {_CREATED, _THERE} for status in statuses):
                break
            await pauses.wait(Transient("Elasticsearch does not take all claims now"))
        for each, claim in zip(there, await self._read(index, there), strict=True):
            if claim["_source"]["index"] != each.name:
                self._doubles.append(each)

    async def _settle_doubles(self, index: str) -> None:
        """Give a claim to the other event where the one that has it was just removed, as beaten by an older claim."""
        doubles, self._doubles = self._doubles, []
        if not doubles:
            return
        await asyncio.sleep(self._lease)
        claims = await self._read(index, doubles)
        names = [claim["_source"]["index"] for claim in claims]
        claimed = await self._are_there([each._replace(name=name) for each, name in zip(doubles, names, strict=True)])
        others = await self._are_there(doubles)
        await self._bulk(
            [
                b'{"index":{"_index":"%b","_id":"%b","if_seq_no":%d,"if_primary_term":%d}}\n{"index":"%b"}\n'
                % (index.encode(), each.uuid.encode(), claim["_seq_no"], claim["_primary_term"], each.name.encode())
                for each, claim, is_claimed, is_other in zip(doubles, claims, claimed, others, strict=True)
                if is_other and not is_claimed
            ]
        )

    async def _read(self, index: str, found: Sequence[_Found]) -> list[dict[str, Any]]:
        documents = await self._mget([each._replace(name=index) for each in found], source=True)
        if not all(document.get("found") for document in documents):
            raise Transient("Elasticsearch has lost a claim just made")
        return documents

    async def _are_there(self, places: Sequence[_Found]) -> list[bool]:
        return [bool(document.get("found")) for document in await self._mget(places, source=False)]

    async def _mget(self, places: Sequence[_Found], *, source: bool) -> list[dict[str, Any]]:
        if not places:
            return []
        body = {"docs": [{"_index": each.name, "_id": each.uuid} for each in places]}
        documents: list[dict[str, Any]] = (await self._ask(f"/_mget?_source={str(source).lower()}", body))["docs"]
        if any("error" in document for document in documents):
            raise Transient("Elasticsearch can't read all claims now")
        return documents

    async def _bulk(self, units: Sequence[bytes]) -> list[int]:
        """Return the status of each action."""
        if not units:
            return []
        target = "/_bulk?filter_path=items.*.status"
        answer = await self._connection.ask(
            "POST", target, b"".join(units), deadline=time.monotonic() + _SECONDS, mimetype=NDJSON
        )
        return [result["status"] for item in _value(answer)["items"] for result in item.values()]

    async def _ask(self, target: str, body: Any = None) -> Any:
        text = None if body is None else json.dumps(body).encode()
        return _value(await self._connection.ask("POST", target, text, deadline=time.monotonic() + _SECONDS))


def _value(answer: Answer) -> Any:
    if not answer.ok:
        raise answer.problem()
    return answer.value()
