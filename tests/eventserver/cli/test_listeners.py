"""``eventserver listeners``: the file is checked, and an event is shown to whom it would go."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from eventserver.cli import main
from support.job_events import job_text

TOML = """
[listeners.support]
type = "webhook"
event_types = ["smrtlink_job_*"]
condition = 'message.state == "FAILED"'
url = "https://hooks.example.org/x"
secret = "env:SUPPORT_SECRET"

[listeners.licences]
type = "webhook"
event_types = ["eula_signed"]
url = "https://hooks.example.org/y"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return a file of two listeners."""
    path = tmp_path / "listeners.toml"
    path.write_text(TOML)
    return path


def test_check_shows_who_would_get_an_event(file: Path) -> None:
    """With an event on standard input, ``check`` says of each listener whether it gets it, or why not."""
    run = CliRunner(env={"SUPPORT_SECRET": "hunter2"})
    result = run.invoke(main, ["listeners", "check", str(file)], input=job_text())
    assert result.exit_code == 0, result.output
    assert "support gets event" in result.output
    assert "licences does not get event" in result.output
    assert "another event type" in result.output
    result = run.invoke(main, ["listeners", "check", str(file)], input=job_text(state="RUNNING"))
    assert "the condition does not hold" in result.output
    assert "hunter2" not in result.output


def test_check_without_an_event(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``check`` names what can't be read of the secrets, never what they are, and fails then."""
    monkeypatch.setenv("SMRTFLOW_EVENT_LISTENERS", str(file))
    result = CliRunner().invoke(main, ["listeners", "check"])
    assert result.exit_code == 1
    assert "support: secret: the secret env:SUPPORT_SECRET is empty or not set" in result.output
    assert CliRunner(env={"SUPPORT_SECRET": "x"}).invoke(main, ["listeners", "check"]).exit_code == 0


def test_check_of_a_wrong_file(file: Path) -> None:
    """A wrong file is asking wrongly: exit code 2."""
    file.write_text("[listeners.x]\ntype = 'nope'")
    assert CliRunner().invoke(main, ["listeners", "check", str(file)]).exit_code == 2
