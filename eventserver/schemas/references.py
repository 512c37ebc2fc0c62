"""Putting what ``$ref`` names in its place, from the files of the directory alone.

What is in force holds no reference any more: nothing can be fetched while traffic is judged, and whoever reads a schema
(a mapping, the API, the compatibility check) reads all of it.
"""

import posixpath
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from eventserver.schemas.tree import MANY, NAMED, ONE

MAXIMUM_SCHEMAS = 5_000
"""Schemas within one resolved schema; references to references can multiply without limit."""
MAXIMUM_DEPTH = 32
"""Schemas inside schemas; events themselves are nested 64 levels at most."""
_ANNOTATIONS = frozenset({"title", "description", "default", "examples", "deprecated", "$comment"})


def resolve(documents: Mapping[str, Any], name: str) -> Any:
    """Return the schema of a file, with every reference replaced by what it names.

    Args:
        documents: the parsed files of the directory by relative path.
        name: the file to resolve.

    Raises:
        ValueError: a reference that leads out of the directory or nowhere, in a circle, or to too much.

    """
    return _Resolver(documents).schema(documents[name], name, ())


class _Resolver:
    """One resolution, with its count of schemas."""

    def __init__(self, documents: Mapping[str, Any]) -> None:
        self._documents = documents
        self._count = 0
        self._depth = 0

    def schema(self, schema: Any, name: str, trail: tuple[tuple[str, str], ...]) -> Any:
        """Resolve one schema that stands in a file; the trail holds the references that led here."""
        self._count += 1
        if self._count > MAXIMUM_SCHEMAS:
            message = f"grows to more than {MAXIMUM_SCHEMAS} schemas when its references are resolved"
            raise ValueError(message)
        if not isinstance(schema, dict):
            return schema
        self._depth += 1
        if self._depth > MAXIMUM_DEPTH:
            message = f"nests schemas more than {MAXIMUM_DEPTH} deep"
            raise ValueError(message)
        resolved = {
            keyword: self._value(keyword, value, name, trail)
            for keyword, value in schema.items()
            if keyword not in ("$ref", "$defs")
        }
        joined = self._joined(schema["$ref"], resolved, name, trail) if "$ref" in schema else resolved
        self._depth -= 1
        return joined

    def _value(self, keyword: str, value: Any, name: str, trail: tuple[tuple[str, str], ...]) -> Any:
        """Resolve the value of a keyword."""
        if keyword in ONE:
            return self.schema(value, name, trail)
        if keyword in MANY and isinstance(value, list):
            return [self.schema(each, name, trail) for each in value]
        if keyword in NAMED and isinstance(value, dict):
            return {key: self.schema(each, name, trail) for key, each in value.items()}
        return value

    def _joined(self, reference: Any, beside: dict[str, Any], name: str, trail: tuple[tuple[str, str], ...]) -> Any:
        """Return what a reference names together with the keywords that stand beside it."""
        place = _place(reference, name)
        if place in trail:
            message = f"refers to itself through {reference!r}; recursive schemas are refused"
            raise ValueError(message)
        target = self.schema(self._lookup(reference, *place), place[0], (*trail, place))
        if isinstance(target, dict):
            target = {keyword: value for keyword, value in target.items() if keyword != "$schema"}
            if _ANNOTATIONS.issuperset(beside):
                return {**target, **beside}
        return {**beside, "allOf": [target, *beside.get("allOf", [])]}

    def _lookup(self, reference: str, file: str, pointer: str) -> Any:
        """Return the part of a document that a reference names."""
        if file not in self._documents:
            message = f"refers to {reference!r}, and there is no file {file!r} in the schemas directory"
            raise ValueError(message)
        part = self._documents[file]
        for token in pointer.split("/")[1:]:
            key = token.replace("~1", "/").replace("~0", "~")
            if isinstance(part, dict) and key in part:
                part = part[key]
            elif isinstance(part, list) and key.isdecimal() and int(key) < len(part):
                part = part[int(key)]
            else:
                message = f"refers to {reference!r}, and {file!r} holds nothing there"
                raise ValueError(message)
        return part


def _place(reference: Any, name: str) -> tuple[str, str]:
    """Return the file and the JSON Pointer that a reference names, seen from a file."""
    if not isinstance(reference, str):
        message = "has a $ref that is not text"
        raise ValueError(message)  # noqa: TRY004 -- the schema is wrong, not the caller
    try:
        parts = urlsplit(reference)
    except ValueError as error:
        message = f"refers to {reference!r}, which is not an address: {error}"
        raise ValueError(message) from None
    if parts.scheme or parts.netloc or parts.query or parts.path.startswith("/") or "%" in parts.path:
        message = f"refers to {reference!r}; nothing is fetched: a $ref is a path relative to this file, or #/..."
        raise ValueError(message)
    file = posixpath.normpath(posixpath.join(posixpath.dirname(name), parts.path)) if parts.path else name
    if file.startswith("../"):
        message = f"refers to {reference!r}, which leads out of the schemas directory"
        raise ValueError(message)
    pointer = unquote(parts.fragment)
    if pointer and not pointer.startswith("/"):
        message = f"refers to {reference!r}; the part behind # is a JSON Pointer such as #/$defs/version"
        raise ValueError(message)
    return file, pointer
