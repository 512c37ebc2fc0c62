"""The operations on bundles, as OpenAPI describes them."""

from typing import Any, Final

from backends.base import Status
from eventserver.config import Settings
from eventserver.refusal import Code
from eventserver.web.openapi.parts import TAKING, UUID, answers, content, parameter, reference
from eventserver.web.uploads import FIELDS

PATH: Final = "/api/v1/files"
_OF_ARCHIVES: Final = tuple(code for code in Code if code.startswith("bundle_"))
_OF_MANIFESTS: Final = (Code.INVALID_EVENT, Code.UNKNOWN_EVENT_TYPE, Code.SCHEMA_VIOLATION)
_READING: Final = (Code.INVALID_UUID, Code.NOT_FOUND, Code.GONE, Code.TOO_MANY_REQUESTS, Code.STORAGE_UNAVAILABLE)
_BYTES: Final = {"schema": {"type": "string", "format": "binary"}}
_ARCHIVE: Final = {"application/gzip": _BYTES, "application/zip": _BYTES}
_MEMBER: Final = {
    "type": "object",
    "properties": {
        "path": {"type": "string", "description": "Its path in the archive."},
        "type": {"enum": ["file", "directory"]},
        "size": {"type": "integer", "minimum": 0, "description": "Bytes, unpacked."},
        "modifiedAt": {"type": "string", "format": "date-time"},
    },
    "required": ["path", "type", "size", "modifiedAt"],
}


def file_paths(settings: Settings) -> dict[str, Any]:
    """Return the operations by path and method."""
    uuid = parameter("uuid", "path", "The uuid of the bundle's event.", UUID)
    path = parameter("path", "path", "The file's path in the archive.", {"type": "string", "minLength": 1})
    return {
        PATH: {"post": _post(settings)},
        f"{PATH}/{{uuid}}": {"parameters": [uuid], "get": _get()},
        f"{PATH}/{{uuid}}/contents": {"parameters": [uuid], "get": _list()},
        f"{PATH}/{{uuid}}/contents/{{path}}": {"parameters": [uuid, path], "get": _get_member()},
    }


def file_components() -> dict[str, Any]:
    """Return the schemas by name."""
    return {"Member": _MEMBER}


def _header(description: str, schema: dict[str, Any], *, is_required: bool = True) -> dict[str, Any]:
    return {"description": description, "required": is_required, "schema": schema}


def _post(settings: Settings) -> dict[str, Any]:
    taken = {
        "headers": {
            "Location": _header("Path of the bundle.", {"type": "string"}),
            "Event-Status": _header(
                "How its event was taken.", {"enum": [str(Status.STORED), str(Status.DUPLICATE), str(Status.SPOOLED)]}
            ),
        },
        "content": content(reference("Event")),
        "links": {name: _link(name) for name in ("getFile", "listMembers")},
    }
    fields = {field: {"type": "string", "format": "binary"} for field in FIELDS}
    return {
        "operationId": "postFile",
        "tags": ["bundles"],
        "summary": "Send a bundle",
        "description": (
            f"One file, of less than {settings.event_max_bundle_bytes} bytes, in one of the fields: a tar archive in "
            "gzip, or a zip archive, with `tech-support-manifest.json` at its root. Archive and event are durable "
            "before the answer. The same archive again is fine. An archive with anything dangerous in it is refused."
        ),
        "requestBody": {
            "required": True,
            "content": {
                "multipart/form-data": {
                    "schema": {
                        "type": "object",
                        "properties": fields,
                        "oneOf": [{"required": [field]} for field in FIELDS],
                    }
                }
            },
        },
        "responses": answers(
            *(*TAKING, Code.INVALID_UPLOAD, Code.EVENT_CONFLICT, *_OF_ARCHIVES, *_OF_MANIFESTS),
            *(Code.STORAGE_UNAVAILABLE, Code.STORAGE_FULL),
            s200={"description": "It was there already: the event of its first upload."} | taken,
            s201={"description": "It is new: its event."} | taken,
        ),
    }


def _link(operation_id: str) -> dict[str, Any]:
    return {
        "operationId": operation_id,
        "parameters": {"uuid": "$response.body#/uuid"},
        "description": "It can be read back at once.",
    }


def _get() -> dict[str, Any]:
    tag = {"ETag": _header("The same for the same archive.", {"type": "string"})}
    part = tag | {"Content-Range": _header("Which bytes these are.", {"type": "string"})}
    return {
        "operationId": "getFile",
        "tags": ["bundles"],
        "summary": "Read a bundle's archive",
        "description": "One range of bytes may be asked for (RFC 9110 section 14).",
        "parameters": [
            parameter("Range", "header", "Such as `bytes=0-99`.", {"type": "string"}),
            parameter("If-None-Match", "header", "An `ETag` that is known.", {"type": "string"}),
        ],
        "responses": answers(
            *_READING,
            Code.RANGE_NOT_SATISFIABLE,
            s200={"description": "The archive.", "headers": tag, "content": _ARCHIVE},
            s206={"description": "The range.", "headers": part, "content": _ARCHIVE},
            s304={"description": "It is the one that is known.", "headers": tag},
        ),
    }


def _list() -> dict[str, Any]:
    members = {"type": "array", "items": reference("Member")}
    return {
        "operationId": "listMembers",
        "tags": ["bundles"],
        "summary": "List what is in a bundle",
        "description": "In the order of the archive.",
        "responses": answers(*_READING, s200={"description": "The members.", "content": content(members)}),
    }


def _get_member() -> dict[str, Any]:
    found = {"text/plain": {"schema": {"type": "string"}}, "application/octet-stream": _BYTES}
    return {
        "operationId": "getMember",
        "tags": ["bundles"],
        "summary": "Read one file of a bundle",
        "description": "As plain text or as bytes, to be saved; never as a page.",
        "responses": answers(*_READING, s200={"description": "The file.", "content": found}),
    }
