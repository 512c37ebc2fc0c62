"""The command line as a whole: help, settings, errors."""

import subprocess
import sys
from pathlib import Path

import click
import pytest

from eventserver.cli import main
from tests.support.command_line import Run

HEAVY = ("aiohttp", "pydantic", "jsonschema", "numpy", "rich", "structlog")


def test_help_names_every_command_as_the_command_does(run: Run) -> None:
    """The summaries that stand in the group, so that nothing need be imported, are those of the commands."""
    lines = run("--help").output.splitlines()
    context = click.Context(main)
    for name in main.list_commands(context):
        command = main.get_command(context, name)
        assert command is not None
        assert command.name == name
        assert command.help
        assert any(line.split()[:1] == [name] for line in lines)


def test_help_imports_nothing_that_takes_time() -> None:
    """So that it answers at once."""
    program = f"""
import sys
from eventserver.cli import main
from tests.support.command_line import Run
main(["--help"], standalone_mode=False)
assert not [name for name in {HEAVY!r} if name in sys.modules], sorted(sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)


def test_an_unknown_command_is_wrong_usage(run: Run) -> None:
    """Exit code 2, and the message names it."""
    result = run("frobnicate")
    assert result.exit_code == 2
    assert "frobnicate" in result.output


def test_python_m_runs_the_command_line() -> None:
    """As ``python -m eventserver``, with that name in the usage."""
    command = [sys.executable, "-m", "eventserver", "--help"]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert output.startswith("Usage: eventserver [OPTIONS]")


def test_config_shows_each_value_with_its_origin(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Command line before environment before file before defaults."""
    monkeypatch.setenv("SMRTFLOW_EVENT_LOG_LEVEL", "debug")
    file = tmp_path / "settings.toml"
    file.write_text('server_port = 1234\nevent_log_level = "error"\n')
    lines = run("config", "--config", file, "--root", "/data").output.splitlines()
    shown = {line.split()[0]: line.split(maxsplit=2)[1:] for line in lines}
    assert shown["SMRTFLOW_SERVER_PORT"] == ["1234", f"file {file}"]
    assert shown["SMRTFLOW_EVENT_LOG_LEVEL"] == ["debug", "environment"]
    assert shown["SMRTFLOW_EVENT_ROOT_DIR"] == ["/data", "command line"]
    assert shown["SMRTFLOW_EVENT_STORE"] == ["file:", "default"]


def test_config_hides_secrets(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token is never printed."""
    monkeypatch.setenv("SMRTFLOW_EVENT_ADMIN_TOKEN", "verysecret")
    output = run("config").output
    assert "verysecret" not in output
    assert "***" in output


def test_config_warns_of_the_predecessors_names(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """On standard error, naming the new one."""
    monkeypatch.setenv("PB_SERVICES_PORT", "9000")
    result = run("config")
    assert "use SMRTFLOW_SERVER_PORT" in result.stderr
    assert "9000" in result.stdout


@pytest.mark.parametrize("command", ["config", "serve", "verify", "export"])
def test_a_wrong_setting_is_one_line_and_exit_code_2(run: Run, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    """No command goes on with half a configuration, and none shows a trace."""
    monkeypatch.setenv("SMRTFLOW_EVENT_ROOT", "/data")
    result = run(command)
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: the environment sets SMRTFLOW_EVENT_ROOT, which is not known")
    assert len(result.stderr.splitlines()) == 1
