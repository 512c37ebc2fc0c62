"""The command line. Each command lives in a module of its own, which is imported when the command runs.

So ``eventserver --help`` answers at once, and a command pays for what it uses.

Exit codes: 0 done; 1 it failed, or what was checked is not well; 2 it was asked wrongly: usage, configuration, or a
data directory that another process owns.
"""

from importlib import import_module
from typing import Final, NamedTuple

import click


class _Command(NamedTuple):
    """Where a command lives (``module:name``), and what it does, in a few words."""

    place: str
    summary: str


_COMMANDS: Final = {
    "serve": _Command("eventserver.cli.serve:serve", "Start the server."),
    "send": _Command("eventserver.cli.sending:send", "Send events to a server."),
    "events": _Command("eventserver.cli.events:events", "Look up stored events."),
    "export": _Command("eventserver.cli.export:export", "Write events as NDJSON."),
    "import": _Command("eventserver.cli.importing:import_events", "Take over the predecessor's events."),
    "copy": _Command("eventserver.cli.copying:copy", "Copy all events from one store to another."),
    "compare": _Command("eventserver.cli.comparing:compare", "Compare the events of two stores."),
    "quarantine": _Command("eventserver.cli.quarantine:quarantine", "See and replay what was refused."),
    "spool": _Command("eventserver.cli.spool:spool", "See, check and drain what waits for the store."),
    "listeners": _Command("eventserver.cli.listeners:listeners", "See and steer what is handed on to listeners."),
    "replay": _Command("eventserver.cli.replaying:replay", "Feed stored events to a listener again."),
    "schemas": _Command("eventserver.cli.schemas:schemas", "Check schemas and their compatibility."),
    "simulate": _Command("eventserver.cli.simulating:simulate", "Send believable traffic to a server."),
    "verify": _Command("eventserver.cli.verify:verify", "Check that what is stored is whole."),
    "completion": _Command("eventserver.cli.completion:completion", "Let a shell complete the commands."),
    "config": _Command("eventserver.cli.config:config", "Show the settings in force."),
}


class LazyGroup(click.Group):
    """A group that imports a command's module when the command is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names of the commands, in the order of the help."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import and return a command."""
        if cmd_name not in _COMMANDS:
            return None
        module, _, name = _COMMANDS[cmd_name].place.partition(":")
        command = getattr(import_module(module), name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the list of commands without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, command.summary) for name, command in _COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="smrtlink-event-server")
def main() -> None:
    """The event server of SMRT Link: takes events, validates them and keeps them.

    Settings come from the environment (SMRTFLOW_SERVER_*, SMRTFLOW_EVENT_*) and a TOML file (--config);
    `eventserver config` shows them.
    """


__all__ = ["main"]
