"""The keys of every event, whatever its type."""

from typing import Any, Final

from backends.elasticsearch.mapping.fields import DATE_FORMAT, LONGEST_SUBFIELD, Field

_NOT_INDEXED: Final = {"index": False, "doc_values": False}


def envelope_fields() -> dict[str, Field]:
    """Return the fields of the envelope and of the three keys that are added to a stored event."""
    return {
        "uuid": _identity(),
        "smrtlinkId": _identity(copy_to=["smrtLinkId"]),
        "smrtLinkId": _identity(copy_to=["smrtlinkId"]),
        "createdAt": {"type": "date", "format": DATE_FORMAT, "ignore_malformed": True},
        "eventTypeId": {"type": "keyword"},
        "eventTypeVersion": {"type": "integer"},
        "dnsName": {"type": "keyword", "ignore_above": LONGEST_SUBFIELD},
        "@at": {"type": "keyword", "fields": {"date": _moment()}},
        "@received": _moment(),
        "@crc": {"type": "keyword", **_NOT_INDEXED},
    }


def as_is_fields() -> dict[str, Field]:
    """Return the fields of a record that is kept as text beside its envelope."""
    fields = envelope_fields()
    del fields["@crc"]
    return {**fields, "record": {"type": "keyword", **_NOT_INDEXED}}


def _identity(**more: Any) -> Field:
    """Return the field for a uuid that is compared without regard to case."""
    return {"type": "keyword", "normalizer": "lowercase", **more}


def _moment() -> Field:
    """Return the field for a time that this project wrote."""
    return {"type": "date", "format": "strict_date_optional_time", "ignore_malformed": True}
