"""The event that a bundle becomes, and the way back from it to the archive."""

import json
import re
from typing import Any, Final

from backends.base import Event
from backends.bundles import BundlePath, read_path
from backends.equality import same_content
from backends.record import original_of
from eventserver.bundle import UPLOADED_PATH, Inspection
from eventserver.refusal import Code, Refusal
from eventserver.strict_json import decode

_INSTANT: Final = re.compile(
    r"(?P<date>[0-9-]{10})[Tt](?P<time>[0-9:]{8})(?P<fraction>\.[0-9]{1,9})?(?P<offset>[Zz]|[+-][0-9]{2}:?[0-9]{2})"
)


def write_event(inspection: Inspection, path: BundlePath) -> bytes:
    """Return the event of a bundle as JSON; it is still to be judged.

    The manifest stands in it as its author wrote it, number for number, with the archive's path behind it. Installed
    clients decode this event: the system's key is spelt ``smrtLinkId``, and ``createdAt`` has a fraction, and a zone
    with a colon, whatever the manifest has.
    """
    fields = inspection.fields
    head = {
        "uuid": path.uuid,
        "smrtLinkId": fields.get("smrtLinkSystemId"),
        "createdAt": _with_fraction(fields.get("createdAt")),
        "eventTypeId": fields.get("bundleTypeId"),
        "eventTypeVersion": fields.get("bundleTypeVersion"),
    }
    if isinstance(fields.get("dnsName"), str):
        head["dnsName"] = fields["dnsName"]
    try:
        text = json.dumps(head, ensure_ascii=False, separators=(",", ":"))
    except (TypeError, ValueError):
        detail = "The manifest has a number where an id, a version or a time should be."
        raise Refusal(Code.BUNDLE_MANIFEST_INVALID, detail) from None
    message = b'%b,"%b":"%b"}' % (inspection.manifest[:-1].rstrip(), UPLOADED_PATH.encode(), str(path).encode())
    return b'%b,"message":%b}' % (text[:-1].encode(), message)


def path_in(record: bytes) -> BundlePath | None:
    """Return where the archive of a stored event is kept, or None: it is no bundle's, or names a place of others."""
    try:
        value = decode(original_of(record))["message"].get(UPLOADED_PATH)
    except (Refusal, KeyError, AttributeError):
        return None
    return read_path(value) if isinstance(value, str) else None


def path_of_same_bundle(event: Event, first: bytes) -> BundlePath | None:
    """Return where the archive of a stored event is, if but for that it is the same event; else None."""
    theirs, ours = path_in(first), path_in(event.record)
    if theirs is None or ours is None or theirs.uuid != event.uuid:
        return None
    said = original_of(first).replace(str(theirs).encode(), str(ours).encode())
    return theirs if same_content(said, original_of(event.record)) else None


def _with_fraction(created_at: Any) -> Any:
    match = _INSTANT.fullmatch(created_at) if isinstance(created_at, str) else None
    if match is None:
        return created_at
    offset = match["offset"].upper()
    if offset != "Z" and ":" not in offset:
        offset = f"{offset[:3]}:{offset[3:]}"
    return f"{match['date']}T{match['time']}{match['fraction'] or '.0'}{offset}"
