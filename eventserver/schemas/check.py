"""What ``eventserver schemas check`` says, without a server."""

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

from eventserver.schemas.compatibility import compare
from eventserver.schemas.kept import KeptSchemas
from eventserver.schemas.loading import SchemaVersion, load
from eventserver.schemas.report import Finding, Report, SchemaError, Severity
from eventserver.schemas.source import read_directory
from eventserver.schemas.succession import Key, file_of, succeed


def check(directory: Path, *, against: Path | None = None) -> Report:
    """Judge a directory of schemas; blocking, and nothing is written.

    Args:
        directory: as for ``SchemaRegistry``.
        against: what is in force: a server's root directory, the directory of texts that it keeps, or another
            directory of schemas (such as the one of the last release).

    Returns:
        For each file whether it is sound, for each version whether it takes all that the one before took, and for each
        version whether it may follow on what is in force. It is ``sound`` when a server would take the directory.

    """
    try:
        loaded = load(read_directory(directory))
        before = _in_force(against) if against else {}
    except SchemaError as error:
        return Report(error.findings)
    findings = [_sound(key, version) for key, version in sorted(loaded.versions.items())]
    findings += _versions(loaded.versions)
    if against:
        revisions = {key: version.revision for key, version in before.items()}
        findings += _against(loaded.versions, before)
        findings += succeed(before, loaded, revisions).findings
    else:
        findings += loaded.findings
    return Report(tuple(findings))


def _in_force(directory: Path) -> Mapping[Key, SchemaVersion]:
    """Return what a directory says was in force."""
    if not directory.is_dir():
        raise SchemaError([Finding(Severity.ERROR, str(directory), "is not a directory that exists")])
    for place in (directory, directory / "schemas"):
        if kept := KeptSchemas(place).read().versions:
            return kept
    loaded = load(read_directory(directory))
    if not loaded.versions:
        nothing = Finding(Severity.ERROR, str(directory), "holds no schema, kept or other, to compare with")
        raise SchemaError([nothing, *loaded.findings])
    return loaded.versions


def _sound(key: Key, version: SchemaVersion) -> Finding:
    """Say that a file is sound, and on what ground."""
    valid, invalid = len(version.examples["valid"]), len(version.examples["invalid"])
    message = f"is sound; both validators agree on {valid} valid and {invalid} invalid examples"
    return Finding(Severity.NOTE, file_of(key), message)


def _versions(versions: Mapping[Key, SchemaVersion]) -> list[Finding]:
    """Compare each version with the one before it of the same event type."""
    findings = []
    ordered = sorted(versions)
    for before, key in pairwise(ordered):
        if before[0] != key[0]:
            continue
        verdict = compare(versions[before].schema, versions[key].schema)
        if verdict.compatible:
            message = f"is compatible with version {before[1]}: it takes all that version {before[1]} takes"
        else:
            reasons = "; ".join(verdict.reasons)
            message = f"is not compatible with version {before[1]}, and rightly a version of its own: {reasons}"
        findings.append(Finding(Severity.NOTE, file_of(key), message))
    return findings


def _against(versions: Mapping[Key, SchemaVersion], before: Mapping[Key, SchemaVersion]) -> list[Finding]:
    """Say which versions are new, and which are as they were; ``succeed`` says the rest."""
    findings = []
    for key, version in sorted(versions.items()):
        if key not in before:
            findings.append(Finding(Severity.NOTE, file_of(key), "is new"))
        elif before[key].fingerprint == version.fingerprint:
            message = f"is the same as revision {before[key].revision} that is in force"
            findings.append(Finding(Severity.NOTE, file_of(key), message))
    return findings
