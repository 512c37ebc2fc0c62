"""Everything that an archive can do wrong, made anew for each test, with the code that it is refused with."""

import gzip
import io
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from secrets import token_hex

from support.archives import (
    END,
    MANIFEST,
    deflated,
    extended,
    header,
    manifest,
    member,
    padded,
    patched,
    text_of,
    tgz,
    tgz_of,
    zip_info,
    zip_of,
    zip_with,
    zipped,
)

Case = tuple[Callable[[], bytes], str]
GOOD = member(MANIFEST, text_of(manifest()))
MIB = 1024 * 1024


def _named(name: str) -> Callable[[], bytes]:
    return lambda: tgz_of(GOOD, member(name))


def _kind(kind: bytes, **more: str) -> Callable[[], bytes]:
    return lambda: tgz_of(GOOD, header("thing", kind=kind, **more))


def _pax(**records: str) -> Callable[[], bytes]:
    renamed = {key.replace("__", "."): value for key, value in records.items()}
    return lambda: tgz_of(GOOD, extended(renamed), member("thing"))


def _manifest(content: bytes) -> Callable[[], bytes]:
    return lambda: tgz_of(member(MANIFEST, content), member("thing"))


def _size_in_base_256() -> bytes:
    """Return a header that claims a terabyte, as GNU tar writes large numbers."""
    block = bytearray(header("huge"))
    block[124:136] = b"\x80" + (1 << 40).to_bytes(11, "big")
    return _summed(block)


def _summed(block: bytearray) -> bytes:
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def _negative_size() -> bytes:
    block = bytearray(header("thing"))
    block[124:136] = b"\xff" * 12
    return _summed(block)


def _wrong_sum() -> bytes:
    return patched(header("thing"), lambda block: block.__setitem__(148, ord("7")))


def _bomb() -> bytes:
    """Return 200 MB of zeros: a ratio of 1,000."""
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=9, mtime=0) as file:
        file.write(GOOD + header("zeros", 120 * MIB))
        for _ in range(200):
            file.write(bytes(MIB))
    return packed.getvalue()


def _zip_bomb() -> bytes:
    return zip_with(("zeros", 0o100644, bytes(100 * MIB)))


def _flipped(packed: bytes, at: int) -> bytes:
    return patched(packed, lambda copy: copy.__setitem__(at, copy[at] ^ 0xFF))


def _central(packed: bytes) -> int:
    """Return where the last entry of a zip's directory begins."""
    return packed.rindex(b"PK\x01\x02")


def _local(packed: bytes) -> int:
    """Return where the header of the last member begins."""
    return packed.rindex(b"PK\x03\x04")


def _put(packed: bytes, at: int, form: str, *values: int) -> bytes:
    return patched(packed, lambda copy: struct.pack_into(form, copy, at, *values))


def _in_central(offset: int, form: str, *values: int) -> Callable[[], bytes]:
    def make() -> bytes:
        packed = zipped()
        return _put(packed, _central(packed) + offset, form, *values)

    return make


def _in_local(offset: int, form: str, *values: int) -> Callable[[], bytes]:
    def make() -> bytes:
        packed = zipped()
        return _put(packed, _local(packed) + offset, form, *values)

    return make


def _other_local_name() -> bytes:
    packed = zipped({"good.txt": b"x"})
    at = _local(packed) + 30
    return patched(packed, lambda copy: copy.__setitem__(slice(at, at + 8), b"evil.txt"))


def _two_entries_for_one_member() -> bytes:
    """Return overlapping members: many entries of the directory that name the same bytes, as 42.zip's followers do."""
    packed = zipped({"kernel": bytes(1000)})
    directory_at = packed.index(b"PK\x01\x02")
    last = packed[_central(packed) : packed.rindex(b"PK\x05\x06")]
    directory = packed[directory_at : packed.rindex(b"PK\x05\x06")] + last.replace(b"kernel", b"second") * 1
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 3, 3, len(directory), directory_at, 0)
    return packed[:directory_at] + directory + end


def _hidden_member() -> bytes:
    """Return a zip with a member that its directory does not name."""
    packed = zipped({"first": b"1", "hidden": b"2"})
    central, end = _central(packed), packed.rindex(b"PK\x05\x06")
    directory_at = packed.index(b"PK\x01\x02")
    tail = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 2, 2, central - directory_at, directory_at, 0)
    assert end > central
    return packed[:central] + tail


def _encrypted() -> bytes:
    packed = zipped()
    packed = _put(packed, _central(packed) + 8, "<H", 1)
    return _put(packed, _local(packed) + 6, "<H", 1)


def _with_method(method: int) -> Callable[[], bytes]:
    def make() -> bytes:
        return zip_of([(zip_info(MANIFEST), text_of(manifest())), (zip_info("thing"), b"x" * 1000)], method)

    return make


def _with_extra(kind: int, value: bytes) -> Callable[[], bytes]:
    def make() -> bytes:
        made = zip_info("thing")
        made.extra = struct.pack("<2H", kind, len(value)) + value
        return zip_of([(zip_info(MANIFEST), text_of(manifest())), (made, b"x")])

    return make


def _with_comment() -> bytes:
    packed = io.BytesIO(zipped())
    with zipfile.ZipFile(packed, "a") as archive:
        archive.comment = b"hello"
    return packed.getvalue()


def _short_data() -> bytes:
    """Return a zip whose member unpacks to less than it says, in all three places that say it."""
    packed = zipped({"thing": b"x" * 100})
    packed = _put(packed, _central(packed) + 24, "<L", 101)
    return _put(packed, _local(packed) + 22, "<L", 101)


def _data_behind_deflate() -> bytes:
    """Return a zip with bytes behind the end of a member's deflate stream, inside the member."""
    content = b"x" * 100
    packed = deflated(content) + b"hidden"
    made = zip_of([(zip_info(MANIFEST), text_of(manifest()))])
    directory_at = made.index(b"PK\x01\x02")
    first = made[directory_at : made.rindex(b"PK\x05\x06")]
    checksum = zlib.crc32(content)
    local = (
        struct.pack("<4s5H3L2H", b"PK\x03\x04", 20, 0, 8, 0, 33, checksum, len(packed), 100, 5, 0) + b"thing" + packed
    )
    entry = struct.pack(
        "<4s6H3L5H2L",
        *(b"PK\x01\x02", 20, 20, 0, 8, 0, 33, checksum, len(packed), 100, 5, 0, 0, 0, 0, 0, directory_at),
    )
    directory = first + entry + b"thing"
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 2, 2, len(directory), directory_at + len(local), 0)
    return made[:directory_at] + local + directory + end


def _many_empty_zip_members() -> bytes:
    return zip_of([(zip_info(f"e{number}"), b"") for number in range(10_000)], zipfile.ZIP_STORED)


TAR_CASES: dict[str, Case] = {
    "climbs": (_named("../evil"), "bundle_unsafe_path"),
    "climbs in the middle": (_named("logs/../../evil"), "bundle_unsafe_path"),
    "climbs at the end": (_named("logs/.."), "bundle_unsafe_path"),
    "absolute": (_named("/etc/cron.d/evil"), "bundle_unsafe_path"),
    "drive letter": (_named("C:/evil"), "bundle_unsafe_path"),
    "drive letter without a slash": (_named("c:evil"), "bundle_unsafe_path"),
    "backslash": (_named("..\\evil"), "bundle_unsafe_path"),
    "UNC": (_named("\\\\host\\share"), "bundle_unsafe_path"),
    "nothing between slashes": (_named("logs//evil"), "bundle_unsafe_path"),
    "dot in the middle": (_named("logs/./evil"), "bundle_unsafe_path"),
    "line break in a name": (_named("a\nb"), "bundle_unsafe_path"),
    "escape sequence in a name": (_named("a\x1b[2Jb"), "bundle_unsafe_path"),
    "name that is not UTF-8": (_named("a\udcffb"), "bundle_unsafe_path"),
    "no name": (_named(""), "bundle_unsafe_path"),
    "name of 600 bytes": (
        lambda: tgz_of(GOOD, extended({"path": "a/" * 300 + "a"}), member("a")),
        "bundle_unsafe_path",
    ),
    "component of 300 bytes": (lambda: tgz_of(GOOD, extended({"path": "a" * 300}), member("a")), "bundle_unsafe_path"),
    "forty directories deep": (
        lambda: tgz_of(GOOD, extended({"path": "a/" * 40 + "a"}), member("a")),
        "bundle_unsafe_path",
    ),
    "long name of GNU that climbs": (
        lambda: tgz_of(GOOD, member("././@LongLink", b"../evil\0", kind=tarfile.GNUTYPE_LONGNAME), member("a")),
        "bundle_unsafe_path",
    ),
    "long name of GNU that is huge": (
        lambda: tgz_of(GOOD, member("././@LongLink", b"a" * 60_000, kind=tarfile.GNUTYPE_LONGNAME), member("a")),
        "bundle_unsafe_path",
    ),
    "path of pax that climbs": (_pax(path="../evil"), "bundle_unsafe_path"),
    "path of pax with a zero byte": (_pax(path="a\0b"), "bundle_unsafe_path"),
    "symbolic link": (_kind(tarfile.SYMTYPE, target="/etc/passwd"), "bundle_link"),
    "symbolic link within": (_kind(tarfile.SYMTYPE, target="logs"), "bundle_link"),
    "hard link": (_kind(tarfile.LNKTYPE, target=MANIFEST), "bundle_link"),
    "long link of GNU": (
        lambda: tgz_of(GOOD, member("././@LongLink", b"a\0", kind=tarfile.GNUTYPE_LONGLINK), member("a")),
        "bundle_link",
    ),
    "character device": (_kind(tarfile.CHRTYPE), "bundle_special_file"),
    "block device": (_kind(tarfile.BLKTYPE), "bundle_special_file"),
    "fifo": (_kind(tarfile.FIFOTYPE), "bundle_special_file"),
    "contiguous file": (_kind(tarfile.CONTTYPE), "bundle_unsupported"),
    "sparse file of old GNU": (_kind(tarfile.GNUTYPE_SPARSE), "bundle_unsupported"),
    "volume label": (_kind(b"V"), "bundle_unsupported"),
    "continued volume": (_kind(b"M"), "bundle_unsupported"),
    "unknown kind": (_kind(b"Z"), "bundle_unsupported"),
    "Solaris extended header": (_kind(b"X"), "bundle_unsupported"),
    "setuid": (lambda: tgz_of(GOOD, member("tool", mode=0o4755)), "bundle_unsafe_mode"),
    "setgid": (lambda: tgz_of(GOOD, member("tool", mode=0o2755)), "bundle_unsafe_mode"),
    "setuid directory": (
        lambda: tgz_of(GOOD, header("dir", kind=tarfile.DIRTYPE, mode=0o4755)),
        "bundle_unsafe_mode",
    ),
    "two of one name": (lambda: tgz_of(GOOD, member("a"), member("a")), "bundle_duplicate_name"),
    "two of one name in two spellings": (lambda: tgz_of(GOOD, member("a"), member("./a")), "bundle_duplicate_name"),
    "two manifests": (lambda: tgz_of(GOOD, GOOD), "bundle_duplicate_name"),
    "a second manifest by a long name": (
        lambda: tgz_of(GOOD, extended({"path": MANIFEST}), member("a")),
        "bundle_duplicate_name",
    ),
    "a file below a file": (lambda: tgz_of(GOOD, member("a"), member("a/b")), "bundle_duplicate_name"),
    "manifest in other letters": (
        lambda: tgz_of(GOOD, member(MANIFEST.title(), text_of(manifest()))),
        "bundle_manifest_invalid",
    ),
    "no manifest": (lambda: tgz_of(member("a")), "bundle_manifest_missing"),
    "no members": (tgz_of, "bundle_manifest_missing"),
    "manifest in a directory": (lambda: tgz_of(member(f"logs/{MANIFEST}", b"{}")), "bundle_manifest_missing"),
    "manifest is a link": (
        lambda: tgz_of(header(MANIFEST, kind=tarfile.SYMTYPE, target="/etc/passwd")),
        "bundle_link",
    ),
    "manifest is a directory": (lambda: tgz_of(header(MANIFEST, kind=tarfile.DIRTYPE)), "bundle_manifest_invalid"),
    "manifest is not JSON": (_manifest(b"bundleTypeId: x"), "bundle_manifest_invalid"),
    "manifest is empty": (_manifest(b""), "bundle_manifest_invalid"),
    "manifest is an array": (_manifest(b"[]"), "bundle_manifest_invalid"),
    "manifest is not UTF-8": (_manifest(b'{"a":"\xff"}'), "bundle_manifest_invalid"),
    "manifest in UTF-16": (_manifest('{"a":1}'.encode("utf-16")), "bundle_manifest_invalid"),
    "manifest has a byte order mark": (_manifest(b'\xef\xbb\xbf{"a":1}'), "bundle_manifest_invalid"),
    "manifest has a key twice": (_manifest(b'{"a":1,"a":2}'), "bundle_manifest_invalid"),
    "manifest is nested deeply": (_manifest(b'{"a":' + b"[" * 100_000), "bundle_manifest_invalid"),
    "manifest is huge": (_manifest(b'{"a":"' + b"x" * 600_000 + b'"}'), "bundle_manifest_invalid"),
    "manifest says where it is kept": (
        _manifest(text_of(manifest(uploadedBundlePath="../../etc/passwd"))),
        "bundle_manifest_invalid",
    ),
    "claims a terabyte": (lambda: tgz_of(GOOD, _size_in_base_256()), "bundle_too_large"),
    "claims a terabyte by pax": (_pax(size=str(1 << 40)), "bundle_unsupported"),
    "claims a terabyte of pax": (
        lambda: tgz_of(GOOD, header("x", 8 * 1024**3 - 1, kind=tarfile.XHDTYPE)),
        "bundle_too_large",
    ),
    "negative size": (lambda: tgz_of(GOOD, _negative_size()), "bundle_corrupt"),
    "wrong checksum of a header": (lambda: tgz_of(GOOD, _wrong_sum()), "bundle_corrupt"),
    "directory with a content": (lambda: tgz_of(GOOD, member("dir", kind=tarfile.DIRTYPE)), "bundle_corrupt"),
    "bomb": (_bomb, "bundle_too_large"),
    "10,000 empty members": (
        lambda: tgz_of(GOOD, *(header(f"e{number}") for number in range(10_000))),
        "bundle_too_many_members",
    ),
    "10,000 extended headers": (lambda: tgz_of(GOOD, extended({"comment": "x"}) * 10_000), "bundle_unsupported"),
    "6,000 global headers": (
        lambda: tgz_of(
            GOOD, *(extended({"comment": token_hex(200)}, kind=tarfile.XGLTYPE) for _ in range(6_000)), level=1
        ),
        "bundle_too_many_members",
    ),
    "sparse file of pax": (_pax(GNU__sparse__major="1", GNU__sparse__size="9"), "bundle_unsupported"),
    "real size of star": (_pax(SCHILY__realsize="99999999"), "bundle_unsupported"),
    "link path of pax": (_pax(linkpath="/etc/passwd"), "bundle_unsupported"),
    "character set of pax": (_pax(hdrcharset="BINARY"), "bundle_unsupported"),
    "unknown key of pax": (_pax(evil="1"), "bundle_unsupported"),
    "path for all members": (
        lambda: tgz_of(GOOD, extended({"path": "a"}, kind=tarfile.XGLTYPE), member("b")),
        "bundle_unsupported",
    ),
    "path twice in one header": (
        lambda: tgz_of(
            GOOD, header("x", 24, kind=tarfile.XHDTYPE) + padded(b"10 path=a\n" * 2 + b"\n\n\n\n"), member("b")
        ),
        "bundle_unsupported",
    ),
    "huge header of pax": (
        lambda: tgz_of(GOOD, extended({"comment": "x" * 100_000}), member("b")),
        "bundle_unsupported",
    ),
    "wrong length in pax": (
        lambda: tgz_of(GOOD, header("x", 11, kind=tarfile.XHDTYPE) + padded(b"99 path=ab\n"), member("b")),
        "bundle_corrupt",
    ),
    "time of pax that is none": (_pax(mtime="nan"), "bundle_corrupt"),
    "header for no member": (lambda: tgz_of(GOOD, extended({"path": "a"})), "bundle_corrupt"),
    "truncated gzip": (lambda: tgz()[:-20], "bundle_truncated"),
    "gzip without its checksum": (lambda: tgz()[:-8], "bundle_truncated"),
    "half of an archive": (lambda: tgz({"noise": bytes(range(256)) * 400})[:1000], "bundle_truncated"),
    "only a magic number": (lambda: b"\x1f\x8b", "bundle_truncated"),
    "tar without an end": (lambda: tgz_of(GOOD, end=b""), "bundle_truncated"),
    "tar with half an end": (lambda: tgz_of(GOOD, end=bytes(512)), "bundle_truncated"),
    "tar that ends in a member": (lambda: tgz_of(GOOD, header("a", 5000), b"x" * 512, end=b""), "bundle_truncated"),
    "tar that ends in a header": (lambda: tgz_of(GOOD, header("a")[:300], end=b""), "bundle_truncated"),
    "wrong checksum of gzip": (lambda: _flipped(tgz(), -6), "bundle_corrupt"),
    "wrong length of gzip": (lambda: _flipped(tgz(), -2), "bundle_corrupt"),
    "corrupted deflate": (lambda: _flipped(tgz(), 30), "bundle_corrupt"),
    "no tar in gzip": (lambda: gzip.compress(b"hello " * 1000), "bundle_corrupt"),
    "garbage behind gzip": (lambda: tgz() + b"garbage", "bundle_trailing_data"),
    "zeros behind gzip": (lambda: tgz() + bytes(10), "bundle_trailing_data"),
    "concatenated gzip members": (lambda: tgz() + tgz(), "bundle_trailing_data"),
    "tar in two gzip members": (
        lambda: tgz_of(GOOD, end=b"") + gzip.compress(member("evil") + END),
        "bundle_trailing_data",
    ),
    "a zip behind gzip": (lambda: tgz() + zipped(), "bundle_trailing_data"),
    "garbage behind the end of tar": (lambda: tgz_of(GOOD, END, b"garbage" * 100), "bundle_trailing_data"),
    "second tar behind the first": (lambda: tgz_of(GOOD, END, GOOD), "bundle_trailing_data"),
    "member behind one block of zeros": (lambda: tgz_of(GOOD, bytes(512), member("a")), "bundle_trailing_data"),
    "empty": (lambda: b"", "bundle_empty"),
    "neither": (lambda: b"%PDF-1.7 and so on", "bundle_unknown_format"),
    "tar without gzip": (lambda: GOOD + END, "bundle_unknown_format"),
    "bzip2": (lambda: b"BZh91AY&SY" + bytes(100), "bundle_unknown_format"),
}

LISTED_CASES: dict[str, Case] = {
    "lists a file that is missing": (lambda: tgz({"a": b"x"}, files=[{"path": "b"}]), "bundle_file_missing"),
    "lists a directory": (
        lambda: tgz_of(
            member(MANIFEST, text_of(manifest(files=[{"path": "d"}]))), header("d", kind=tarfile.DIRTYPE, mode=0o755)
        ),
        "bundle_file_missing",
    ),
    "lists another size": (lambda: tgz({"a": b"x"}, files=[{"path": "a", "size": 2}]), "bundle_file_mismatch"),
    "lists another digest": (
        lambda: tgz({"a": b"x"}, files=[{"path": "a", "sha256": "0" * 64}]),
        "bundle_file_mismatch",
    ),
    "lists another digest of a file ahead of it": (
        lambda: tgz({"a": b"x", MANIFEST: text_of(manifest(files=[{"path": "a", "sha256": "0" * 64}]))}),
        "bundle_file_mismatch",
    ),
}
"""Right as archives; what their manifests say is not so."""

ZIP_CASES: dict[str, Case] = {
    "zip climbs": (lambda: zip_with(("../evil", 0o100644, b"x")), "bundle_unsafe_path"),
    "zip absolute": (lambda: zip_with(("/evil", 0o100644, b"x")), "bundle_unsafe_path"),
    "zip backslash": (
        lambda: patched(
            zip_with(("..~evil", 0o100644, b"x")),
            lambda copy: copy.__setitem__(slice(None), bytes(copy).replace(b"..~evil", b"..\\evil")),
        ),
        "bundle_unsafe_path",
    ),
    "zip zero byte in a name": (
        lambda: zip_with(("evil~txt", 0o100644, b"x")).replace(b"evil~txt", b"evil\0txt"),
        "bundle_unsafe_path",
    ),
    "zip link": (lambda: zip_with(("l", stat.S_IFLNK | 0o777, b"/etc/passwd")), "bundle_link"),
    "zip manifest is a link": (lambda: zip_of([(zip_info(MANIFEST, stat.S_IFLNK), b"/etc/passwd")]), "bundle_link"),
    "zip fifo": (lambda: zip_with(("p", stat.S_IFIFO | 0o644, b"")), "bundle_special_file"),
    "zip device": (lambda: zip_with(("d", stat.S_IFBLK | 0o644, b"")), "bundle_special_file"),
    "zip setuid": (lambda: zip_with(("tool", 0o104755, b"x")), "bundle_unsafe_mode"),
    "zip file that is a directory": (lambda: zip_with(("d", stat.S_IFDIR | 0o755, b"")), "bundle_inconsistent"),
    "zip two of one name": (lambda: zip_with(("a", 0o100644, b"1"), ("a", 0o100644, b"2")), "bundle_duplicate_name"),
    "zip two manifests": (lambda: zip_with((MANIFEST, 0o100644, b"{}")), "bundle_duplicate_name"),
    "zip no manifest": (lambda: zip_of([(zip_info("a"), b"x")]), "bundle_manifest_missing"),
    "zip without members": (lambda: zip_of([]), "bundle_manifest_missing"),
    "zip truncated": (lambda: zipped()[:-1], "bundle_truncated"),
    "zip cut in half": (lambda: zipped({"noise": bytes(range(256)) * 400})[:1000], "bundle_truncated"),
    "zip with garbage behind it": (lambda: zipped() + b"garbage", "bundle_trailing_data"),
    "zip with a comment": (_with_comment, "bundle_trailing_data"),
    "zip twice": (lambda: zipped() + zipped(), "bundle_inconsistent"),
    "zip behind something": (lambda: b"PK\x03\x04" + zipped(), "bundle_inconsistent"),
    "zip with another local name": (_other_local_name, "bundle_inconsistent"),
    "zip with another local size": (_in_local(22, "<L", 7), "bundle_inconsistent"),
    "zip with another local packed size": (_in_local(18, "<L", 7), "bundle_inconsistent"),
    "zip with another local checksum": (_in_local(14, "<L", 7), "bundle_inconsistent"),
    "zip with another local method": (_in_local(8, "<H", 0), "bundle_inconsistent"),
    "zip with another local flag": (_in_local(6, "<H", 0x0800), "bundle_inconsistent"),
    "zip with a header elsewhere": (_in_central(42, "<L", 1), "bundle_inconsistent"),
    "zip with overlapping members": (_two_entries_for_one_member, "bundle_inconsistent"),
    "zip with a hidden member": (_hidden_member, "bundle_inconsistent"),
    "zip with another central size": (_in_central(24, "<L", 7), "bundle_inconsistent"),
    "zip that claims four gigabytes": (_in_central(24, "<L", 0xFFFFFFFE), "bundle_too_large"),
    "zip64": (_in_central(24, "<L", 0xFFFFFFFF), "bundle_unsupported"),
    "zip encrypted": (_encrypted, "bundle_encrypted"),
    "zip strongly encrypted": (_in_central(8, "<H", 0x41), "bundle_encrypted"),
    "zip with bzip2": (_with_method(zipfile.ZIP_BZIP2), "bundle_unsupported"),
    "zip with lzma": (_with_method(zipfile.ZIP_LZMA), "bundle_unsupported"),
    "zip with a second name": (_with_extra(0x7075, b"\x01\0\0\0\0evil"), "bundle_unsupported"),
    "zip with an extra field of zip64": (_with_extra(0x0001, bytes(16)), "bundle_unsupported"),
    "zip shorter than it says": (_short_data, "bundle_corrupt"),
    "zip with data behind deflate": (_data_behind_deflate, "bundle_corrupt"),
    "zip with a wrong checksum": (
        lambda: patched(
            zip_of([(zip_info(MANIFEST), text_of(manifest()))], zipfile.ZIP_STORED),
            lambda copy: copy.__setitem__(100, copy[100] ^ 1),
        ),
        "bundle_corrupt",
    ),
    "zip bomb": (_zip_bomb, "bundle_too_large"),
    "zip with 10,000 empty members": (_many_empty_zip_members, "bundle_too_many_members"),
}

CASES = TAR_CASES | ZIP_CASES
