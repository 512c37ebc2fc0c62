"""``eventserver compare``: do two stores have the same events?"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Final

import click

from backends.base import EventStore, Position, Query
from backends.equality import same_content
from backends.record import at_of, original_of, uuid_of
from eventserver.cli.content_digest import ContentDigest
from eventserver.cli.invocation import CommandFailed
from eventserver.cli.terminal import Advance, plain, progress_bar
from eventserver.cli.two_stores import StoreAddress, with_two_stores
from eventserver.config import Settings

_PAGE_EVENTS: Final = 1000
_PAGE_BYTES: Final = 4 * 1024 * 1024
_SHOWN: Final = 20

Entry = tuple[Position, bytes]
"""An event's place in the order of lists, and its record."""


class Comparison:
    """What was found.

    Attributes:
        digests: of all content, of the one store and the other; they are equal where the events are.
        missing: how many events only the first store has, and only the second.
        different: how many events both have, with other content.
        named: the uuids of the first differences, with a word on each.

    """

    def __init__(self) -> None:
        self.digests = (ContentDigest(), ContentDigest())
        self.missing = [0, 0]
        self.different = 0
        self.named: list[tuple[str, str]] = []

    def add_pair(self, first: bytes, second: bytes, uuid: str) -> None:
        """Take in an event that stands at one place in both lists."""
        originals = original_of(first), original_of(second)
        if same_content(*originals):
            content = self.digests[0].add(originals[0])
            self.digests[1].add_content(content)
            return
        for digest, original in zip(self.digests, originals, strict=True):
            digest.add(original)
        self.different += 1
        self._name(uuid, "content")

    def add_one(self, side: int, record: bytes, uuid: str) -> None:
        """Take in an event that the other list does not have in its place; ``side`` is 0 or 1."""
        self.digests[side].add(original_of(record))
        self.missing[side] += 1
        self._name(uuid, ("only in --from", "only in --to")[side])

    def _name(self, uuid: str, difference: str) -> None:
        if len(self.named) < _SHOWN:
            self.named.append((uuid, difference))


@click.command()
@click.option("--allow-more", is_flag=True, help="The store of --to may have more events: it goes on taking them.")
@with_two_stores
def compare(settings: Settings, source: StoreAddress, target: StoreAddress, *, allow_more: bool) -> None:
    """Compare the events of two stores: which are missing in one, and which differ.

    URLs are those of SMRTFLOW_EVENT_STORE; file: is the data directory, file:///path another one. Both are only read,
    also beside a running server; what arrives meanwhile may count as a difference. Events are equal as they are for a
    sender: the order of keys, white space and the time of arrival don't matter.

    The digest is one of all content, and the same for equal stores wherever they are. Exit code 1: they differ. An
    event with another createdAt counts on both sides.
    """
    target.require_data()
    found = asyncio.run(_compare(settings, source, target))
    for uuid, difference in found.named:
        click.echo(plain(f"{uuid}: {difference}"))
    total = sum(found.missing) + found.different
    if total > len(found.named):
        click.echo(f"... and {total - len(found.named)} more")
    for address, digest in zip((source, target), found.digests, strict=True):
        click.echo(f"{address}: {digest.count} events, digest {digest}")
    if found.missing[0] or found.different or (found.missing[1] and not allow_more):
        raise CommandFailed(
            f"they differ: {found.missing[0]} only in --from, {found.missing[1]} only in --to, "
            f"{found.different} with other content"
        )
    more = found.missing[1]
    click.echo(f"All of --from is in --to, which has {more} more." if more else "They are equal.")


async def _compare(settings: Settings, source: StoreAddress, target: StoreAddress) -> Comparison:
    async with source.open(settings, read_only=True) as first, target.open(settings, read_only=True) as second:
        with progress_bar("comparing events") as advance:
            return await compare_stores(first, second, advance)


async def compare_stores(first: EventStore, second: EventStore, advance: Advance) -> Comparison:
    """Walk through both stores in the order of lists, side by side; memory stays flat.

    Args:
        first: open.
        second: open.
        advance: moves a progress bar on, by events.

    """
    found = Comparison()
    async with aclosing(_entries(first)) as one, aclosing(_entries(second)) as other:
        left, right = await _next(one), await _next(other)
        while left is not None or right is not None:
            advance()
            if right is None or (left is not None and left[0] < right[0]):
                assert left is not None
                found.add_one(0, left[1], left[0].uuid)
                left = await _next(one)
            elif left is None or right[0] < left[0]:
                found.add_one(1, right[1], right[0].uuid)
                right = await _next(other)
            else:
                found.add_pair(left[1], right[1], left[0].uuid)
                left, right = await _next(one), await _next(other)
    return found


async def _next(entries: AsyncIterator[Entry]) -> Entry | None:
    return await anext(entries, None)


async def _entries(store: EventStore) -> AsyncGenerator[Entry, None]:
    """Run through a store in the order of lists."""
    query = Query()
    while True:
        page = await store.find(query, limit=_PAGE_EVENTS, max_bytes=_PAGE_BYTES)
        for record in page.records:
            yield Position(at_of(record), uuid_of(record)), record
        if page.next is None:
            return
        query = query._replace(after=page.next)
