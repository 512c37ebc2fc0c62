"""A member of an archive, and the rules that all kinds of archives share: names, modes, kinds."""

import re
import stat
import unicodedata
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final, NamedTuple

from eventserver.bundle.limits import Limits
from eventserver.refusal import Code, Refusal

Pieces = Iterator[bytes]
"""The content of a member, unpacked as it is asked for; what is not asked for is passed over."""

_DRIVE: Final = re.compile("[A-Za-z]:")
_LAST_SECOND: Final = 253402300799
_SETID: Final = stat.S_ISUID | stat.S_ISGID


class Member(NamedTuple):
    """A file or a directory in an archive."""

    path: str
    """Relative, with slashes, safe: no ``..``, no backslash, no control character; of a directory without the slash."""
    size: int
    """Bytes, unpacked; of a directory 0."""
    modified_at: str
    """``2026-11-24T04:02:47Z``. Zip archives that know no zone are read as if they meant UTC."""
    is_directory: bool = False


def safe_path(name: str, limits: Limits) -> str:
    """Return a member's path in its one spelling; the root itself is the empty text.

    Nothing is ever written by this name. It is judged all the same, for whoever unpacks the archive later.

    Raises:
        Refusal: ``bundle_unsafe_path``.

    """
    reason = _danger_of(name, limits)
    if reason is not None:
        detail = f"The member {name[:100]!r} {reason}; names are relative, with slashes, inside the archive."
        raise Refusal(Code.BUNDLE_UNSAFE_PATH, detail)
    parts = name.removesuffix("/").split("/")
    while parts and parts[0] == ".":
        parts.pop(0)
    if any(part in {"", ".", ".."} for part in parts):
        detail = f"The member {name[:100]!r} has '..', '.' or nothing between its slashes."
        raise Refusal(Code.BUNDLE_UNSAFE_PATH, detail)
    if len(parts) > limits.depth or any(len(part.encode()) > limits.component_bytes for part in parts):
        detail = f"The member {name[:100]!r} lies deeper than {limits.depth} directories, or has too long a name."
        raise Refusal(Code.BUNDLE_UNSAFE_PATH, detail)
    return "/".join(parts)


def _danger_of(name: str, limits: Limits) -> str | None:
    dangers = (
        (not name, "has no name"),
        (name.startswith("/"), "has an absolute name"),
        ("\\" in name, "has a backslash in its name"),
        (_DRIVE.match(name), "begins with a drive letter"),
        (not _is_plain(name), "has a control character, or bytes that are not UTF-8, in its name"),
        (len(name.encode(errors="replace")) > limits.path_bytes, f"has a name of over {limits.path_bytes} bytes"),
    )
    return next((reason for found, reason in dangers if found), None)


def _is_plain(name: str) -> bool:
    if name.isascii() and name.isprintable():
        return True
    return not any(unicodedata.category(character) in {"Cc", "Cs"} for character in name)


def check_mode(path: str, mode: int, *, is_directory: bool) -> None:
    """Judge the permission bits of a member; that new files of a directory get its group is harmless.

    Raises:
        Refusal: ``bundle_unsafe_mode``.

    """
    if mode & (stat.S_ISUID if is_directory else _SETID):
        raise Refusal(Code.BUNDLE_UNSAFE_MODE, f"{path!r} would run as its owner or group (setuid, setgid).")


def moment_of(seconds: float) -> str:
    """Return seconds since 1970 as text; what no calendar has is the beginning of 1970."""
    known = seconds if 0 <= seconds <= _LAST_SECOND else 0
    return datetime.fromtimestamp(int(known), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def link(path: str) -> Refusal:
    """Return the refusal of a symbolic or a hard link."""
    return Refusal(Code.BUNDLE_LINK, f"{path[:100]!r} is a link; put the file itself into the archive.")


def special_file(path: str) -> Refusal:
    """Return the refusal of what is neither a file nor a directory."""
    detail = f"{path[:100]!r} is a device, a fifo or a socket; only files and directories are taken."
    return Refusal(Code.BUNDLE_SPECIAL_FILE, detail)


def corrupt(what: str) -> Refusal:
    """Return the refusal of bytes that are no archive where one should go on."""
    return Refusal(Code.BUNDLE_CORRUPT, f"The archive is damaged: {what}.")


def truncated() -> Refusal:
    """Return the refusal of an archive that ends too soon."""
    return Refusal(Code.BUNDLE_TRUNCATED, "The archive ends too soon; it did not arrive, or was not written, whole.")


def trailing(what: str) -> Refusal:
    """Return the refusal of bytes beside the archive."""
    return Refusal(Code.BUNDLE_TRAILING_DATA, f"There is {what}; the file must be one archive and nothing else.")


def unsupported(what: str) -> Refusal:
    """Return the refusal of what no bundle needs."""
    return Refusal(Code.BUNDLE_UNSUPPORTED, f"The archive uses {what}, which no bundle needs.")
