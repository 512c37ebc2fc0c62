"""What a list must hold, said in plain Python, and a way to walk through one page by page."""

from collections.abc import Iterable

from backends.base import Event, EventStore, Page, Query
from support.events import NO_LIMIT, position_of


def listed(events: Iterable[Event], query: Query) -> list[Event]:
    """Return the events that a list holds, in its order."""
    return sorted((event for event in events if _fits(event, query)), key=position_of, reverse=query.descending)


def _fits(event: Event, query: Query) -> bool:
    wanted = {
        "smrtlink_id": query.smrtlink_id,
        "event_type_id": query.event_type_id,
        "event_type_version": query.event_type_version,
    }
    if any(value is not None and getattr(event, key) != value for key, value in wanted.items()):
        return False
    if query.from_at is not None and event.at < query.from_at:
        return False
    if query.to_at is not None and event.at >= query.to_at:
        return False
    if query.after is None:
        return True
    return position_of(event) < query.after if query.descending else position_of(event) > query.after


async def walk(store: EventStore, query: Query, *, limit: int = 100, max_bytes: int = NO_LIMIT) -> list[Page]:
    """Return all pages of a list."""
    pages = [await store.find(query, limit=limit, max_bytes=max_bytes)]
    before = query.after
    while (after := pages[-1].next) is not None:
        assert before is None or (after < before if query.descending else after > before), "the walk goes in circles"
        before = after
        pages.append(await store.find(query._replace(after=after), limit=limit, max_bytes=max_bytes))
    return pages


async def find_all(store: EventStore, query: Query | None = None) -> list[bytes]:
    """Return all records of a list."""
    return [record for page in await walk(store, query or Query()) for record in page.records]


async def tail_all(store: EventStore, token: str | None = None) -> list[Event]:
    """Return all arrivals behind a token."""
    return [arrival.event async for arrival in store.tail(token)]
