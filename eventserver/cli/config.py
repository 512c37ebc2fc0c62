"""``eventserver config``: what is in force."""

import click

from eventserver.cli.invocation import with_settings
from eventserver.config import Settings


@click.command()
@with_settings
def config(settings: Settings) -> None:
    """Show the settings in force and where each value comes from.

    Secrets are hidden. Warnings, as for names of the predecessor, go to standard error.
    """
    rows = settings.describe()
    names = max(len(row.name) for row in rows)
    values = min(60, max(len(row.value) for row in rows))
    for row in rows:
        click.echo(f"{row.name:{names}}  {row.value or '-':{values}}  {row.origin}")
    for warning in settings.warnings:
        click.echo(f"Warning: {warning}", err=True)
