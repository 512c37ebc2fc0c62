"""The client for scripts that are not asynchronous."""

import asyncio
import threading
from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from backends.statistics import Statistic
from eventserver.client.answers import BundleMember, EventType, Judgement, Receipt, ReceivedEvent, ServerStatus, Verdict
from eventserver.client.client import EventServerClient
from eventserver.client.events import SentEvent

Result = TypeVar("Result")


class BlockingEventServerClient:
    """``EventServerClient`` without ``await``: the same arguments, methods and errors.

    Use it as ``with BlockingEventServerClient(...)``. It runs in a thread of its own, so this works inside of a
    running event loop too, and a spool is delivered while the script does something else. Methods may be called from
    several threads.
    """

    def __init__(self, url: str, **options: Any) -> None:
        self._client = EventServerClient(url, **options)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        """Open it."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="event-client", daemon=True)
        self._thread.start()
        try:
            self._run(self._client.__aenter__())
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        try:
            self._run(self._client.__aexit__(kind, error, trace))
        finally:
            self._stop()

    @property
    def pending(self) -> int:
        """As ``EventServerClient.pending``."""
        return self._client.pending

    def flush(self, seconds: float) -> bool:
        """As ``EventServerClient.flush``."""
        return self._run(self._client.flush(seconds))

    def statistics(self) -> list[Statistic]:
        """As ``EventServerClient.statistics``."""
        return self._client.statistics()

    def status(self) -> ServerStatus:
        """As ``EventServerClient.status``."""
        return self._run(self._client.status())

    def send(self, event: SentEvent) -> Receipt:
        """As ``EventServerClient.send``."""
        return self._run(self._client.send(event))

    def send_many(self, events: Iterable[SentEvent]) -> list[Verdict]:
        """As ``EventServerClient.send_many``."""
        return self._run(self._client.send_many(events))

    def get(self, uuid: str) -> ReceivedEvent:
        """As ``EventServerClient.get``."""
        return self._run(self._client.get(uuid))

    def find(self, **filters: Any) -> Iterator[ReceivedEvent]:
        """As ``EventServerClient.find``."""
        events = self._client.find(**filters)
        while (event := self._run(_next(events))) is not None:
            yield event

    def upload(self, bundle: Path, **options: Any) -> Receipt:
        """As ``EventServerClient.upload``."""
        return self._run(self._client.upload(bundle, **options))

    def contents(self, uuid: str) -> list[BundleMember]:
        """As ``EventServerClient.contents``."""
        return self._run(self._client.contents(uuid))

    def download(self, uuid: str, path: str | None = None, **options: Any) -> Iterator[bytes]:
        """As ``EventServerClient.download``."""
        chunks = self._client.download(uuid, path, **options)
        while (chunk := self._run(_next(chunks))) is not None:
            yield chunk

    def validate(self, event: SentEvent) -> Judgement:
        """As ``EventServerClient.validate``."""
        return self._run(self._client.validate(event))

    def event_types(self) -> list[EventType]:
        """As ``EventServerClient.event_types``."""
        return self._run(self._client.event_types())

    def _run(self, work: Coroutine[Any, Any, Result]) -> Result:
        if self._loop is None:
            work.close()
            msg = "the client is used outside of its `with` block"
            raise RuntimeError(msg)
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:  # an interrupt, too
            future.cancel()
            raise

    def _stop(self) -> None:
        loop, self._loop = self._loop, None
        assert loop is not None
        assert self._thread is not None
        loop.call_soon_threadsafe(loop.stop)
        self._thread.join()
        loop.close()


async def _next(values: AsyncIterator[Result]) -> Result | None:
    return await anext(values, None)
