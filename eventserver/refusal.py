"""A refusal: what the service answers instead of taking an event, as a value that every layer can raise."""

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple


class Code(StrEnum):
    """The stable codes of refusals: at once the wire's ``code``, the metric's label and the quarantine's group."""

    BAD_REQUEST = "bad_request"
    MALFORMED_JSON = "malformed_json"
    INVALID_UUID = "invalid_uuid"
    INVALID_PARAMETER = "invalid_parameter"
    INVALID_EVENT = "invalid_event"
    UNKNOWN_EVENT_TYPE = "unknown_event_type"
    SCHEMA_VIOLATION = "schema_violation"
    EVENT_CONFLICT = "event_conflict"
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    REQUEST_TIMEOUT = "request_timeout"
    LENGTH_REQUIRED = "length_required"
    PAYLOAD_TOO_LARGE = "payload_too_large"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    EXPECTATION_FAILED = "expectation_failed"
    TOO_MANY_REQUESTS = "too_many_requests"
    STORAGE_UNAVAILABLE = "storage_unavailable"
    STORAGE_FULL = "storage_full"
    INTERNAL_ERROR = "internal_error"
    INVALID_UPLOAD = "invalid_upload"
    GONE = "gone"
    RANGE_NOT_SATISFIABLE = "range_not_satisfiable"
    BUNDLE_EMPTY = "bundle_empty"
    BUNDLE_UNKNOWN_FORMAT = "bundle_unknown_format"
    BUNDLE_CORRUPT = "bundle_corrupt"
    BUNDLE_TRUNCATED = "bundle_truncated"
    BUNDLE_TRAILING_DATA = "bundle_trailing_data"
    BUNDLE_INCONSISTENT = "bundle_inconsistent"
    BUNDLE_UNSUPPORTED = "bundle_unsupported"
    BUNDLE_ENCRYPTED = "bundle_encrypted"
    BUNDLE_UNSAFE_PATH = "bundle_unsafe_path"
    BUNDLE_UNSAFE_MODE = "bundle_unsafe_mode"
    BUNDLE_LINK = "bundle_link"
    BUNDLE_SPECIAL_FILE = "bundle_special_file"
    BUNDLE_DUPLICATE_NAME = "bundle_duplicate_name"
    BUNDLE_TOO_LARGE = "bundle_too_large"
    BUNDLE_TOO_MANY_MEMBERS = "bundle_too_many_members"
    BUNDLE_TOO_COMPLEX = "bundle_too_complex"
    BUNDLE_MANIFEST_MISSING = "bundle_manifest_missing"
    BUNDLE_MANIFEST_INVALID = "bundle_manifest_invalid"
    BUNDLE_FILE_MISSING = "bundle_file_missing"
    BUNDLE_FILE_MISMATCH = "bundle_file_mismatch"
    BUNDLE_JOBS_INVALID = "bundle_jobs_invalid"


class Violation(NamedTuple):
    """One thing that is wrong, and where."""

    pointer: str
    """JSON Pointer (RFC 6901) into the event as sent; the empty string is the whole event."""
    message: str
    """What is wrong there and what would be right, in plain words."""


class Refusal(Exception):
    """The request can't be done as sent.

    Attributes:
        code: the stable code.
        detail: one sentence for a person: what was wrong, where, and what would be right.
        errors: the violations found, at most 20.
        headers: further response headers, such as ``Allow``.
        event_type: id and version of the refused event, where they could be read.

    """

    def __init__(
        self, code: Code, detail: str, errors: Sequence[Violation] = (), headers: dict[str, str] | None = None
    ) -> None:
        """Refuse with a code, a sentence and the violations."""
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.errors = errors
        self.headers = headers or {}
        self.event_type: tuple[str, int] | None = None
