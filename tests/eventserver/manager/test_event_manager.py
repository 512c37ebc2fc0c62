"""Publishing on the SMRT Link side."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import structlog

from backends.base import Event
from backends.errors import DirectoryInUse, StorageFull
from backends.record import original_of
from eventserver.manager import EventManager, InvalidMessage
from eventserver.message import parse
from support.job_events import SYSTEM
from support.listeners import FAILED, Receiver, Receivers, listener

MESSAGE: dict[str, Any] = {"eventTypeId": "sl_test_event", "eventTypeVersion": 1, "message": {"a": 1}}


@pytest.fixture(autouse=True)
def _another_program() -> Iterator[None]:
    """Let the next test be a program that has not published: where its log goes is settled for a whole process."""
    yield
    structlog.reset_defaults()


class Remembering(Receiver):
    """Keeps the texts."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[bytes] = []

    async def send(self, events: Sequence[Event]) -> None:
        """Take events."""
        await super().send(events)
        self.texts += [original_of(event.record) for event in events]


@pytest.fixture
def receivers() -> Receivers:
    """Return one receiver."""
    return Receivers(a=Remembering())


def manager(directory: Path, receivers: Receivers, **more: Any) -> EventManager:
    """Make a manager whose one listener is in this process."""
    return EventManager(SYSTEM, directory, listeners={"a": listener()}, make_sender=receivers.make, **more)


async def test_a_message_becomes_an_event_of_the_system(tmp_path: Path, receivers: Receivers) -> None:
    """What is missing is added; what was given stays token for token."""
    text = b' {"eventTypeId":"sl_test_event", "eventTypeVersion": 1,"message":{"n":1.10,"e":1E+400}} '
    async with manager(tmp_path, receivers, dns_name="lab.example.org") as opened:
        uuid = await opened.publish(text)
        await receivers["a"].wait_for([uuid])
        own = str(uuid4())
        given = {"uuid": own.upper(), "createdAt": "2026-01-01T00:00:00.5Z", "dnsName": None}
        assert await opened.publish(MESSAGE | given) == own
        await receivers["a"].wait_for([own])
    receiver = receivers["a"]
    assert isinstance(receiver, Remembering)
    first, second = receiver.texts
    assert first.endswith(b'"eventTypeId":"sl_test_event", "eventTypeVersion": 1,"message":{"n":1.10,"e":1E+400}}')
    value = json.loads(second)
    assert (value["smrtlinkId"], value["uuid"], value["dnsName"]) == (SYSTEM, own.upper(), None)
    assert json.loads(first)["dnsName"] == "lab.example.org"
    assert parse(first).uuid == uuid


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (MESSAGE | {"smrtlinkId": SYSTEM}, "no smrtlinkId"),
        (b"[]", "JSON object"),
        (b'{"a":', "JSON"),
        ({}, "/eventTypeId"),
        (MESSAGE | {"createdAt": "yesterday"}, "/createdAt"),
        (MESSAGE | {"message": float("nan")}, "JSON"),
        (MESSAGE | {"message": object()}, "JSON"),
    ],
)
async def test_what_is_no_message_is_refused(tmp_path: Path, receivers: Receivers, message: Any, said: str) -> None:
    """It is refused before anything is kept."""
    async with manager(tmp_path, receivers) as opened:
        with pytest.raises(InvalidMessage, match=said):
            await opened.publish(message)


async def test_what_is_published_waits_for_its_receiver(tmp_path: Path, receivers: Receivers) -> None:
    """Over a restart too, in order; then the outbox gives its room back."""
    receivers["a"].open.clear()
    async with manager(tmp_path, receivers) as opened:
        uuids = [await opened.publish(MESSAGE) for _ in range(50)]
    receivers["a"].open.set()
    receivers["a"].errors = [FAILED] * 5
    async with manager(tmp_path, receivers):
        await receivers["a"].wait_for(uuids)
    assert receivers["a"].got == uuids


@pytest.mark.parametrize("damage", [None, b"", b"nonsense"], ids=["missing", "empty", "damaged"])
async def test_without_positions_what_waits_is_delivered(
    tmp_path: Path, receivers: Receivers, damage: bytes | None
) -> None:
    """What was promised is in the outbox: it is delivered again rather than not at all."""
    receivers["a"].open.clear()
    async with manager(tmp_path, receivers) as opened:
        uuids = [await opened.publish(MESSAGE) for _ in range(3)]
    positions = tmp_path / "positions-outbox.json"
    if damage is None:
        positions.unlink()
    else:
        positions.write_bytes(damage)
    receivers["a"].open.set()
    async with manager(tmp_path, receivers):
        await receivers["a"].wait_for(uuids)


async def test_the_outbox_is_bounded(tmp_path: Path, receivers: Receivers) -> None:
    """When too much waits, publishing says so, and nothing that waits is lost."""
    receivers["a"].open.clear()
    async with manager(tmp_path, receivers, max_bytes=2000) as opened:
        uuids = [await opened.publish(MESSAGE) for _ in range(5)]
        with pytest.raises(StorageFull):
            await opened.publish(MESSAGE | {"message": {"long": "x" * 2000}})
        receivers["a"].open.set()
        await receivers["a"].wait_for(uuids)


async def test_one_process_has_the_directory(tmp_path: Path, receivers: Receivers) -> None:
    """A second one is told who has it; an identity must be a UUID."""
    async with manager(tmp_path, receivers):
        with pytest.raises(DirectoryInUse, match="EventManager"):
            await manager(tmp_path, receivers).__aenter__()
    with pytest.raises(ValueError, match="no uuid"):
        EventManager("x", tmp_path, listeners={})
