"""The manifest of a bundle, and what it says of the other members."""

from collections.abc import Iterator
from typing import Any, Final

from eventserver.bundle.limits import Limits
from eventserver.bundle.members import Member, Pieces
from eventserver.refusal import Code, Refusal
from eventserver.strict_json import decode

MANIFEST: Final = "tech-support-manifest.json"
UPLOADED_PATH: Final = "uploadedBundlePath"
_SPACE: Final = b" \t\n\r"


def read_manifest(member: Member, pieces: Pieces, limits: Limits) -> tuple[bytes, dict[str, Any]]:
    """Return the manifest's text, without white space around it, and its value.

    Raises:
        Refusal: ``bundle_manifest_invalid``: it is a directory, too large, or not one strict JSON object in UTF-8; or
            it says where the bundle was uploaded to, which is ours to say.

    """
    if member.is_directory:
        raise _invalid("it is a directory")
    if member.size > limits.manifest_bytes:
        raise _invalid(f"it has {member.size} bytes; {limits.manifest_bytes} are taken")
    text = b"".join(pieces).strip(_SPACE)
    try:
        value = decode(text)
    except Refusal as refusal:
        raise _invalid(refusal.detail.removeprefix("The body is not strict JSON: ").rstrip(".")) from None
    if type(value) is not dict or not value:
        raise _invalid("it is not a JSON object with fields")
    if UPLOADED_PATH in value:
        raise _invalid(f"it has {UPLOADED_PATH}, which the server adds")
    return text, value


def listed_files(fields: dict[str, Any]) -> Iterator[tuple[str, int | None, str | None]]:
    """Yield path, size and SHA-256 of each file that a manifest lists; what is not of that form is passed over.

    The schema of the bundle's type judges the form.
    """
    files = fields.get("files")
    for file in files if type(files) is list else ():
        if type(file) is dict and type(file.get("path")) is str:
            size, digest = file.get("size"), file.get("sha256")
            yield (
                file["path"],
                size if type(size) is int else None,
                digest.lower() if type(digest) is str else None,
            )


def _invalid(reason: str) -> Refusal:
    return Refusal(Code.BUNDLE_MANIFEST_INVALID, f"{MANIFEST} can't be used: {reason}.")
