"""Archives made by tests: good ones, and the parts that bad ones are put together from."""

import gzip
import io
import json
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

MANIFEST = "tech-support-manifest.json"
SYSTEM = "2319db24-f46e-11e6-a35c-3c15c2cc8f88"
MTIME = 1479988967


def manifest(**more: Any) -> dict[str, Any]:
    """Return the manifest of a failed installation, as the predecessor's tool writes it."""
    return {
        "id": "9ad8b1a4-8d52-4d4a-8a57-6a6e3b1d9a01",
        "bundleTypeId": "sl_ts_bundle_failed_install",
        "bundleTypeVersion": 1,
        "createdAt": "2026-11-24T04:02:47.463-08:00",
        "smrtLinkSystemId": SYSTEM,
        "dnsName": "smrtlink.lab.example",
        "smrtLinkSystemVersion": "5.1.0",
        "user": "mkocher",
        "comment": "the installer stopped",
        **more,
    }


def text_of(value: Any) -> bytes:
    """Return a value as JSON."""
    return json.dumps(value, indent=2).encode()


def info(
    name: str, size: int = 0, *, kind: bytes = tarfile.REGTYPE, mode: int = 0o644, target: str = ""
) -> tarfile.TarInfo:
    """Return the header of a member."""
    made = tarfile.TarInfo(name)
    made.size, made.type, made.mode, made.linkname, made.mtime = size, kind, mode, target, MTIME
    return made


def header(name: str, size: int = 0, **more: Any) -> bytes:
    """Return the block of a header, as GNU tar writes it."""
    return info(name, size, **more).tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")


def member(name: str, content: bytes = b"x\n", **more: Any) -> bytes:
    """Return the blocks of a member."""
    return header(name, len(content), **more) + padded(content)


def padded(content: bytes) -> bytes:
    """Return content filled up to whole blocks."""
    return content + bytes(-len(content) % 512)


def extended(records: Mapping[str, str | bytes], *, kind: bytes = tarfile.XHDTYPE) -> bytes:
    """Return the blocks of an extended header of pax."""
    content = b"".join(record(key, value) for key, value in records.items())
    return header("././@PaxHeader", len(content), kind=kind) + padded(content)


def record(key: str, value: str | bytes) -> bytes:
    """Return one record of an extended header."""
    body = b" %b=%b\n" % (key.encode(), value.encode() if isinstance(value, str) else value)
    length = len(body) + 1
    while len(b"%d" % length) + len(body) != length:
        length += 1
    return b"%d%b" % (length, body)


END = bytes(1024)


def tgz_of(*blocks: bytes, end: bytes = END, level: int = 6) -> bytes:
    """Pack blocks of tar."""
    return gzip.compress(b"".join(blocks) + end, level, mtime=0)


def tgz(files: Mapping[str, bytes] | None = None, /, *, level: int = 6, **fields: Any) -> bytes:
    """Return a good bundle: the manifest first, or where ``files`` has it."""
    files = files if files is not None else {"logs/smrtlink.log": b"all is well\n" * 10}
    if MANIFEST not in files:
        files = {MANIFEST: text_of(manifest(**fields)), **files}
    return tgz_of(*(member(name, content) for name, content in files.items()), level=level)


def with_tarfile(files: Mapping[str, bytes], kind: int) -> bytes:
    """Return what Python's own library writes in one of its formats."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz", format=kind) as archive:
        for name, content in files.items():
            archive.addfile(info(name, len(content)), io.BytesIO(content))
    return packed.getvalue()


def zipped(files: Mapping[str, bytes] | None = None, /, *, method: int = zipfile.ZIP_DEFLATED, **fields: Any) -> bytes:
    """Return a good bundle as a zip archive."""
    files = files if files is not None else {"logs/smrtlink.log": b"all is well\n" * 10}
    if MANIFEST not in files:
        files = {MANIFEST: text_of(manifest(**fields)), **files}
    return zip_of(((zip_info(name), content) for name, content in files.items()), method)


def zip_info(name: str, mode: int = 0o100644) -> zipfile.ZipInfo:
    """Return the header of a member, with permissions of Unix."""
    made = zipfile.ZipInfo(name, (2026, 11, 24, 4, 2, 46))
    made.create_system, made.external_attr = 3, mode << 16
    return made


def zip_of(members: Iterable[tuple[zipfile.ZipInfo, bytes]], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Return a zip archive of such members, also of two with one name."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as archive:
        for made, content in members:
            archive.NameToInfo.pop(made.filename, None)
            made.compress_type = method
            archive.writestr(made, content)
    return packed.getvalue()


def zip_with(*members: tuple[str, int, bytes]) -> bytes:
    """Return a zip archive of a manifest and members with these modes."""
    first = (zip_info(MANIFEST), text_of(manifest()))
    return zip_of([first, *((zip_info(name, mode), content) for name, mode, content in members)])


def patched(packed: bytes, change: Callable[[bytearray], None]) -> bytes:
    """Return bytes changed in place."""
    copy = bytearray(packed)
    change(copy)
    return bytes(copy)


def deflated(content: bytes) -> bytes:
    """Return raw deflate."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(content) + packer.flush()
