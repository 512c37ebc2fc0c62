"""Uploads as bytes on the wire."""

import io

from aiohttp import FormData

BOUNDARY = "xyzzy"
FORM = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}


def form(archive: bytes, field: str = "techsupport_tgz", name: str = "example.tgz") -> FormData:
    """Return the form of one archive, as curl sends it."""
    data = FormData()
    data.add_field(field, io.BytesIO(archive), filename=name, content_type="application/octet-stream")
    return data


def part(content: bytes, disposition: bytes = b'form-data; name="techsupport_tgz"; filename="a.tgz"') -> bytes:
    """Return one part."""
    head = b"Content-Disposition: %b\r\nContent-Type: application/octet-stream\r\n\r\n" % disposition
    return b"--%b\r\n%b%b\r\n" % (BOUNDARY.encode(), head, content)


def body(*parts: bytes) -> bytes:
    """Return parts as a whole body."""
    return b"".join(parts) + b"--%b--\r\n" % BOUNDARY.encode()
