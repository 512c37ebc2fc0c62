"""The mappings of whole indices."""

from collections.abc import Mapping
from typing import Any, Final

from backends.elasticsearch.mapping.envelope import as_is_fields, envelope_fields
from backends.elasticsearch.mapping.fields import MAXIMUM_FIELDS, Field, limit_fields, make_field
from backends.elasticsearch.mapping.reading import read_shape
from backends.elasticsearch.mapping.shape import both, of_kinds

ROOM_FOR_THE_STORE: Final = 10
"""Fields that a store may add to any mappings, as its own."""


def make_mappings(schema: Mapping[str, Any] | bool) -> Field:  # noqa: FBT001 -- a schema may be one
    """Return the mappings of the index for one version of an event type.

    They depend on what the schema takes, not on the order of its keys, and stay within Elasticsearch's default limits,
    also when ``ROOM_FOR_THE_STORE`` fields are added.

    ============================  ===================================================================================
    In the schema                 The field
    ============================  ===================================================================================
    free text                     ``text``, with the whole as ``.keyword``
    ``enum``, ``const``           ``keyword`` (and ``.keyword``, so that versions with and without a list agree)
    ``uuid``                      ``keyword``
    ``date-time``                 ``date``
    ``ipv4``, ``ipv6``            ``ip``
    integer                       ``byte``, ``short`` or ``integer`` if its bounds allow, else ``long``
    number                        ``double``
    boolean                       ``boolean``
    scalars of several kinds      ``keyword``, or ``text`` where free text is among them
    array                         as its items
    object                        ``object`` with its described members; ``flattened`` where there are none
    anything, object or scalar    not indexed
    ============================  ===================================================================================

    Args:
        schema: JSON Schema 2020-12 of ``message``, with or without references inside it.

    Returns:
        A new value for ``mappings`` of a request that creates an index.

    """
    properties = envelope_fields()
    message = make_field(both(read_shape(schema), of_kinds({"object"})), depth=1)
    if message is not None:
        properties["message"] = message
        room = MAXIMUM_FIELDS - ROOM_FOR_THE_STORE - _count(properties, deep=False)
        limit_fields(message.get("properties", {}), room)
    return {"dynamic": False, "properties": properties}


def make_as_is_mappings() -> Field:
    """Return the mappings of the index for events that Elasticsearch refuses in their own.

    Its documents have the envelope's keys (without ``message`` and ``@crc``), and ``record``: the text of the whole
    record, which is kept and not indexed.
    """
    return {"dynamic": False, "properties": as_is_fields()}


def added_fields(existing: Mapping[str, Any], wanted: Mapping[str, Any]) -> Field:
    """Return what an index with some mappings can be given of other ones: the fields that it does not have.

    A field never changes its type. When a schema was widened, fields that were there stay as they are.

    Args:
        existing: as Elasticsearch shows the ``mappings`` of an index.
        wanted: as ``make_mappings`` makes them.

    Returns:
        A body for a request that updates the mappings; empty when there is nothing to add.

    """
    there = existing.get("properties", {})
    added = _added(there, wanted["properties"])
    limit_fields(added, MAXIMUM_FIELDS - _count(there, deep=True))
    return {"properties": added} if added else {}


def _added(existing: Mapping[str, Any], wanted: Mapping[str, Any]) -> Field:
    added: Field = {}
    for name, field in wanted.items():
        there = existing.get(name)
        if there is None:
            added[name] = field
        elif "properties" in there and (inner := _added(there["properties"], field.get("properties", {}))):
            added[name] = {"properties": inner}
    return added


def _count(fields: Mapping[str, Any], *, deep: bool) -> int:
    """Count fields with their sub-fields, and those inside objects too if asked to."""
    return sum(
        1 + len(field.get("fields", ())) + (_count(field.get("properties", {}), deep=True) if deep else 0)
        for field in fields.values()
    )
