"""Which schemas follow on those that were in force: a published version may widen, and never narrows."""

from collections.abc import Mapping
from typing import NamedTuple

from eventserver.schemas.compatibility import compare
from eventserver.schemas.loading import Loaded, SchemaVersion
from eventserver.schemas.report import Finding, Severity

Key = tuple[str, int]


class Succession(NamedTuple):
    """What would be in force, and how that differs from what the directory says."""

    versions: dict[Key, SchemaVersion]
    findings: list[Finding]


def succeed(before: Mapping[Key, SchemaVersion], loaded: Loaded, revisions: Mapping[Key, int]) -> Succession:
    """Let what was loaded follow on what was in force.

    Args:
        before: the newest revision of each version that was ever in force.
        loaded: what the directory holds.
        revisions: the highest revision number given so far.

    """
    succession = Succession({}, list(loaded.findings))
    for key in sorted({*before, *loaded.versions, *loaded.refused}):
        old, new = before.get(key), loaded.versions.get(key)
        if new is None:
            chosen = _stand_in(succession, key, old, refused=key in loaded.refused)
        elif old is None:
            chosen = new._replace(revision=revisions.get(key, 0) + 1)
        else:
            chosen = _follow(succession, old, new, revision=max(old.revision, revisions.get(key, 0)) + 1)
        if chosen is not None:
            succession.versions[key] = chosen
    return succession


def file_of(key: Key) -> str:
    """Return the name of a version's file, relative to the directory."""
    return f"{key[0]}/{key[1]}.json"


def _stand_in(succession: Succession, key: Key, old: SchemaVersion | None, *, refused: bool) -> SchemaVersion | None:
    """Choose for a version that the directory does not hold, or not so that it could be used."""
    if old is None:
        message = "no earlier text of this version is there, so its events are refused until it is mended"
    elif refused:
        message = f"revision {old.revision}, which was in force before, is served instead"
    else:
        message = f"is not in the directory any more; revision {old.revision}, which was in force before, is served"
    succession.findings.append(Finding(Severity.WARNING, file_of(key), message))
    return old


def _follow(succession: Succession, old: SchemaVersion, new: SchemaVersion, *, revision: int) -> SchemaVersion:
    """Choose between two texts of one version."""
    subject = file_of((new.event_type_id, new.version))
    if new.fingerprint == old.fingerprint:
        return new._replace(revision=old.revision)
    verdict = compare(old.schema, new.schema)
    if verdict.compatible:
        message = f"takes all that revision {old.revision} took; it is revision {revision} now"
        succession.findings.append(Finding(Severity.NOTE, subject, message))
        return new._replace(revision=revision)
    message = (
        f"would narrow a published version (revision {old.revision} stays in force): {'; '.join(verdict.reasons)}. "
        f"Put this text into a new version instead"
    )
    succession.findings.append(Finding(Severity.ERROR, subject, message))
    return old
