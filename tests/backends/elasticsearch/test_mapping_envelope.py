"""The parts of mappings that do not depend on the schema, and what a wider schema adds."""

from typing import Any

from backends.elasticsearch.mapping import added_fields, make_as_is_mappings, make_mappings
from support.awkward_schemas import AWKWARD, COUNT, SCHEMAS, TEXT, of
from support.mapped_values import total


def number(kind: str) -> dict[str, Any]:
    """Return the field for numbers."""
    return {"type": kind, "ignore_malformed": True}


def test_the_envelope_is_the_same_for_every_type() -> None:
    """Lists run over all of them."""
    envelopes = [
        {name: field for name, field in make_mappings(schema)["properties"].items() if name != "message"}
        for schema in SCHEMAS.values()
    ]
    assert all(each == envelopes[0] for each in envelopes)
    kinds = {name: field["type"] for name, field in envelopes[0].items()}
    assert kinds == {
        "uuid": "keyword",
        "smrtlinkId": "keyword",
        "smrtLinkId": "keyword",
        "createdAt": "date",
        "eventTypeId": "keyword",
        "eventTypeVersion": "integer",
        "dnsName": "keyword",
        "@at": "keyword",
        "@received": "date",
        "@crc": "keyword",
    }
    assert envelopes[0]["@at"]["fields"]["date"]["type"] == "date"
    assert envelopes[0]["@crc"]["index"] is False


def test_the_as_is_index_has_the_envelope_and_keeps_the_record_unindexed() -> None:
    """It sorts and filters like the others."""
    envelope = make_mappings({})["properties"]
    as_is = make_as_is_mappings()
    assert as_is["dynamic"] is False
    record = as_is["properties"].pop("record")
    assert (record["index"], record["doc_values"]) == (False, False)
    assert as_is["properties"] == {name: envelope[name] for name in envelope if name not in ("message", "@crc")}


def test_an_index_can_be_given_the_fields_of_a_wider_schema() -> None:
    """Fields that it has stay as they are, also where the wider schema would have them otherwise."""
    old = of(a=COUNT, b=of(c=COUNT), d=COUNT)
    new = of(a=TEXT, b=of(c=COUNT, e=COUNT), d=of(f=COUNT), g=TEXT)
    added = added_fields(make_mappings(old), make_mappings(new))
    assert added == {
        "properties": {
            "message": {
                "properties": {
                    "b": {"properties": {"e": number("long")}},
                    "g": make_mappings(of(g=TEXT))["properties"]["message"]["properties"]["g"],
                }
            }
        }
    }
    assert added_fields(make_mappings(new), make_mappings(new)) == {}


def test_an_index_is_never_given_more_fields_than_elasticsearch_takes() -> None:
    """What it has counts."""
    old = make_mappings(AWKWARD["wide"])
    added = added_fields(old, make_mappings(of(**{f"another{number}": COUNT for number in range(500)})))
    assert total(old["properties"]) + total(added["properties"]["message"]["properties"]) + 1 <= 1000
