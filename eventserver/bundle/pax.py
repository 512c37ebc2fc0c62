"""Extended headers of pax (POSIX.1-2001): a path, a time, and what does not matter; whatever else is refused."""

import re
from typing import Final, NamedTuple

from eventserver.bundle.members import corrupt, unsupported

_LENGTH: Final = re.compile(rb"([1-9][0-9]{0,5}) ")
_SECONDS: Final = re.compile(r"-?[0-9]{1,12}(\.[0-9]{0,12})?")
_HARMLESS: Final = frozenset({"atime", "ctime", "uid", "gid", "uname", "gname", "comment"})
_HARMLESS_NAMES: Final = re.compile(
    r"(SCHILY\.(xattr\..*|acl\..*|dev|ino|nlink|fflags)|LIBARCHIVE\.(xattr\..*|creationtime)|RHT\.security\.selinux)",
    re.DOTALL,
)


class PaxValues(NamedTuple):
    """What an extended header says that counts here."""

    path: str | None = None
    modified: float | None = None


def read_pax(data: bytes, *, is_global: bool = False) -> PaxValues:
    """Read an extended header.

    Args:
        data: its content.
        is_global: it would count for all members; then it may hold a comment only.

    Raises:
        Refusal: ``bundle_corrupt``, or ``bundle_unsupported``: a size, a link, a sparse map, another character set, or
            a key that is not known.

    """
    found: dict[str, str] = {}
    at = 0
    while at < len(data):
        key, value, at = _read_record(data, at)
        if key in found:
            raise unsupported(f"{key[:40]!r} twice in one header")
        if is_global and key != "comment":
            raise unsupported(f"{key[:40]!r} for all members")
        if key not in {"path", "mtime"} and key not in _HARMLESS and not _HARMLESS_NAMES.fullmatch(key):
            raise unsupported(f"{key[:40]!r} in an extended header")
        found[key] = value
    mtime = found.get("mtime")
    if mtime is not None and not _SECONDS.fullmatch(mtime):
        raise corrupt("an extended header has a time that is none")
    return PaxValues(found.get("path"), None if mtime is None else float(mtime))


def _read_record(data: bytes, at: int) -> tuple[str, str, int]:
    """Return key and value of the record at a place, and where the next one is."""
    match = _LENGTH.match(data, at)
    end = at + int(match[1]) if match else 0
    if match is None or end > len(data) or end <= match.end() or data[end - 1 : end] != b"\n":
        raise corrupt("an extended header is wrong")
    key, equals, value = data[match.end() : end - 1].partition(b"=")
    if not key or not equals:
        raise corrupt("an extended header is wrong")
    return key.decode("utf-8", "surrogateescape"), value.decode("utf-8", "surrogateescape"), end
