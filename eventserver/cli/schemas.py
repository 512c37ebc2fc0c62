"""``eventserver schemas``: schemas looked at before they are put in force."""

from pathlib import Path

import click

from eventserver.cli.invocation import CommandFailed, with_settings
from eventserver.config import Settings
from eventserver.schemas import Severity, check


@click.group()
def schemas() -> None:
    """Check schemas, and what a change of them means for installed senders."""


@schemas.command("check")
@click.argument("directory", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--against",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="What is in force: a server's data directory, or the schemas of a release.",
)
@with_settings
def check_schemas(settings: Settings, directory: Path | None, against: Path | None) -> None:
    """Check the schemas in DIRECTORY (by default the server's own) and say how the versions of a type differ.

    Each schema must be sound, and both validators must agree on each of its examples. A new version may be narrower
    than the one before; with --against, a version that is in force may not be. Exit code 1 when the server would not
    take the directory.
    """
    report = check(directory or settings.event_schema_dir, against=against)
    for finding in report.findings:
        click.echo(finding, err=finding.severity is Severity.ERROR)
    if not report.sound:
        msg = "a server would not take these schemas"
        raise CommandFailed(msg)
