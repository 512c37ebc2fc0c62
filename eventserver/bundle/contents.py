"""What a manifest says of its bundle, held against the members; and one member alone."""

from collections.abc import Iterator
from typing import Any, BinaryIO

from eventserver.bundle.inspection import Inspection, digest_of, read_members
from eventserver.bundle.limits import DEFAULT_LIMITS, Limits
from eventserver.bundle.manifest import listed_files
from eventserver.bundle.members import Member, Pieces
from eventserver.refusal import Code, Refusal
from eventserver.strict_json import decode


def check_listed_files(file: BinaryIO, inspection: Inspection, limits: Limits = DEFAULT_LIMITS) -> None:
    """Hold the files that the manifest lists against the members; blocking.

    A second pass is made only for digests of members that stand ahead of the manifest.

    Raises:
        Refusal: ``bundle_file_missing``, ``bundle_file_mismatch``.

    """
    sizes = {member.path: member.size for member in inspection.members if not member.is_directory}
    digests = dict(inspection.digests)
    wanted: dict[str, str] = {}
    for path, size, digest in listed_files(inspection.fields):
        if path not in sizes:
            detail = f"The manifest lists {path[:100]!r}, which is not in the archive."
            raise Refusal(Code.BUNDLE_FILE_MISSING, detail)
        if size is not None and size != sizes[path]:
            detail = f"The manifest says that {path[:100]!r} has {size} bytes; it has {sizes[path]}."
            raise Refusal(Code.BUNDLE_FILE_MISMATCH, detail)
        if digest is not None and wanted.setdefault(path, digest) != digest:
            raise _other_digest(path)
    if missing := wanted.keys() - digests.keys():
        digests |= {
            member.path: digest_of(pieces) for member, pieces in read_members(file, limits) if member.path in missing
        }
    for path, digest in wanted.items():
        if digests[path] != digest:
            raise _other_digest(path)


def read_jobs(file: BinaryIO, inspection: Inspection, limits: Limits = DEFAULT_LIMITS) -> list[Any] | None:
    """Return the messages in the file that the manifest's ``jobsJson`` names; None where it names none; blocking.

    Raises:
        Refusal: ``bundle_file_missing``, ``bundle_jobs_invalid``.

    """
    path = inspection.fields.get("jobsJson")
    if type(path) is not str:
        return None
    found = find_member(file, path, limits)
    if found is None:
        raise Refusal(Code.BUNDLE_FILE_MISSING, f"jobsJson names {path[:100]!r}, which is not in the archive.")
    member, pieces = found
    if member.size > limits.jobs_bytes:
        raise _invalid_jobs(path, f"has {member.size} bytes; {limits.jobs_bytes} are taken")
    try:
        jobs = decode(b"".join(pieces))
    except Refusal as refusal:
        raise _invalid_jobs(path, refusal.detail.removeprefix("The body ").rstrip(".")) from None
    if type(jobs) is not list:
        raise _invalid_jobs(path, "is not a JSON array")
    return jobs


def find_member(file: BinaryIO, path: str, limits: Limits = DEFAULT_LIMITS) -> tuple[Member, Pieces] | None:
    """Return one file of an archive, or None; blocking, as is to read its content.

    Raises:
        Refusal: something is wrong with the archive up to there.

    """
    found = (pair for pair in read_members(file, limits) if pair[0].path == path and not pair[0].is_directory)
    return next(found, None)


def list_members(file: BinaryIO, limits: Limits = DEFAULT_LIMITS) -> Iterator[Member]:
    """Yield the files and directories of an archive; blocking.

    Raises:
        Refusal: something is wrong with the archive.

    """
    return (member for member, _ in read_members(file, limits))


def _other_digest(path: str) -> Refusal:
    detail = f"The SHA-256 that the manifest says {path[:100]!r} has is not the one that it has."
    return Refusal(Code.BUNDLE_FILE_MISMATCH, detail)


def _invalid_jobs(path: str, what: str) -> Refusal:
    return Refusal(Code.BUNDLE_JOBS_INVALID, f"{path[:100]!r}, which jobsJson names, {what}.")
