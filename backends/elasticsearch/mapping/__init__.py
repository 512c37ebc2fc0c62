"""What Elasticsearch indexes of an event: derived from the JSON Schema of its type's version.

A valid event is not refused for what its schema describes: nothing is mapped dynamically, every field takes all that
may stand at its place, and where none does the place is not indexed. What Elasticsearch refuses all the same, for a
key or a number that its parser does not read, belongs in the as-is index. It is, each with the error type
``document_parsing_exception``:

- a key that is ``""`` or white space or has an empty part between dots (``a..b``, ``.a``, ``.``): in the event itself,
  in ``message``, or in an object with described members;
- a key of a metadata field (``_id``, ``_source``, ...) in the event itself;
- a key with a dot whose first part is a field: ``jobId.x``;
- a number of more than 1,000 characters, anywhere;
- in a flattened field a key with U+0000, or a path and value of more than 32,766 bytes.

(``subobjects: false`` would take most of these keys. But then members that nobody described are walked through, with
their paths, instead of skipped: a key of 500 kB above 40,000 numbers held the server for 5.6 s instead of 0.1 s.)

An event that ``Flattening.is_excessive`` should not even be sent there: it can exhaust the server's memory.
"""

from backends.elasticsearch.mapping.flattening import Flattening
from backends.elasticsearch.mapping.mappings import added_fields, make_as_is_mappings, make_mappings

__all__ = ["Flattening", "added_fields", "make_as_is_mappings", "make_mappings"]
