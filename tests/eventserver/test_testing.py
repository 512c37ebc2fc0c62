"""The pytest plugin, used as a program's own tests use it."""

from pathlib import Path

import pytest

from eventserver.client import BlockingEventServerClient
from eventserver.testing import EventServerUnderTest
from support.sent_events import sent_event


def test_what_a_program_sends_can_be_waited_for(event_server: EventServerUnderTest) -> None:
    """What a program sends can be waited for."""
    event_server.assert_nothing_received()
    event = sent_event()

    event_server.client.send(event)

    assert event_server.wait_for(event_type="sl_test_event", where=lambda found: found["uuid"] == event["uuid"]) == [
        event
    ]
    with pytest.raises(AssertionError, match="1 events"):
        event_server.assert_nothing_received()


def test_what_does_not_come_fails_the_test_and_shows_what_came(event_server: EventServerUnderTest) -> None:
    """What does not come fails the test and shows what came."""
    event_server.client.send(sent_event())

    with pytest.raises(pytest.fail.Exception, match="1 of 2 events came") as error:
        event_server.wait_for(2, seconds=0.1)
    assert "\n" in str(error.value)


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_program_with_a_spool_survives_that_the_server_is_away(
    event_server: EventServerUnderTest, tmp_path: Path, end: str
) -> None:
    """A program with a spool survives that the server is away."""
    url = event_server.url
    getattr(event_server, end)()
    with BlockingEventServerClient(url, spool=tmp_path / "spool") as client:
        client.send(sent_event())
        assert client.pending == 1

        event_server.start()

        assert event_server.url == url
        assert client.flush(30)
    assert len(event_server.received()) == 1
