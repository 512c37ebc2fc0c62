"""The client without ``await``: the same, for scripts."""

import asyncio
import inspect

import pytest

from eventserver.client import BlockingEventServerClient, EventServerClient, NotFound
from support.sent_events import sent_event


async def test_it_does_what_the_asynchronous_one_does(url: str) -> None:
    """It does what the asynchronous one does."""
    event = sent_event()

    def script() -> None:
        with BlockingEventServerClient(url) as client:
            assert client.send(event).status == "stored"
            assert client.send_many([event])[0].status == "duplicate"
            assert [found.value for found in client.find(limit=10)] == [event]
            assert client.get(event["uuid"]).value == event
            assert client.validate(event).is_valid
            assert client.event_types()
            assert client.status().id
            with pytest.raises(NotFound):
                client.get("83927d00-f46c-11e6-9f9b-3c15c2cc8f88")

    await asyncio.to_thread(script)


def test_it_has_each_method_of_the_asynchronous_one() -> None:
    """It has each method of the asynchronous one."""

    def methods(kind: type) -> set[str]:
        return {name for name, _ in inspect.getmembers(kind) if not name.startswith("_")}

    assert methods(EventServerClient) == methods(BlockingEventServerClient)


def test_outside_of_its_block_it_says_so() -> None:
    """Outside of its block it says so."""
    with pytest.raises(RuntimeError, match="with"):
        BlockingEventServerClient("http://127.0.0.1:1").status()
