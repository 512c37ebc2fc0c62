"""Events of jobs, as a store and a listener see them."""

import json
from typing import Any
from uuid import uuid4

from backends.base import Event
from backends.record import finish_record
from eventserver.message import parse, received_now

SYSTEM = "2319db24-f46e-11e6-a35c-3c15c2cc8f88"


def job_text(*, system: str = SYSTEM, event_type: str = "smrtlink_job_change_state", **message: Any) -> bytes:
    """Return an event as it is sent."""
    return json.dumps(
        {
            "smrtlinkId": system,
            "uuid": str(uuid4()),
            "createdAt": "2026-11-24T12:20:51.544Z",
            "eventTypeId": event_type,
            "eventTypeVersion": 1,
            "message": {"jobId": 1, "jobTypeId": "pbsmrtpipe", "state": "FAILED", **message},
        }
    ).encode()


def job_event(**what: Any) -> Event:
    """Return an event as a store gets it."""
    parsed = parse(job_text(**what))
    record = finish_record(parsed.original, parsed.at, received_now())
    return Event(parsed.uuid, parsed.smrtlink_id, parsed.event_type_id, parsed.event_type_version, parsed.at, record)
