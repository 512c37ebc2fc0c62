"""Reading by id: at once, whether anything was refreshed or not."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from jiter import from_json

from backends.elasticsearch.connection import Connection, Pauses, Transient
from backends.elasticsearch.counts import Counts
from backends.elasticsearch.layout import Layout
from backends.elasticsearch.records import Claim
from backends.elasticsearch.slices import Cut, cut_sources
from backends.errors import StoreError, StoreUnavailable

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

    def __init__(self, connection: Connection, layout: Layout, counts: Counts) -> None:
        """Read over a connection, by the names of a layout; count what is tried again."""
        self._connection = connection
        self._layout = layout
        self._counts = counts

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

    async def read_claims(self, uuids: Sequence[str], *, deadline: float) -> list[Claim | None] | None:
        """Return the claim on each uuid, or None where there is none; None alone when there is no index of claims.

        Raises:
            StoreUnavailable: one of them can't be read now.

        """
        claims: list[Claim | None] = []
        for start in range(0, len(uuids), PIECE_DOCUMENTS):
            piece = [Place(self._layout.claims, uuid) for uuid in uuids[start : start + PIECE_DOCUMENTS]]
            rest, sources = await self._ask(piece, deadline)
            if any(map(_is_nowhere, rest["docs"])):
                return None
            for found in rest["docs"]:
                source = from_json(sources[found["_source"]]) if found.get("found") else {}
                claims.append(
                    Claim(source["index"], source.get("bytes", UNKNOWN_BYTES), _version(found))
                    if "index" in source
                    else None
                )
        return claims

    async def _ask(self, places: Sequence[Place], deadline: float) -> Cut:
        found = await self._ask_until_known(places, deadline)
        if any(map(_is_nowhere, found.rest["docs"])):
            # An alias may have been deleted that is written and read by.
            await self._layout.restore_aliases(deadline)
            found = await self._ask_until_known(places, deadline)
        return found

    async def _ask_until_known(self, places: Sequence[Place], deadline: float) -> Cut:
        """Ask again while one of the documents can't be read: its shard may be on its way from one node to another."""
        pauses = Pauses(deadline)
        while True:
            answer = await self._connection.ask("POST", "/_mget", _body(places), deadline=deadline)
            if not answer.ok:
                raise answer.problem()
            found = await cut(answer.body, 2)
            error = _problem(found.rest["docs"], len(places))
            if error is None:
                return found
            if not isinstance(error, Transient):
                raise error
            self._counts.retries += 1
            await pauses.wait(error)


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


def _is_nowhere(found: Mapping[str, Any]) -> bool:
    """Tell whether a document was asked for in an index, or by an alias, that is not there."""
    return bool(found.get("error", {}).get("type") == "index_not_found_exception")


def _problem(answered: Sequence[Mapping[str, Any]], count: int) -> StoreError | None:
    """Return why one of the documents can't be read, if so; in an index that is not there, there is none."""
    if len(answered) != count:
        return StoreUnavailable("Elasticsearch answered for other documents than it was asked for")
    for found in answered:
        if "error" in found and not _is_nowhere(found):
            text = f"Elasticsearch can't read {found['_index']}: {found['error'].get('reason')}"
            is_forbidden = found["error"].get("type") == "security_exception"
            return StoreUnavailable(text) if is_forbidden else Transient(text)
    return None


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
