"""``eventserver verify``: is everything that was acknowledged still whole?"""

import asyncio
from collections.abc import Iterator
from typing import Final

import click

from backends import hide_secrets, open_store
from backends.base import Position, Query
from backends.errors import StoreUnavailable
from backends.filesystem import FilesystemStore
from backends.filesystem.index import Index
from backends.log import AppendLog, Place
from backends.record import DamagedRecordError, is_intact, read_event
from eventserver.cli.invocation import AskedWrongly, CommandFailed, with_settings
from eventserver.cli.terminal import Advance, progress_bar
from eventserver.config import Settings

_ATTEMPTS: Final = 10
_PAGE: Final = 10_000
_STEP_BYTES: Final = 1024 * 1024
_SHOWN: Final = 100
_REMEDIES: Final = {
    "log": "A damaged event is whole again once it is posted again; its line stays where it is.",
    "index": "Stop the server, remove the directory `index`, start it: the index is made anew, and nothing is lost.",
    "quarantine": "A damaged entry of the quarantine can't be replayed; the others can.",
}


@click.command()
@with_settings
def verify(settings: Settings) -> None:
    """Check the checksum of every record in the log, and the index against the log.

    Only reads, and works beside a running server. Exit code 1 when something is damaged.
    """
    check = asyncio.run(_verify(settings))
    for problem in check.problems[:_SHOWN]:
        click.echo(problem)
    if len(check.problems) > _SHOWN:
        click.echo(f"... and {len(check.problems) - _SHOWN} more")
    for part in sorted(check.parts, reverse=True):
        click.echo(_REMEDIES[part])
    if check.problems:
        msg = f"problems found: {len(check.problems)}; whole events: {check.events}"
        raise CommandFailed(msg)
    click.echo(f"All is well: {check.events} events.")


class Verification:
    """What was found in one data directory."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        """A sentence each."""
        self.parts: set[str] = set()
        """Which parts have problems: ``log``, ``index``, ``quarantine``."""
        self.events = 0
        """Records in the log that are whole."""
        self._damaged: set[Place] = set()

    def add(self, part: str, problem: str) -> None:
        """Take in a problem."""
        self.parts.add(part)
        self.problems.append(f"{part}: {problem}")

    def check_log(self, store: FilesystemStore, advance: Advance) -> None:
        """Read every record of the log, and look each up in the index."""
        segments = {segment.number: segment for segment in store.log.segments()}
        for number in range(min(segments, default=1), max(segments, default=0)):
            if number not in segments:
                self.add("log", f"the file {number:08d}.ndjson is missing")
        for place, line in _in_steps(store.log.scan(), advance):
            try:
                event = read_event(line)
            except DamagedRecordError as error:
                self._damaged.add(place)
                where = segments[place.segment].path.relative_to(store.root)
                self.add("log", f"{where}, byte {place.offset}, {place.length} bytes: {error}")
                continue
            self.events += 1
            places = store.index.find_places(event.uuid)
            if place not in places and not any(_is_there(store, other, event.uuid) for other in places):
                self.add("index", f"it does not know event {event.uuid}")

    def check_index(self, store: FilesystemStore) -> None:
        """Check the index's own files, and that what it lists is what stands in the log."""
        for problem in _problems_of_index(store):
            self.add("index", problem)
        after: Position | None = None
        listed = 0
        while entries := store.index.list_entries(Query(after=after), limit=_PAGE):
            for entry in entries:
                after = Position(entry.at, entry.uuid)
                if entry.place in self._damaged:
                    continue
                listed += 1
                if not _is_there(store, entry.place, entry.uuid, entry.at):
                    self.add("index", f"it lists event {entry.uuid} at a place where it does not stand")
        if listed < self.events and "index" not in self.parts:
            self.add("index", f"it lists {listed} events, the log has {self.events}")

    def check_quarantine(self, log: AppendLog) -> None:
        """Check every line of the quarantine."""
        for place, line in log.scan():
            if not is_intact(line):
                self.add("quarantine", f"{place.segment:08d}.ndjson, byte {place.offset}: the checksum is wrong")


async def _verify(settings: Settings) -> Verification:
    check = Verification()
    store = open_store(settings.event_store, root=settings.event_root_dir, read_only=True)
    if not isinstance(store, FilesystemStore):
        msg = f"only the filesystem store can be verified, not {hide_secrets(settings.event_store)}"
        raise AskedWrongly(msg)
    if not (store.root / "events").is_dir():
        msg = f"{store.root} is no data directory: there is no {store.root / 'events'}"
        raise AskedWrongly(msg)
    async with store:
        size = sum(segment.valid for segment in store.log.segments())
        with progress_bar("reading the log (MB)", -(-size // _STEP_BYTES)) as advance:
            check.check_log(store, advance)
        with progress_bar("comparing the index"):
            check.check_index(store)
    async with AppendLog(settings.event_root_dir / "quarantine", read_only=True) as log:
        check.check_quarantine(log)
    return check


def _in_steps(lines: Iterator[tuple[Place, bytes]], advance: Advance) -> Iterator[tuple[Place, bytes]]:
    """Pass lines on and move the bar on by what was read, in steps of a megabyte."""
    read = 0
    for place, line in lines:
        read += place.length + 1
        if read >= _STEP_BYTES:
            advance(read // _STEP_BYTES)
            read %= _STEP_BYTES
        yield place, line


def _problems_of_index(store: FilesystemStore) -> list[str]:
    """Check the index's files as they are now.

    A running server puts new files in the place of several older ones, and these may be gone before they are read.
    """
    for _ in range(_ATTEMPTS):
        index = Index(store.root / "index", disk=store.disk)
        index.open(read_only=True)
        try:
            return list(index.verify())
        except FileNotFoundError:
            continue
        finally:
            index.close()
    return ["its files change too quickly to be checked"]


def _is_there(store: FilesystemStore, place: Place, uuid: str, at: str | None = None) -> bool:
    """Tell whether the event with this uuid (and instant) stands whole at a place."""
    try:
        event = read_event(store.log.read(place))
    except (StoreUnavailable, DamagedRecordError):
        return False
    return event.uuid == uuid and at in {None, event.at}
