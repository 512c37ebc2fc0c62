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

Each index is created whole, when it is needed first; what somebody deleted comes again the same way. The claims come
into being before any index of events. Where there are events and no claims, these were deleted: then they are made
again from the events (``rebuilding``), and get their alias when they are whole, which is noted in their mapping.
"""

import json
import re
import time
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from backends.elasticsearch.attempts import Attempts
from backends.elasticsearch.bodies import CLAIMS, CLAIMS_ARE_WHOLE, are_whole, make_body
from backends.elasticsearch.connection import Answer, Connection
from backends.elasticsearch.guards import Guards
from backends.elasticsearch.mapping import added_fields
from backends.elasticsearch.options import Options
from backends.elasticsearch.rebuilding import Rebuilding
from backends.elasticsearch.records import AS_IS
from backends.errors import StoreUnavailable

SECONDS: Final = 30.0
"""What each step of creating an index may take; who needs it waits no longer than it may."""
_GENERATION: Final = "-000001"
_NUMBER: Final = re.compile(r"-[0-9]{6}$")

EventType = tuple[str, int]


class Found(NamedTuple):
    """What is there under the prefix."""

    has_events: bool
    """Whether there is an index of events."""
    has_claims: bool
    """Whether the claims are there, and whole."""


class _Index(NamedTuple):
    name: str
    aliases: frozenset[str]


class Layout:
    """The names under one prefix.

    Args:
        connection: asks.
        options: prefix, and settings of the indices.
        lease: as of ``Rebuilding``.
        read_only: nothing is created or restored.

    Attributes:
        events: alias of all events.
        claims: alias of the claims.
        as_is: alias of the events that could not be indexed.
        guards: what an event must be looked at for before it is indexed.

    """

    def __init__(self, connection: Connection, options: Options, *, lease: float, read_only: bool) -> None:
        self._connection = connection
        self._options = options
        self._lease = lease
        self._read_only = read_only
        self._schemas: dict[EventType, Mapping[str, Any]] = {}
        self._creations = Attempts(are_logged=True)
        self._attempts = Attempts()
        self.events = options.prefix
        self.claims = f"{options.prefix}-claims"
        self.as_is = f"{options.prefix}-asis"
        self.guards = Guards(connection, self._attempts, self.index_of)

    def index_of(self, event_type_id: str, event_type_version: int) -> str:
        """Return the name that events of a type are written to."""
        return f"{self.events}-{event_type_id}-{event_type_version}"

    def known(self) -> list[str]:
        """Return the names that were prepared."""
        return [self.index_of(*event_type) for event_type in self._schemas]

    @staticmethod
    def without_number(index: str) -> str:
        """Return the name that an index is written by."""
        return _NUMBER.sub("", index)

    async def prepare(self, schemas: Mapping[EventType, Mapping[str, Any]], deadline: float | None = None) -> None:
        """Create what is missing for these types, and index what their schemas have more than before.

        Raises:
            StoreError: it did not succeed, or not by the deadline; what was created stays.

        """
        self._schemas.update(schemas)
        await self.create(self.claims, deadline=deadline)
        for event_type in schemas:
            self._creations.begin(*self._creation(self.index_of(*event_type), event_type))
        for event_type in schemas:
            await self._prepare(event_type, deadline)

    async def create(self, name: str, event_type: EventType | None = None, *, deadline: float | None = None) -> None:
        """Create the index behind a name, or its aliases where only these are missing; idempotent.

        Those who want it at the same time share one attempt, which goes on when they don't wait any longer.

        Args:
            name: one of ``index_of``, or ``claims``.
            event_type: whose events it is for; None for the claims.
            deadline: a moment of ``time.monotonic``; None waits to the end.

        Raises:
            StoreError: it did not succeed, or not in time.

        """
        if self._read_only:
            raise StoreUnavailable(f"{name} was deleted; a server that writes makes it again")
        await self._creations.share(*self._creation(name, event_type), deadline)

    async def close(self) -> None:
        """Wait for nothing any more."""
        await self._creations.close()
        await self._attempts.close()

    async def restore_aliases(self, deadline: float) -> Found:
        """Give all indices the aliases that they lack; tell what is there.

        That the claims are missing is mended in the background.

        Raises:
            StoreError: it did not succeed by the deadline; or an alias is missing, and the store is open for reading.

        """
        return await self._attempts.share(f"restoring the aliases of {self.events}", self._restore, deadline)

    def _creation(self, name: str, event_type: EventType | None) -> tuple[str, Any]:
        if event_type is None:
            return f"creating {name}", self._create_claims
        return f"creating {name}", lambda: self._create(name, event_type)

    async def _restore(self) -> Found:
        there = await self._look()
        claims = there.get(self.claims)
        if claims is not None and self.claims not in claims.aliases and not await self._are_whole(claims.name):
            del there[self.claims]
        actions = self._lacking(there)
        needed = [each for each in actions if each["add"]["alias"] != self.as_is]
        if self._read_only and needed:
            index, alias = needed[0]["add"]["index"], needed[0]["add"]["alias"]
            raise StoreUnavailable(f"{index} lacks the alias {alias}; a server that writes adds it again")
        if not self._read_only:
            await self._add(actions)
        found = Found(has_events=bool(set(there) - {self.claims}), has_claims=self.claims in there)
        if found.has_events and not found.has_claims and not self._read_only:
            self._creations.begin(*self._creation(self.claims, None))
        return found

    async def _look(self) -> dict[str, _Index]:
        """Return the index behind each name: the one that it names, or else the newest."""
        answer = await self._ask("GET", f"/{self.events}-*/_alias?expand_wildcards=open,closed")
        there: dict[str, _Index] = {}
        for index, found in sorted(answer.value().items()):
            name = self.without_number(index)
            if self._is_own(index) and not (name in there and name in there[name].aliases):
                there[name] = _Index(index, frozenset(found["aliases"]))
        return there

    def _is_own(self, index: str) -> bool:
        kind = "claims|[a-z][a-z0-9_]*-[0-9]+"
        return re.fullmatch(rf"{re.escape(self.events)}-({kind})-[0-9]{{6}}", index) is not None

    async def _prepare(self, event_type: EventType, deadline: float | None) -> None:
        name = self.index_of(*event_type)
        await self.create(name, event_type, deadline=deadline)
        found = (await self._ask("GET", f"/{name}/_mapping")).value()
        wanted = make_body(self._options, self._schemas[event_type])["mappings"]
        mappings = []
        for index, present in found.items():
            mappings.append(present["mappings"])
            if added := added_fields(present["mappings"], wanted):
                await self._ask("PUT", f"/{index}/_mapping", added)
                mappings.append(added)
        self.guards.learn(event_type, mappings)

    async def _create(self, name: str, event_type: EventType) -> None:
        there = await self._look()
        if name not in there:
            body = make_body(self._options, self._schemas.get(event_type, {}))
            await self._put_index(name, {**body, "aliases": self._aliases(name)})
            there = await self._look()
        await self._add(self._lacking({name: there[name]} if name in there else {}))

    async def _create_claims(self) -> None:
        there = await self._look()
        if self.claims not in there:
            body = {**make_body(self._options), "mappings": CLAIMS}
            if not there:
                body |= {"mappings": CLAIMS | CLAIMS_ARE_WHOLE, "aliases": self._aliases(self.claims)}
            await self._put_index(self.claims, body)
            there = await self._look()
        claims = there.pop(self.claims, None)
        if claims is None or self.claims in claims.aliases:
            return
        if not await self._are_whole(claims.name):
            await self._add(self._lacking(there))
            await Rebuilding(self._connection, self.events, self.without_number, self._lease).fill(claims.name)
            await self._ask("PUT", f"/{claims.name}/_mapping", CLAIMS_ARE_WHOLE)
        await self._add(self._lacking({self.claims: claims}))

    async def _are_whole(self, index: str) -> bool:
        return are_whole((await self._ask("GET", f"/{index}/_mapping")).value()[index]["mappings"])

    async def _put_index(self, name: str, body: Mapping[str, Any]) -> None:
        """Create an index, unless it is there."""
        text = json.dumps(body).encode()
        answer = await self._connection.ask("PUT", f"/{name}{_GENERATION}", text, deadline=time.monotonic() + SECONDS)
        if not answer.ok and answer.reason()[0] != "resource_already_exists_exception":
            raise answer.problem()

    def _lacking(self, there: Mapping[str, _Index]) -> list[dict[str, Any]]:
        """Return the actions that give indices the aliases that they don't have."""
        return [
            {"add": {"index": found.name, "alias": alias, **how}}
            for name, found in there.items()
            for alias, how in self._aliases(name).items()
            if alias not in found.aliases
        ]

    async def _add(self, actions: list[dict[str, Any]]) -> None:
        if actions:
            await self._ask("POST", "/_aliases", {"actions": actions})

    def _aliases(self, name: str) -> dict[str, dict[str, Any]]:
        aliases: dict[str, dict[str, Any]] = {name: {}}
        if name != self.claims:
            aliases |= {self.events: {}, self.as_is: {"filter": {"term": {AS_IS: True}}}}
        return aliases

    async def _ask(self, method: str, target: str, body: Any = None) -> Answer:
        text = None if body is None else json.dumps(body).encode()
        answer = await self._connection.ask(method, target, text, deadline=time.monotonic() + SECONDS)
        if not answer.ok:
            raise answer.problem()
        return answer
