"""What indices are created with: settings and mappings."""

from collections.abc import Mapping
from typing import Any, Final

from backends.elasticsearch.mapping import make_as_is_mappings, make_mappings
from backends.elasticsearch.options import Options
from backends.elasticsearch.records import AS_IS, RECORD

CLAIMS: Final[dict[str, Any]] = {"dynamic": False, "properties": {}}
"""Mappings of the claims. One is read by its id and never searched by what it says: without fields it costs
Elasticsearch a tenth less."""
CLAIMS_ARE_WHOLE: Final[dict[str, Any]] = {"_meta": {"whole": True}}
"""What their mappings have besides when each event has its claim."""


def are_whole(mappings: Mapping[str, Any]) -> bool:
    """Tell whether claims with these mappings, as Elasticsearch shows them, are whole."""
    return mappings.get("_meta", {}).get("whole") is True


def make_body(options: Options, schema: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return settings and mappings of the index for a schema; without one, the settings for the claims."""
    settings: dict[str, Any] = {
        # The order in which claims are made is the order of arrival: one shard counts it.
        "number_of_shards": 1 if schema is None else options.shards,
        "translog": {"durability": "request"},
    }
    if options.replicas is None:
        settings["auto_expand_replicas"] = "0-1"
    else:
        settings["number_of_replicas"] = options.replicas
    if options.refresh_interval is not None:
        settings["refresh_interval"] = options.refresh_interval
    body: dict[str, Any] = {"settings": {"index": settings}}
    if schema is not None:
        body["mappings"] = mappings = make_mappings(schema)
        record = make_as_is_mappings()["properties"]["record"]
        mappings["properties"] |= {AS_IS: {"type": "boolean"}, RECORD: record}
    return body
