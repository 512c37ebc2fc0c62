"""What lies where in Elasticsearch, and how it comes into being.

::

    <prefix>-<type>-<version>-000001    the events of one version of an event type
        also as <prefix>-<type>-<version>   what is written to
        also as <prefix>                    all events, for those who query
        also as <prefix>-asis               of all events, those that could not be indexed
    <prefix>-claims-000001              for each uuid, which of them its event is in
        also as <prefix>-claims

Everything is written by the name without a number, and only if that is an alias: so no index comes into being by
accident, and an index can be replaced by ``-000002`` behind it. An event that its index refuses is kept there as text
(``records.as_is``), so whatever an event is, one document id in one index decides which one is there.

Each index is created whole, when it is needed first; what somebody deleted comes again the same way.
"""

import asyncio
import json
import logging
import re
import time
from collections.abc import Mapping
from typing import Any, Final

from backends.elasticsearch.connection import Answer, Connection
from backends.elasticsearch.mapping import Flattening, added_fields, make_as_is_mappings, make_mappings
from backends.elasticsearch.options import Options
from backends.elasticsearch.records import AS_IS, RECORD

_LOGGER: Final = logging.getLogger(__name__)
SECONDS: Final = 30.0
"""What creating an index may take; a put that needs it waits no longer than a put may."""
_GENERATION: Final = "-000001"
_NUMBER: Final = re.compile(r"-[0-9]{6}$")
# A claim is read by its id and never searched by what it says: without fields it costs Elasticsearch a tenth less.
_CLAIMS: Final = {"dynamic": False, "properties": {}}

EventType = tuple[str, int]


class Layout:
    """The names under one prefix.

    Attributes:
        events: alias of all events.
        claims: alias of the claims.
        as_is: alias of the events that could not be indexed.

    """

    def __init__(self, connection: Connection, options: Options) -> None:
        self._connection = connection
        self._options = options
        self._schemas: dict[EventType, Mapping[str, Any]] = {}
        self._flattenings: dict[EventType, Flattening] = {}
        self._creations: dict[str, asyncio.Task[None]] = {}
        self.events = options.prefix
        self.claims = f"{options.prefix}-claims"
        self.as_is = f"{options.prefix}-asis"

    def index_of(self, event_type_id: str, event_type_version: int) -> str:
        """Return the name that events of a type are written to."""
        return f"{self.events}-{event_type_id}-{event_type_version}"

    def known(self) -> list[str]:
        """Return the names that were prepared."""
        return [self.index_of(*event_type) for event_type in self._schemas]

    def flattening_of(self, event_type_id: str, event_type_version: int) -> Flattening | None:
        """Return what an event of this type must be looked at for; None when there is nothing."""
        return self._flattenings.get((event_type_id, event_type_version))

    @staticmethod
    def without_number(index: str) -> str:
        """Return the name that an index is written by."""
        return _NUMBER.sub("", index)

    async def prepare(self, schemas: Mapping[EventType, Mapping[str, Any]]) -> None:
        """Create what is missing for these types, and index what their schemas have more than before.

        Raises:
            StoreError: it did not succeed; what was created stays.

        """
        self._schemas.update(schemas)
        for event_type, schema in schemas.items():
            self._flattenings[event_type] = Flattening(make_mappings(schema))
        await self.create(self.claims)
        await asyncio.gather(*(self._prepare(event_type) for event_type in schemas))

    async def create(self, name: str, event_type: EventType | None = None) -> None:
        """Create the index behind a name, or its aliases where only these are missing; idempotent.

        Those who want it at the same time share one attempt, which goes on when they don't wait any longer.
        """
        task = self._creations.get(name)
        if task is None:
            task = asyncio.create_task(self._create(name, event_type), name=f"create {name}")
            self._creations[name] = task
            task.add_done_callback(lambda done: self._created(name, done))
        await asyncio.shield(task)

    def _created(self, name: str, task: "asyncio.Task[None]") -> None:
        del self._creations[name]
        if not task.cancelled() and (error := task.exception()):
            _LOGGER.warning("index %s could not be created: %s", name, error)

    async def close(self) -> None:
        """Wait for nothing any more."""
        tasks = list(self._creations.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def restore_aliases(self) -> bool:
        """Give all indices the aliases that they lack; tell whether there are any events."""
        answer = await self._ask("GET", f"/{self.events}-*/_alias?expand_wildcards=open")
        if not answer.ok:
            raise answer.problem()
        own = {name: set(found["aliases"]) for name, found in answer.value().items() if self._is_own(name)}
        await self._add_aliases(own)
        return any(map(self._is_of_events, own))

    def _is_own(self, name: str) -> bool:
        return self._is_of_events(name) or (self.without_number(name) == self.claims != name)

    def _is_of_events(self, name: str) -> bool:
        return re.fullmatch(rf"{re.escape(self.events)}-[a-z][a-z0-9_]*-[0-9]+-[0-9]{{6}}", name) is not None

    async def _prepare(self, event_type: EventType) -> None:
        name = self.index_of(*event_type)
        await self.create(name, event_type)
        answer = await self._ask("GET", f"/{name}/_mapping")
        if not answer.ok:
            raise answer.problem()
        wanted = self._mappings(event_type)
        for index, found in answer.value().items():
            if added := added_fields(found["mappings"], wanted):
                answer = await self._ask("PUT", f"/{index}/_mapping", added)
                if not answer.ok:
                    raise answer.problem()

    async def _create(self, name: str, event_type: EventType | None) -> None:
        is_of_events = event_type is not None
        body = {
            "settings": self._settings(is_of_events=is_of_events),
            "mappings": self._mappings(event_type) if event_type else _CLAIMS,
            "aliases": self._aliases(name, is_of_events=is_of_events),
        }
        answer = await self._ask("PUT", f"/{name}{_GENERATION}", body)
        if answer.ok:
            return
        if answer.reason()[0] != "resource_already_exists_exception":
            raise answer.problem()
        answer = await self._ask("GET", f"/{name}{_GENERATION}/_alias")
        if not answer.ok:
            raise answer.problem()
        await self._add_aliases({index: set(found["aliases"]) for index, found in answer.value().items()})

    async def _add_aliases(self, present: Mapping[str, set[str]]) -> None:
        """Give indices the aliases that they don't have."""
        actions = []
        for index, aliases in present.items():
            name = self.without_number(index)
            for alias, how in self._aliases(name, is_of_events=name != self.claims).items():
                if alias not in aliases:
                    actions.append({"add": {"index": index, "alias": alias, **how}})
        if actions:
            answer = await self._ask("POST", "/_aliases", {"actions": actions})
            if not answer.ok:
                raise answer.problem()

    def _aliases(self, name: str, *, is_of_events: bool) -> dict[str, dict[str, Any]]:
        aliases: dict[str, dict[str, Any]] = {name: {}}
        if is_of_events:
            aliases |= {self.events: {}, self.as_is: {"filter": {"term": {AS_IS: True}}}}
        return aliases

    def _settings(self, *, is_of_events: bool) -> dict[str, Any]:
        options = self._options
        settings: dict[str, Any] = {
            # The order in which claims are made is the order of arrival: one shard counts it.
            "number_of_shards": options.shards if is_of_events else 1,
            "translog": {"durability": "request"},
        }
        if options.replicas is None:
            settings["auto_expand_replicas"] = "0-1"
        else:
            settings["number_of_replicas"] = options.replicas
        if options.refresh_interval is not None:
            settings["refresh_interval"] = options.refresh_interval
        return {"index": settings}

    def _mappings(self, event_type: EventType) -> dict[str, Any]:
        mappings = make_mappings(self._schemas.get(event_type, {}))
        record = make_as_is_mappings()["properties"]["record"]
        mappings["properties"] |= {AS_IS: {"type": "boolean"}, RECORD: record}
        return mappings

    async def _ask(self, method: str, target: str, body: Any = None) -> Answer:
        text = None if body is None else json.dumps(body).encode()
        return await self._connection.ask(method, target, text, deadline=time.monotonic() + SECONDS)
