"""Whether a schema takes everything that another one takes: proved, or refused.

The proof is ``jsonschema-rs``'s: both schemas are brought to a canonical form, and one covers the other, does not, or
it can't be told. Only a proof counts. What keeps it from being found is then looked for part by part, and put in words.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import jsonschema_rs
from jsonschema_rs import canonical

from eventserver.schemas.dialect import ANNOTATIONS
from eventserver.schemas.tree import COMPANIONS, escape
from eventserver.schemas.wording import kinds, listed, rule

_MAXIMUM_REASONS = 20
_Json = dict[str, Any] | bool


class Verdict(NamedTuple):
    """The outcome of a comparison."""

    compatible: bool
    """It is proved that all that the old schema takes, the new one takes."""
    reasons: tuple[str, ...]
    """When not compatible: what is narrower, or can't be told, each with its place in the message."""


def compare(old: dict[str, Any], new: dict[str, Any]) -> Verdict:
    """Tell whether everything that is valid under one schema stays valid under another.

    Args:
        old: a schema of our dialect, without references.
        new: another one.

    """
    if covers(new, old):
        return Verdict(compatible=True, reasons=())
    reasons = []
    for reason in _reasons(old, new, ""):
        if reason not in reasons:
            reasons.append(reason)
        if len(reasons) == _MAXIMUM_REASONS:
            break
    return Verdict(compatible=False, reasons=tuple(reasons))


def covers(wider: _Json, narrower: _Json) -> bool:
    """Tell whether it is proved that a schema takes all that another one takes; False also when it can't be told."""
    try:
        return _canonical(wider).covers(_canonical(narrower)) == canonical.Containment.YES
    except (ValueError, canonical.CanonicalizationError):
        return False


def _canonical(schema: _Json) -> jsonschema_rs.CanonicalSchema:
    """Return the canonical form under the options that traffic is judged with."""
    return jsonschema_rs.canonicalize(
        schema,
        draft=jsonschema_rs.Draft202012,
        validate_formats=True,
        pattern_options=jsonschema_rs.RegexOptions(),
        offline=True,
    )


def _reasons(old: Any, new: Any, pointer: str) -> Iterator[str]:
    """Say where two schemas, of which one could not be shown to cover the other, differ."""
    where = f"at {pointer or 'the message itself'}"
    if isinstance(old, bool):
        old = {} if old else {"not": {}}
    if isinstance(new, bool):
        if not new:
            yield f"{where}: nothing is allowed any more"
        return
    found = False
    for reason in [*_members(old, new, pointer), *_items(old, new, pointer), *_keywords(old, new, where)]:
        found = True
        yield reason
    if not found:
        yield f"{where}: can't prove that all that was valid stays valid"


def _members(old: dict[str, Any], new: dict[str, Any], pointer: str) -> Iterator[str]:
    """Compare properties one by one."""
    for name, subschema in new.get("properties", {}).items():
        before = old.get("properties", {}).get(name, old.get("additionalProperties", True))
        if not covers(subschema, before):
            yield from _reasons(before, subschema, f"{pointer}/{escape(name)}")
    for name in new.get("required", ()):
        if name not in old.get("required", ()):
            yield f"at {pointer}/{escape(name)}: it must be there now, and could be left out before"


def _items(old: dict[str, Any], new: dict[str, Any], pointer: str) -> Iterator[str]:
    """Compare the items of arrays."""
    if "items" in new and not covers(new["items"], old.get("items", True)):
        yield from _reasons(old.get("items", True), new["items"], f"{pointer}/*")


_OWN = frozenset({"properties", "required", "items", "$schema"}) | ANNOTATIONS


def _keywords(old: dict[str, Any], new: dict[str, Any], where: str) -> Iterator[str]:
    """Compare the other keywords one by one."""
    for keyword, value in new.items():
        companions = {name: new[name] for name in COMPANIONS.get(keyword, ()) if name in new}
        if "properties" in companions:
            companions["properties"] = dict.fromkeys(companions["properties"], True)
        if keyword not in _OWN and not covers({keyword: value, **companions}, old):
            yield f"{where}: {_difference(old, new, keyword)}"


def _difference(old: dict[str, Any], new: dict[str, Any], keyword: str) -> str:
    """Say how one keyword became narrower, or may have."""
    match keyword:
        case "type":
            before = kinds(old["type"]) if "type" in old else "anything"
            return f"it {rule(new, keyword)} now, and could be {before} before"
        case "enum" if "enum" in old:
            return f"these values are not allowed any more: {listed([v for v in old['enum'] if v not in new['enum']])}"
        case "additionalProperties" if new[keyword] is False:
            return "members that are not listed are refused now, and were taken before"
    if keyword in old:
        return f"can't prove that the new {keyword} takes all that the old one took"
    return f"it {rule(new, keyword)} now, which was not demanded before"
