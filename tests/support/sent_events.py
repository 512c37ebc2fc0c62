"""Events as a client sends them."""

import json
from typing import Any
from uuid import uuid4

SYSTEM = "2319db24-f46e-11e6-a35c-3c15c2cc8f88"


def sent_event(
    number: int = 0, *, uuid: str | None = None, event_type_id: str = "sl_test_event", **message: Any
) -> dict[str, Any]:
    """Return a valid event; the larger the number the later it was created."""
    return {
        "smrtlinkId": SYSTEM,
        "uuid": uuid or str(uuid4()),
        "createdAt": f"2026-11-24T12:00:00.{number:06d}Z",
        "eventTypeId": event_type_id,
        "eventTypeVersion": 1,
        "message": {"number": number, **message},
    }


def as_text(event: dict[str, Any]) -> bytes:
    """Return it as it goes over the wire."""
    return json.dumps(event, separators=(",", ":")).encode()
