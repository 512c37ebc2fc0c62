"""One pass through an archive that is hostile until shown otherwise; it is never unpacked, and never repaired."""

from collections.abc import Iterator
from enum import StrEnum
from hashlib import sha256
from typing import Any, BinaryIO, Final, NamedTuple

from eventserver.bundle.gzip_stream import GzipStream
from eventserver.bundle.limits import DEFAULT_LIMITS, Budget, Limits
from eventserver.bundle.manifest import MANIFEST, listed_files, read_manifest
from eventserver.bundle.members import Member, Pieces
from eventserver.bundle.tar_archive import read_tar
from eventserver.bundle.zip_archive import read_zip
from eventserver.refusal import Code, Refusal

_GZIP_MAGIC: Final = b"\x1f\x8b"
_ZIP_MAGICS: Final = (b"PK\x03\x04", b"PK\x05\x06")


class Format(StrEnum):
    """The kinds of archives, told by their content."""

    TGZ = "tgz"
    ZIP = "zip"


class Inspection(NamedTuple):
    """What an archive that nothing is wrong with holds."""

    format: Format
    members: list[Member]
    """In the order of the archive."""
    manifest: bytes
    """The text of ``tech-support-manifest.json``: one JSON object, without white space around it."""
    fields: dict[str, Any]
    """The manifest's value, as ``strict_json.decode`` reads it."""
    digests: dict[str, str]
    """SHA-256, in hexadecimal, of members by path: of those that a manifest ahead of them lists with theirs."""


def inspect(file: BinaryIO, limits: Limits = DEFAULT_LIMITS) -> Inspection:
    """Read a whole archive, unpacking it to nowhere, and find its manifest; blocking.

    Everything is verified: structure, names, kinds, sizes, checksums. The time and the memory that it takes are bounded
    by the limits and not by what the archive says.

    Args:
        file: the archive; can seek.
        limits: what it may ask for.

    Raises:
        Refusal: a code that begins with ``bundle_``: what is wrong with it.

    """
    members: list[Member] = []
    paths: dict[str, bool] = {}
    digests: dict[str, str] = {}
    manifest: tuple[bytes, dict[str, Any]] | None = None
    wanted: frozenset[str] = frozenset()
    for member, pieces in read_members(file, limits):
        _add(paths, member)
        members.append(member)
        if member.path == MANIFEST:
            manifest = read_manifest(member, pieces, limits)
            wanted = frozenset(path for path, _, digest in listed_files(manifest[1]) if digest)
        elif member.path in wanted:
            digests[member.path] = digest_of(pieces)
        for _ in pieces:
            pass
    _check_directories(paths)
    if manifest is None:
        detail = f"There is no {MANIFEST} at the root of the archive."
        raise Refusal(Code.BUNDLE_MANIFEST_MISSING, detail)
    return Inspection(format_of(file), members, *manifest, digests)


def read_members(file: BinaryIO, limits: Limits = DEFAULT_LIMITS) -> Iterator[tuple[Member, Pieces]]:
    """Yield each member with its content, in the order of the archive; blocking.

    The content is unpacked as it is asked for, before the next member is.

    Raises:
        Refusal: what is wrong with it.

    """
    size = file.seek(0, 2)
    budget = Budget(limits, size)
    kind = format_of(file)
    file.seek(0)
    if kind is Format.ZIP:
        return read_zip(file, size, budget)
    return read_tar(GzipStream(file, budget), budget)


def format_of(file: BinaryIO) -> Format:
    """Tell the kind of an archive by its first bytes.

    Raises:
        Refusal: ``bundle_empty``, ``bundle_unknown_format``.

    """
    file.seek(0)
    magic = file.read(4)
    if not magic:
        raise Refusal(Code.BUNDLE_EMPTY, "The file is empty; perhaps it was gone when it was to be sent.")
    if magic.startswith(_GZIP_MAGIC):
        return Format.TGZ
    if magic in _ZIP_MAGICS:
        return Format.ZIP
    raise Refusal(Code.BUNDLE_UNKNOWN_FORMAT, "The file is neither a tar archive in gzip (.tgz) nor a zip archive.")


def is_archive(body: bytes) -> bool:
    """Tell whether bytes begin as an archive does; no event begins so."""
    return body.startswith((_GZIP_MAGIC, *_ZIP_MAGICS))


def digest_of(pieces: Pieces) -> str:
    """Return the SHA-256 of a content, in hexadecimal."""
    digest = sha256()
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()


def _add(paths: dict[str, bool], member: Member) -> None:
    """Note a path."""
    if member.path in paths:
        detail = f"There are two members called {member.path[:100]!r}."
        raise Refusal(Code.BUNDLE_DUPLICATE_NAME, detail)
    if member.path.casefold() == MANIFEST and member.path != MANIFEST:
        detail = f"{member.path!r} could be taken for the manifest; it must be called {MANIFEST}."
        raise Refusal(Code.BUNDLE_MANIFEST_INVALID, detail)
    paths[member.path] = member.is_directory


def _check_directories(paths: dict[str, bool]) -> None:
    """See that nothing lies below a file."""
    for path in paths:
        parent = path
        while (parent := parent.rpartition("/")[0]) and parent not in paths:
            pass
        if parent and not paths[parent]:
            detail = f"{path[:100]!r} lies below {parent[:100]!r}, which is a file."
            raise Refusal(Code.BUNDLE_DUPLICATE_NAME, detail)
