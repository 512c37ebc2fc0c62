"""One index of a real Elasticsearch with given mappings, written to and searched past the store."""

import json
from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any, Self

from elasticsearch import Elasticsearch

from support.events import as_sent
from support.mapped_values import Query

_JSON = {"Accept": "application/json", "Content-Type": "application/json"}
_CLAUSES = 500
_LINES = {"Accept": "application/json", "Content-Type": "application/x-ndjson"}

NUMBERS = count()
"""Ids of documents."""


class MappedIndex:
    """Made when constructed; its name begins with the test's prefix, which removes it."""

    def __init__(self, url: str, name: str, mappings: Mapping[str, Any]) -> None:
        self.name = name
        self._client = Elasticsearch(url, request_timeout=60)
        body = {"settings": {"number_of_shards": 1, "number_of_replicas": 0}, "mappings": mappings}
        self.call("PUT", "", body)

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Send a request below the index's name; a body of bytes is sent as it is, as lines."""
        sent = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        headers = _LINES if isinstance(body, bytes) else _JSON
        answer = self._client.perform_request(method, f"/{self.name}{path}", headers=headers, body=sent)
        return answer.body

    def put(self, documents: Mapping[str, bytes]) -> dict[str, str | None]:
        """Index documents, each by its id, and make them visible.

        Returns:
            For each the error's type and reason, or None where it was taken.

        """
        lines = b"".join(b'{"create":{"_id":"%b"}}\n%b\n' % (each.encode(), text) for each, text in documents.items())
        items = self.call("POST", "/_bulk?refresh=true", lines)["items"]
        return {
            item["create"]["_id"]: _reason(item["create"]["error"]) if "error" in item["create"] else None
            for item in items
        }

    def missing(self, queries: Mapping[str, Sequence[Query]]) -> list[tuple[str, Query]]:
        """Return those of the queries for each document that do not find it, with its id."""
        parts = [
            (document, list(each[start : start + _CLAUSES]))
            for document, each in queries.items()
            for start in range(0, len(each), _CLAUSES)
        ]
        if not parts:
            return []
        lines = b"".join(b"{}\n" + json.dumps(_search(*part)).encode() + b"\n" for part in parts)
        missing: list[tuple[str, Query]] = []
        for (document, each), answer in zip(parts, self.call("POST", "/_msearch", lines)["responses"], strict=True):
            (hit,) = answer["hits"]["hits"]
            found = set(hit.get("matched_queries", ()))
            missing += [(document, query) for index, query in enumerate(each) if str(index) not in found]
        return missing

    def ids(self, query: Query) -> set[str]:
        """Return the ids of the documents that a query finds."""
        hits = self.call("POST", "/_search", {"query": query, "_source": False, "size": 1000})["hits"]["hits"]
        return {hit["_id"] for hit in hits}

    def ignored(self, document: str) -> set[str]:
        """Return the fields whose values were ignored in a document."""
        (hit,) = self.call("POST", "/_search", {"query": {"ids": {"values": [document]}}})["hits"]["hits"]
        return set(hit.get("_ignored", ()))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


def _search(document: str, queries: Sequence[Query]) -> Query:
    """Return a search for one document that tells which of some queries find it."""
    named = [_named(query, str(index)) for index, query in enumerate(queries)]
    return {"query": {"bool": {"filter": {"ids": {"values": [document]}}, "should": named}}, "_source": False}


def _named(query: Query, name: str) -> Query:
    ((kind, fields),) = query.items()
    ((field, value),) = fields.items()
    body = value if isinstance(value, dict) else {"query": value}
    return {kind: {field: {**body, "_name": name}}}


def _reason(error: Mapping[str, Any]) -> str:
    return f"{error['type']}: {error['reason']}"


def record(message: Any, **extra: Any) -> bytes:
    """Return the record of an event; a text is a message as it is sent."""
    text = message if isinstance(message, str) else json.dumps(message, ensure_ascii=False)
    whole = as_sent(text).record
    return b"{%b,%b" % (json.dumps(extra)[1:-1].encode(), whole[1:]) if extra else whole


def put_one(index: MappedIndex, document: bytes) -> tuple[str, str | None]:
    """Index one document; return its id and why it was refused."""
    name = str(next(NUMBERS))
    return name, index.put({name: document})[name]
