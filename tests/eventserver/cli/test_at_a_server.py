"""``eventserver events --url``: through the client, at a real server."""

from collections.abc import Iterator

import pytest

from eventserver.client import BlockingEventServerClient
from support.sent_events import as_text, sent_event
from tests.support.command_line import Run
from tests.system.server_process import ServerProcess

EVENTS = [sent_event(number) for number in range(3)]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve three events."""
    folder = tmp_path_factory.mktemp("asked")
    with ServerProcess(folder / "root", folder / "server.log") as process:
        url = f"http://127.0.0.1:{process.port}"
        with BlockingEventServerClient(url) as client:
            client.send_many(EVENTS)
        yield url


def test_events_of_a_server_are_listed_as_they_were_sent(run: Run, url: str) -> None:
    """With the filters and the limit of a list of the store here."""
    sent = [as_text(event) for event in EVENTS]
    system = str(EVENTS[0]["smrtlinkId"])
    assert run("events", "list", "--url", url, "--system", system).stdout_bytes.splitlines() == sent
    assert run("events", "list", "--url", url, "--type", "eula_signed").stdout == ""
    result = run("events", "list", "--url", url, "--order", "desc", "--limit", 2)
    assert result.stdout_bytes.splitlines() == [sent[2], sent[1]]
    assert "more than 2" in result.stderr


def test_an_event_of_a_server_is_shown(run: Run, url: str) -> None:
    """As it was sent; one that is not there fails."""
    uuid = str(EVENTS[1]["uuid"])
    assert run("events", "get", uuid, "--url", url).stdout_bytes == as_text(EVENTS[1]) + b"\n"
    missing = run("events", "get", uuid[::-1].replace(uuid[-1], "0"), "--url", url)
    assert missing.exit_code in {1, 2}
    assert run("events", "get", uuid, "--url", url, "--record").exit_code == 2


@pytest.mark.parametrize("words", [("events", "list"), ("events", "get", str(EVENTS[0]["uuid"]))])
def test_a_server_that_is_not_there(run: Run, words: tuple[str, ...]) -> None:
    """One sentence and exit code 1; a URL that is none likewise."""
    for url in ("http://127.0.0.1:9", "nonsense"):
        result = run(*words, "--url", url)
        assert result.exit_code == 1
        assert result.stderr.startswith("Error: ")
        assert result.stderr.count("\n") == 1
