"""Messages that fit a schema, with what is known of a happening where the schema describes it."""

from collections.abc import Mapping
from random import Random
from typing import Any

Facts = Mapping[str, Any]


def make_message(schema: Mapping[str, Any], facts: Facts, random: Random) -> dict[str, Any]:
    """Return a message for one event type's version.

    It is one of the schema's examples; each member that the schema describes and that ``facts`` knows has its value
    from there, unless the schema lists others. Where nothing is described, the facts are the message.
    """
    members = schema.get("properties", {})
    if not members and facts:
        return dict(facts)
    example: dict[str, Any] = random.choice(schema.get("examples") or [{}])
    known = {name: value for name, value in facts.items() if name in members}
    return {**example, **{name: value for name, value in known.items() if value in members[name].get("enum", [value])}}
