"""The traffic of many systems, in order of time, as the events that they send."""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from heapq import merge
from operator import itemgetter
from random import Random
from typing import Any, Final
from uuid import UUID, uuid5

from eventserver.simulation.messages import make_message
from eventserver.simulation.system import Happening, System, midnight_of

_NAMESPACE: Final = UUID("0b4f6a0e-51f5-4c0e-9a0f-6f7a1d1b1c55")
_KNOWN: Final = frozenset(
    {
        "eula_signed",
        "sl_chemistry_activate_bundle",
        "sl_inst_upgrade_notification",
        "sl_job_metrics",
        "sl_smrt_server_startup",
        "smrtlink_job_change_state",
    }
)
"""Event types whose part in a system's life is known; others happen now and then, as their examples are."""
_OF_BUNDLES: Final = "uploadedBundlePath"
"""Events whose message has this come into being with an archive; nobody sends them."""


class Simulation:
    """The same arguments make the same events. An event's uuid is made of its content, so no two runs ever conflict.

    Args:
        schemas: by event type and version; what systems send follows them, and types without one are not sent.
        systems: how many there are.
        days: how many days they live.
        until: the last day ends with the midnight before this moment, in UTC.
        seed: the same seed makes the same systems.

    """

    def __init__(
        self,
        schemas: Mapping[tuple[str, int], Mapping[str, Any]],
        *,
        systems: int,
        days: int,
        until: datetime,
        seed: str,
    ) -> None:
        self._schemas = schemas
        self._systems = systems
        self._days = days
        self._first = midnight_of(until) - timedelta(days=days)
        self._seed = seed
        self._versions: dict[str, list[int]] = {}
        for event_type_id, version in sorted(schemas):
            if _OF_BUNDLES not in schemas[event_type_id, version].get("properties", {}):
                self._versions.setdefault(event_type_id, []).append(version)

    def count(self) -> int:
        """Return how many events there are; it takes a good part of the time that making them does."""
        return sum(1 for _ in self._happenings())

    def events(self) -> Iterator[bytes]:
        """Make the events, oldest first, each as one line without its end."""
        random = Random(self._seed)  # noqa: S311 - nothing secret
        for system, happening in self._happenings():
            versions = self._versions[happening.event_type_id]
            version = versions[0] if happening.is_old else versions[-1]
            schema = self._schemas[happening.event_type_id, version]
            body: dict[str, Any] = {
                "smrtLinkId": system.smrtlink_id,
                "createdAt": system.local(happening.at),
                "eventTypeId": happening.event_type_id,
                "eventTypeVersion": version,
                "message": make_message(schema, happening.facts, random),
            }
            if not happening.is_old:
                body["dnsName"] = system.dns_name
            text = json.dumps(body, separators=(",", ":"), ensure_ascii=False)
            yield f'{{"uuid":"{uuid5(_NAMESPACE, text)}",{text[1:]}'.encode()

    def _happenings(self) -> Iterator[tuple[System, Happening]]:
        others = tuple(sorted(self._versions.keys() - _KNOWN))
        lives = (self._life(System(self._seed, number), number, others) for number in range(self._systems))
        for _, _, system, happening in merge(*lives, key=itemgetter(0, 1)):
            if happening.event_type_id in self._versions:
                yield system, happening

    def _life(
        self, system: System, number: int, others: tuple[str, ...]
    ) -> Iterator[tuple[datetime, int, System, Happening]]:
        for happening in system.live(self._first, self._days, others):
            yield happening.at, number, system, happening
