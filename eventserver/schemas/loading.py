"""From the files of a directory to schemas that can be served, or to what is wrong with them."""

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import jiter

from eventserver.schemas.dialect import dialect_faults
from eventserver.schemas.references import resolve
from eventserver.schemas.report import Finding, SchemaError, Severity
from eventserver.schemas.source import Snapshot
from eventserver.schemas.validation import compile_schema, metaschema_faults, second_opinion

SHARED_FOLDER = "_shared"
"""Its files are no event types; schemas refer to them."""
MAXIMUM_VERSION = 2_147_483_647
_TYPE_ID = re.compile(r"[a-z][a-z0-9_]{0,99}")
_FILE = re.compile(r"([^/]+)/([1-9][0-9]{0,9})\.json")
_EXAMPLES_FILE = re.compile(r"([^/]+/[1-9][0-9]{0,9})\.examples\.json")


class SchemaVersion(NamedTuple):
    """One version of one event type, ready to be served."""

    event_type_id: str
    version: int
    schema: dict[str, Any]
    """JSON Schema 2020-12 without references."""
    examples: dict[str, Any]
    """``{"valid": [message, ...], "invalid": [{"message": ..., "why": text}, ...]}``."""
    fingerprint: str
    """SHA-256 (64 hexadecimal digits) over the schema's canonical text."""
    is_valid: Callable[[Any], bool]
    """Judges a message."""
    revision: int = 1
    """Counts the changes of this version's text, from 1."""


class Loaded(NamedTuple):
    """What a directory holds."""

    versions: dict[tuple[str, int], SchemaVersion]
    """The sound ones."""
    findings: list[Finding]
    """Why the others are not."""
    refused: set[tuple[str, int]]
    """The versions that are there and not sound, as far as their names can be read."""


def canonical_text(schema: Mapping[str, Any]) -> bytes:
    """Return the one spelling of a schema that fingerprints are taken of."""
    return json.dumps(schema, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()


def fingerprint(schema: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a schema's canonical text, in hexadecimal."""
    return hashlib.sha256(canonical_text(schema)).hexdigest()


def load(snapshot: Snapshot) -> Loaded:
    """Judge all files of a directory; a fault in one of them does not hide those of others."""
    documents, findings = _parse_all(snapshot.files)
    findings = [*snapshot.findings, *findings]
    faulty = {finding.subject for finding in findings}
    loaded = Loaded({}, findings, set())
    for name in sorted({*snapshot.files, *faulty}):
        if not (match := _FILE.fullmatch(name)) or name.startswith(f"{SHARED_FOLDER}/"):
            continue
        key = (match[1], int(match[2]))
        examples_name = f"{match[1]}/{match[2]}.examples.json"
        try:
            if faulty.isdisjoint({name, examples_name}):
                loaded.versions[key] = _load_version(documents, name, examples_name)
                continue
        except SchemaError as error:
            findings.extend(error.findings)
        loaded.refused.add(key)
    return loaded


def _parse_all(files: Mapping[str, bytes]) -> tuple[dict[str, Any], list[Finding]]:
    """Parse all files and check their names."""
    documents: dict[str, Any] = {}
    findings: list[Finding] = []
    for name, content in files.items():
        findings.extend(Finding(Severity.ERROR, name, fault) for fault in _name_faults(name, files))
        try:
            documents[name] = parse(content)
        except ValueError as error:
            findings.append(Finding(Severity.ERROR, name, str(error)))
    return documents, findings


def parse(content: bytes) -> Any:
    """Return strict JSON as a value.

    Raises:
        ValueError: not JSON in UTF-8, a duplicate key, nested too deeply, or a number beyond a float's range.

    """
    try:
        value = jiter.from_json(content, catch_duplicate_keys=True, allow_inf_nan=False)
    except ValueError as error:
        message = f"is not strict JSON: {error}"
        raise ValueError(message) from None
    if _has_infinity(value):
        message = "holds a number that is too large to be computed with"
        raise ValueError(message)
    return value


def _has_infinity(value: Any) -> bool:
    """Tell whether some number in a value has become infinite."""
    if isinstance(value, dict):
        return any(map(_has_infinity, value.values()))
    if isinstance(value, list):
        return any(map(_has_infinity, value))
    return isinstance(value, float) and abs(value) == float("inf")


def _name_faults(name: str, files: Mapping[str, bytes]) -> Iterator[str]:
    """Check a file's place: every file means something, or its name is a mistake."""
    if name.startswith(f"{SHARED_FOLDER}/"):
        return
    if match := _FILE.fullmatch(name):
        if not _TYPE_ID.fullmatch(match[1]):
            yield f"the event type id {match[1]!r} is not of the form [a-z][a-z0-9_]{{0,99}}"
        if int(match[2]) > MAXIMUM_VERSION:
            yield f"the version is greater than {MAXIMUM_VERSION}"
        if name.removesuffix(".json") + ".examples.json" not in files:
            yield "has no examples file beside it, with valid and invalid messages"
    elif match := _EXAMPLES_FILE.fullmatch(name):
        if match[1] + ".json" not in files:
            yield "stands beside no schema"
    else:
        yield (
            "is neither <eventTypeId>/<version>.json nor <eventTypeId>/<version>.examples.json "
            f"(version from 1, no zeros ahead), nor in {SHARED_FOLDER}/"
        )


def _load_version(documents: Mapping[str, Any], name: str, examples_name: str) -> SchemaVersion:
    """Judge one schema with its examples; raise SchemaError at the first step that finds faults."""
    try:
        schema = resolve(documents, name)
    except ValueError as error:
        raise SchemaError([Finding(Severity.ERROR, name, str(error))]) from None
    _require(name, metaschema_faults(schema))
    _require(name, dialect_faults(schema))
    try:
        is_valid = compile_schema(schema)
    except ValueError as error:
        raise SchemaError([Finding(Severity.ERROR, name, f"can't be compiled: {error}")]) from None
    examples = documents[examples_name]
    judges = {"jsonschema-rs": is_valid, "jsonschema": second_opinion(schema)}
    _require(name, _verdict_faults("examples", schema["examples"], judges))
    _require(examples_name, _shape_faults(examples))
    _require(examples_name, _example_faults(examples, judges))
    event_type_id, version = name.removesuffix(".json").split("/")
    return SchemaVersion(event_type_id, int(version), schema, examples, fingerprint(schema), is_valid)


def _require(subject: str, faults: Iterable[str]) -> None:
    """Raise SchemaError with all faults, if there are any."""
    if findings := [Finding(Severity.ERROR, subject, fault) for fault in faults]:
        raise SchemaError(findings)


def _shape_faults(examples: Any) -> Iterator[str]:
    """Check that an examples file has both kinds, and a reason for each invalid one."""
    if not isinstance(examples, dict) or set(examples) != {"valid", "invalid"}:
        yield 'is not of the form {"valid": [...], "invalid": [{"message": ..., "why": "..."}, ...]}'
        return
    for kind, values in examples.items():
        if not isinstance(values, list) or not values:
            yield f"has no {kind} examples"
    for index, each in enumerate(examples["invalid"] if isinstance(examples["invalid"], list) else ()):
        if not isinstance(each, dict) or set(each) != {"message", "why"} or not isinstance(each["why"], str):
            yield f'/invalid/{index} is not of the form {{"message": ..., "why": "..."}}'


def _example_faults(examples: dict[str, Any], judges: Mapping[str, Callable[[Any], bool]]) -> Iterator[str]:
    """Check that both validators find each example to be what it is said to be."""
    yield from _verdict_faults("valid", examples["valid"], judges)
    for index, each in enumerate(examples["invalid"]):
        for judge, is_valid in judges.items():
            if is_valid(each["message"]):
                yield f"/invalid/{index} is valid to {judge}, though it is said: {each['why']}"


def _verdict_faults(place: str, values: list[Any], judges: Mapping[str, Callable[[Any], bool]]) -> Iterator[str]:
    """Check that both validators find values valid."""
    for index, value in enumerate(values):
        for judge, is_valid in judges.items():
            if not is_valid(value):
                yield f"/{place}/{index} is not valid to {judge}"
