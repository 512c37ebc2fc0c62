"""The store that the contract suite runs on, once for each backend."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from backends.base import EventStore
from support.stores import STORES, StoreUnderTest


@pytest.fixture(params=sorted(STORES))
def new_place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], StoreUnderTest]:
    """Make a new, empty place for events."""
    return lambda: STORES[request.param](tmp_path_factory.mktemp("root"))


@pytest.fixture
def place(new_place: Callable[[], StoreUnderTest]) -> StoreUnderTest:
    """Where this test's events are kept."""
    return new_place()


class _Opened:
    """The store that is open now."""

    def __init__(self, place: StoreUnderTest) -> None:
        self._place = place
        self.store = place.make()

    async def reopen(self) -> EventStore:
        await self.store.__aexit__(None, None, None)
        self.store = self._place.make()
        return await self.store.__aenter__()


@pytest.fixture
async def opened(place: StoreUnderTest) -> AsyncIterator[_Opened]:
    """Keep a store open for the time of the test."""
    opened = _Opened(place)
    await opened.store.__aenter__()
    yield opened
    place.mend()
    await opened.store.__aexit__(None, None, None)


@pytest.fixture
def store(opened: _Opened) -> EventStore:
    """An open store, empty."""
    return opened.store


@pytest.fixture
def reopen(opened: _Opened) -> Callable[[], Awaitable[EventStore]]:
    """Close the store, and return a new one that is open on the same events."""
    return opened.reopen
