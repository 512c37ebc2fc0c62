"""What schemathesis has to be told: a format and a media type that it does not know."""

import base64
from typing import Any

import schemathesis
from hypothesis import strategies as st

CURSORS = st.builds(
    lambda at, uuid: base64.urlsafe_b64encode(f"{at.isoformat(timespec='microseconds')}000Z/{uuid}".encode()).decode(),
    st.datetimes(),
    st.uuids(),
)
schemathesis.openapi.format("cursor", CURSORS.map(lambda cursor: cursor.rstrip("=")))


@schemathesis.serializer("application/x-ndjson")
def serialize_lines(context: Any, value: Any) -> bytes:
    """Lines go out as they are."""
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")
