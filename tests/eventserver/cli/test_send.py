"""``eventserver send``: one event, an array, or lines, to a real server."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from eventserver.cli import main
from support.sent_events import as_text, sent_event
from tests.system.server_process import ServerProcess

EVENTS = [sent_event(number) for number in range(3)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Serve an empty directory."""
    folder = tmp_path_factory.mktemp("send")
    with ServerProcess(folder / "root", folder / "server.log") as process:
        yield process


def send(server: ServerProcess, text: bytes) -> Result:
    """Send what is on standard input."""
    return CliRunner().invoke(main, ["send", "--url", f"http://127.0.0.1:{server.port}"], input=text)


def verdicts(result: Result) -> list[str]:
    """Return the statuses that were printed, in order."""
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line["index"] for line in lines] == list(range(len(lines)))
    return [line["status"] for line in lines]


@pytest.mark.parametrize(
    "text",
    [
        b"\n\r\n".join(as_text(event) for event in EVENTS),
        json.dumps(EVENTS, indent=2).encode(),
        b" [" + b",".join(as_text(event) for event in EVENTS) + b"]",
    ],
    ids=["lines", "indented array", "array"],
)
def test_lines_and_arrays_are_many_events(server: ServerProcess, text: bytes) -> None:
    """Lines and arrays are many events."""
    result = send(server, text)

    assert result.exit_code == 0, result.output
    assert set(verdicts(result)) <= {"stored", "duplicate"}
    assert "3 events to http://" in result.stderr


def test_an_indented_object_is_one_event(server: ServerProcess) -> None:
    """An indented object is one event."""
    assert verdicts(send(server, json.dumps(sent_event(), indent=2).encode())) == ["stored"]


def test_more_than_a_batch_keep_their_numbers(server: ServerProcess, tmp_path: Path) -> None:
    """More than a batch keep their numbers."""
    file = tmp_path / "events.ndjson"
    file.write_bytes(b"\n".join(as_text(sent_event(number)) for number in range(1_200)))

    result = CliRunner().invoke(main, ["send", str(file), "--url", f"http://127.0.0.1:{server.port}"])

    assert verdicts(result) == ["stored"] * 1_200


def test_what_is_not_taken_is_told_and_makes_the_exit_code_1(server: ServerProcess) -> None:
    """What is not taken is told and makes the exit code 1."""
    result = send(server, as_text(sent_event()) + b"\n" + as_text(sent_event(event_type_id="none_such")))

    assert (result.exit_code, verdicts(result)) == (1, ["stored", "invalid"])
    assert json.loads(result.stdout.splitlines()[1])["code"] == "unknown_event_type"


@pytest.mark.parametrize("text", [b"", b"\n \n", b"[]"])
def test_of_nothing_nothing_is_sent(server: ServerProcess, text: bytes) -> None:
    """Of nothing nothing is sent."""
    result = send(server, text)

    assert (result.exit_code, result.stdout) == (0, "")
    assert "nothing sent" in result.stderr


def test_half_an_array_is_refused_in_a_sentence(server: ServerProcess) -> None:
    """Half an array is refused in a sentence."""
    result = send(server, b'[{"a":1},')

    assert result.exit_code == 1
    assert result.output.startswith("Error: ")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_gets_a_script_that_completes(shell: str) -> None:
    """A shell gets a script that completes."""
    result = CliRunner().invoke(main, ["completion", shell])

    assert result.exit_code == 0
    assert "_EVENTSERVER_COMPLETE" in result.stdout
