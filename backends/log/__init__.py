"""The append-only log: lines of JSON in segment files, durable before they are acknowledged.

::

    <directory>/
        2026-11-24/                 the UTC day on which the segment was begun
            00000001.ndjson         one JSON object a line; numbers grow over all days
            00000002.ndjson
        2026-11-25/
            00000003.ndjson

Group commit: lines that arrive while a sync is under way share the next one. A segment is sealed by size, by day and at
each start; nothing that was written is ever truncated or changed.

A group whose write or sync failed is *void*: none of its lines is acknowledged, and before another line is, the next
segment begins with a synced marker that tells how much of the failed one counts::

    {"@log":{"previous":2,"valid":70123},"@crc":"1a2b3c4d"}

A torn tail, left by a crash in the middle of a write, is left out in the same way. Readers such as Filebeat, jq or
DuckDB can read a segment at any moment; only the marker lines are not records.
"""

from backends.log.append_log import AppendLog
from backends.log.segments import BEGINNING, LogPosition, Place, Segment
from backends.log.writer import LogStatistics, Submission, translate_os_error

__all__ = [
    "BEGINNING",
    "AppendLog",
    "LogPosition",
    "LogStatistics",
    "Place",
    "Segment",
    "Submission",
    "translate_os_error",
]
