"""Reading by id: at once, whether anything was refreshed or not."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from jiter import from_json

from backends.elasticsearch.connection import Connection
from backends.elasticsearch.layout import Layout
from backends.elasticsearch.records import Claim
from backends.elasticsearch.slices import Cut, cut_sources
from backends.errors import StoreUnavailable

PIECE_BYTES: Final = 4 * 1024 * 1024
PIECE_DOCUMENTS: Final = 500
UNKNOWN_BYTES: Final = 256 * 1024
"""What is reckoned for a document whose size nobody knows."""
LARGE_ANSWER: Final = 256 * 1024
"""Bytes; a larger answer is cut off the event loop."""


class Place(NamedTuple):
    """Where a document is."""

    name: str
    """Of the index, or of an alias with one index."""
    uuid: str


class Document(NamedTuple):
    """A document that was read."""

    name: str
    """Of the index itself, whatever it was asked for by."""
    uuid: str
    version: str
    """As of ``Claim``."""
    source: bytes


class Documents:
    """Reads documents by their ids."""

    def __init__(self, connection: Connection, layout: Layout) -> None:
        """Read over a connection, by the names of a layout."""
        self._connection = connection
        self._layout = layout

    async def read(
        self, places: Sequence[Place], *, deadline: float, sizes: Sequence[int] | None = None
    ) -> list[Document | None]:
        """Return the document at each place, or None where there is none.

        Args:
            places: any number; asked for in pieces of bounded size.
            deadline: a moment of ``time.monotonic``.
            sizes: how long the documents are, as far as is known.

        Raises:
            StoreUnavailable: one of them can't be read now.

        """
        documents: list[Document | None] = []
        for start, end in _pieces(sizes or [UNKNOWN_BYTES] * len(places)):
            rest, sources = await self._ask(places[start:end], deadline)
            for found in rest["docs"]:
                is_there = found.get("found") and "_source" in found
                documents.append(
                    Document(found["_index"], found["_id"], _version(found), sources[found["_source"]])
                    if is_there
                    else None
                )
        return documents

    async def read_claims(self, uuids: Sequence[str], *, deadline: float) -> list[Claim | None]:
        """Return the claim on each uuid, or None."""
        claims: list[Claim | None] = []
        for start in range(0, len(uuids), PIECE_DOCUMENTS):
            piece = [Place(self._layout.claims, uuid) for uuid in uuids[start : start + PIECE_DOCUMENTS]]
            rest, sources = await self._ask(piece, deadline)
            for found in rest["docs"]:
                source = from_json(sources[found["_source"]]) if found.get("found") else {}
                claims.append(
                    Claim(source["index"], source.get("bytes", UNKNOWN_BYTES), _version(found))
                    if "index" in source
                    else None
                )
        return claims

    async def _ask(self, places: Sequence[Place], deadline: float) -> Cut:
        cut = await self._ask_once(places, deadline)
        if any("error" in found for found in cut.rest["docs"]):
            # An alias may have been deleted that is written and read by.
            await self._layout.restore_aliases()
            cut = await self._ask_once(places, deadline)
        return cut

    async def _ask_once(self, places: Sequence[Place], deadline: float) -> Cut:
        answer = await self._connection.ask("POST", "/_mget", _body(places), deadline=deadline)
        if not answer.ok:
            raise answer.problem()
        found = await cut(answer.body, 2)
        _check(found.rest, len(places))
        return found


async def cut(answer: bytes, depth: int) -> Cut:
    """Cut documents out of an answer; see ``slices.cut_sources``.

    Raises:
        StoreUnavailable: it is no such answer.

    """
    try:
        if len(answer) <= LARGE_ANSWER:
            return cut_sources(answer, depth)
        return await asyncio.to_thread(cut_sources, answer, depth)
    except ValueError as error:
        raise StoreUnavailable(f"the answer of Elasticsearch can't be read: {error}") from error


def _body(places: Sequence[Place]) -> bytes:
    documents = b",".join(b'{"_index":"%b","_id":"%b"}' % (index.encode(), uuid.encode()) for index, uuid in places)
    return b'{"docs":[%b]}' % documents


def _check(answer: Mapping[str, Any], count: int) -> None:
    """Require an answer for each document; an index that is not there has none."""
    found: list[dict[str, Any]] = answer["docs"]
    for each in found:
        error = each.get("error")
        if error is not None and error.get("type") != "index_not_found_exception":
            raise StoreUnavailable(f"Elasticsearch can't read {each['_index']}: {error.get('reason')}")
    if len(found) != count:
        raise StoreUnavailable("Elasticsearch answered for other documents than it was asked for")


def _version(found: Mapping[str, Any]) -> str:
    return f'"if_seq_no":{found["_seq_no"]},"if_primary_term":{found["_primary_term"]}' if "_seq_no" in found else ""


def _pieces(sizes: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Return runs of documents that are read together."""
    start = total = 0
    for number, size in enumerate(sizes):
        if number > start and (total + size > PIECE_BYTES or number - start == PIECE_DOCUMENTS):
            yield start, number
            start, total = number, 0
        total += size
    if start < len(sizes):
        yield start, len(sizes)
