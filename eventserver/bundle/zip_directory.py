"""What a zip archive says of itself, twice, and that both agree.

A zip archive has a directory at its end and a header before each member; programs that believe one or the other unpack
different things out of one file. So here the members must follow one another without a gap from the first byte to the
directory, and the directory to the end, and each header must say what the directory says. ``zipfile`` of the standard
library reads the directory only, finds it by searching, and gives other names from one release to the next.
"""

import stat
import struct
from typing import BinaryIO, Final, NamedTuple

from eventserver.bundle.limits import Budget
from eventserver.bundle.members import (
    Member,
    check_mode,
    corrupt,
    link,
    moment_of,
    safe_path,
    special_file,
    trailing,
    truncated,
    unsupported,
)
from eventserver.bundle.zip_extra import moment_in_dos, read_extra
from eventserver.refusal import Code, Refusal

STORED: Final = 0
DEFLATED: Final = 8
_END: Final = struct.Struct("<4s4H2LH")
_CENTRAL: Final = struct.Struct("<4s6H3L5H2L")
_LOCAL: Final = struct.Struct("<4s5H3L2H")
_END_MAGIC: Final = b"PK\x05\x06"
_CENTRAL_MAGIC: Final = b"PK\x01\x02"
_LOCAL_MAGIC: Final = b"PK\x03\x04"
_DESCRIPTOR_MAGIC: Final = b"PK\x07\x08"
_ZIP64: Final = 0xFFFFFFFF
_UNIX: Final = 3
_ENCRYPTED: Final = 0x0001 | 0x0040 | 0x2000
_HAS_DESCRIPTOR: Final = 0x0008
_UTF8: Final = 0x0800
_KNOWN_FLAGS: Final = _HAS_DESCRIPTOR | _UTF8 | 0x0006  # how hard deflate tried
_MAX_DIRECTORY: Final = 4 * 1024 * 1024
_DIRECTORY_ATTRIBUTE: Final = 0x10


class ZipEntry(NamedTuple):
    """A member, and where its bytes are."""

    member: Member
    method: int
    checksum: int
    packed: int
    """Bytes in the archive."""
    header_at: int
    flags: int
    raw_name: bytes
    data_at: int = 0


def read_directory(file: BinaryIO, size: int, budget: Budget) -> list[ZipEntry]:
    """Read the directory and all headers; return the members in the order of their bytes.

    Args:
        file: can seek.
        size: of the file.
        budget: counts the members.

    Raises:
        Refusal: something is wrong with it.

    """
    count, directory_at = _read_end(file, size, budget)
    file.seek(directory_at)
    directory = file.read(size - _END.size - directory_at)
    entries: list[ZipEntry] = []
    at = 0
    for _ in range(count):
        entry, at = _read_central(directory, at, budget)
        entries.append(entry)
    if at != len(directory):
        raise _inconsistent("its directory holds more than it says")
    entries.sort(key=lambda entry: entry.header_at)
    return _read_locals(file, entries, directory_at)


def _read_end(file: BinaryIO, size: int, budget: Budget) -> tuple[int, int]:
    """Read the record at the end; return the number of members and where the directory begins."""
    if size < _END.size:
        raise truncated()
    file.seek(size - _END.size)
    magic, disk, first_disk, here, count, length, at, comment = _END.unpack(file.read(_END.size))
    if magic != _END_MAGIC or comment:
        raise _no_end(file, size)
    if disk or first_disk or here != count:
        raise unsupported("several disks")
    if _ZIP64 in {length, at} or count == 0xFFFF:  # noqa: PLR2004 - the mark of zip64
        raise unsupported("zip64")
    if count > budget.limits.members:
        raise Refusal(Code.BUNDLE_TOO_MANY_MEMBERS, f"The archive has more than {budget.limits.members} members.")
    if at + length + _END.size != size or length > _MAX_DIRECTORY:
        raise _inconsistent("its directory is not where the end of the file says")
    return count, at


def _no_end(file: BinaryIO, size: int) -> Refusal:
    """Say what is there instead of the end."""
    file.seek(max(0, size - 0xFFFF - _END.size))
    tail = file.read()
    at = tail.rfind(_END_MAGIC)
    if at < 0 or len(tail) - at < _END.size:
        return truncated()
    return trailing("something behind the end of the zip archive, or a comment")


def _read_central(directory: bytes, at: int, budget: Budget) -> tuple[ZipEntry, int]:
    """Read one entry of the directory; return it, and where the next one is."""
    budget.take_header()
    if len(directory) - at < _CENTRAL.size:
        raise corrupt("its directory is cut off")
    fields = _CENTRAL.unpack_from(directory, at)
    (magic, made_by, _needed, flags, method, time, date, checksum, packed, size) = fields[:10]
    (name_length, extra_length, comment_length, disk, _internal, attributes, header_at) = fields[10:]
    name_at = at + _CENTRAL.size
    end = name_at + name_length + extra_length + comment_length
    if magic != _CENTRAL_MAGIC or end > len(directory):
        raise corrupt("its directory is wrong")
    raw_name = directory[name_at : name_at + name_length]
    _check_kind(flags, method, disk, raw_name)
    if _ZIP64 in {packed, size, header_at}:
        raise unsupported("zip64")
    seconds = read_extra(directory[name_at + name_length : name_at + name_length + extra_length])
    name = _decode(raw_name, is_utf8=bool(flags & _UTF8))
    mode = attributes >> 16 if made_by >> 8 == _UNIX else 0
    is_directory = name.endswith("/")
    _check_mode(name, mode, attributes, is_directory=is_directory)
    budget.check_size(name, size)
    if is_directory and size:
        raise corrupt("a directory has a content")
    if method == STORED and packed != size:
        raise _inconsistent("a member that is not packed has two sizes")
    path = safe_path(name, budget.limits)
    modified_at = moment_of(moment_in_dos(date, time) if seconds is None else seconds)
    member = Member(path, size, modified_at, is_directory)
    return ZipEntry(member, method, checksum, packed, header_at, flags, raw_name), end


def _check_kind(flags: int, method: int, disk: int, raw_name: bytes) -> None:
    if flags & _ENCRYPTED:
        detail = f"The member {raw_name[:100]!r} is encrypted; send what can be read."
        raise Refusal(Code.BUNDLE_ENCRYPTED, detail)
    if method not in {STORED, DEFLATED}:
        raise unsupported(f"the compression method {method}; deflate is taken")
    if disk or flags & ~_KNOWN_FLAGS:
        raise unsupported(f"several disks, or the flags {flags:#06x}")


def _check_mode(name: str, mode: int, attributes: int, *, is_directory: bool) -> None:
    kind = stat.S_IFMT(mode)
    if kind == stat.S_IFLNK:
        raise link(name)
    if kind not in {0, stat.S_IFREG, stat.S_IFDIR}:
        raise special_file(name)
    says_directory = kind == stat.S_IFDIR or (not kind and bool(attributes & _DIRECTORY_ATTRIBUTE))
    if (says_directory and not is_directory) or (kind == stat.S_IFREG and is_directory):
        raise _inconsistent(f"{name[:100]!r} is a file and a directory")
    check_mode(name, mode, is_directory=is_directory)


def _decode(raw_name: bytes, *, is_utf8: bool) -> str:
    """Decode a name: UTF-8 where the flag says so, else the character set of the first PCs."""
    if b"\0" in raw_name:
        raise Refusal(Code.BUNDLE_UNSAFE_PATH, f"The member {raw_name[:100]!r} has a zero byte in its name.")
    return raw_name.decode("utf-8", "surrogateescape") if is_utf8 else raw_name.decode("cp437")


def _read_locals(file: BinaryIO, entries: list[ZipEntry], directory_at: int) -> list[ZipEntry]:
    """Read the header before each member; see that they follow one another without a gap."""
    located: list[ZipEntry] = []
    at = 0
    for entry in entries:
        if entry.header_at != at:
            raise _inconsistent("its members overlap, or there is something between them")
        data_at = _read_local(file, entry)
        at = data_at + entry.packed
        if entry.flags & _HAS_DESCRIPTOR:
            at += _read_descriptor(file, entry, at)
        if at > directory_at:
            raise _inconsistent("a member reaches into the directory")
        located.append(entry._replace(data_at=data_at))
    if at != directory_at:
        raise _inconsistent("there is something between its members and its directory")
    return located


def _read_local(file: BinaryIO, entry: ZipEntry) -> int:
    """Compare the header before a member with the directory; return where its bytes begin."""
    file.seek(entry.header_at)
    data = file.read(_LOCAL.size)
    if len(data) < _LOCAL.size:
        raise truncated()
    magic, _needed, flags, method, _, _, checksum, packed, size, name_length, extra_length = _LOCAL.unpack(data)
    if magic != _LOCAL_MAGIC:
        raise _inconsistent("there is no header where the directory says")
    rest = file.read(name_length + extra_length)
    if len(rest) < name_length + extra_length:
        raise truncated()
    known = (entry.checksum, entry.packed, entry.member.size)
    said = (checksum, packed, size)
    later = entry.flags & _HAS_DESCRIPTOR and said == (0, 0, 0)
    if (flags, method, rest[:name_length]) != (entry.flags, entry.method, entry.raw_name) or (
        said != known and not later
    ):
        raise _inconsistent(f"the header of {entry.member.path[:100]!r} says other things than the directory")
    read_extra(rest[name_length:])
    return entry.header_at + _LOCAL.size + len(rest)


def _read_descriptor(file: BinaryIO, entry: ZipEntry, at: int) -> int:
    """Compare what stands behind a member with the directory; return its length."""
    file.seek(at)
    data = file.read(16)
    known = struct.pack("<3L", entry.checksum, entry.packed, entry.member.size)
    if data == _DESCRIPTOR_MAGIC + known:
        return 16
    if data[:12] == known:
        return 12
    raise _inconsistent(f"what stands behind {entry.member.path[:100]!r} says other things than the directory")


def _inconsistent(what: str) -> Refusal:
    detail = f"The zip archive contradicts itself: {what}."
    return Refusal(Code.BUNDLE_INCONSISTENT, detail)
