"""``eventserver upload``: a bundle to any server, after a look at it here."""

from pathlib import Path

import click

from eventserver.bundle_check import check_bundle
from eventserver.cli.at_server import address_of, ask, with_url
from eventserver.cli.invocation import CommandFailed, with_settings
from eventserver.cli.terminal import plain, progress_bar
from eventserver.client import EventServerClient, Receipt
from eventserver.config import Settings
from eventserver.refusal import Refusal
from eventserver.schemas import SchemaRegistry


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--check/--no-check", default=True, help="Look at the archive here first.", show_default=True)
@click.option("--dry-run", is_flag=True, help="Only look; send nothing.")
@with_url
@with_settings
def upload(settings: Settings, file: Path, url: str | None, *, check: bool, dry_run: bool) -> None:
    """Send the bundle FILE (.tgz, .tar.gz, .zip), and print the event that it became.

    What a server with this one's schemas and limits would refuse is said before anything is sent. Sent again, the same
    archive is the same event.
    """
    if check or dry_run:
        check_file(settings, file)
    if dry_run:
        click.echo(f"{file} is a bundle that would be taken", err=True)
        return
    size = file.stat().st_size
    with progress_bar("sending", size) as advance:
        seen = 0

        def progress(position: int) -> None:
            nonlocal seen
            advance(position - seen)
            seen = position

        async def send(client: EventServerClient) -> Receipt:
            return await client.upload(file, progress=progress)

        receipt = ask(settings, url, send)
    click.echo(receipt.event.text)
    click.echo(f"{plain(file.name)} to {address_of(settings, url)}: {plain(receipt.status)}", err=True)


def check_file(settings: Settings, file: Path) -> None:
    """Judge an archive as a server with these settings does.

    Raises:
        CommandFailed: says what is wrong with it.

    """
    registry = SchemaRegistry(settings.event_schema_dir)
    registry.load()
    size = file.stat().st_size
    if size >= settings.event_max_bundle_bytes:
        raise CommandFailed(f"{file} has {size} bytes; a server takes less than {settings.event_max_bundle_bytes}")
    try:
        with file.open("rb") as archive:
            check_bundle(archive, registry)
    except OSError as error:
        raise CommandFailed(str(error)) from error
    except Refusal as refusal:
        errors = "".join(f"\n  {plain(error.pointer)}: {plain(error.message)}" for error in refusal.errors)
        raise CommandFailed(f"{file} would be refused: {plain(refusal.detail)} ({refusal.code}){errors}") from refusal
