"""``eventserver bundle``: a bundle out of a directory, as the predecessor's ``tech-support-bundler`` made them."""

import getpass
import json
import socket
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import click

from eventserver.bundle import pack_bundle
from eventserver.cli.filters import UuidType
from eventserver.cli.invocation import CommandFailed, with_settings
from eventserver.cli.terminal import plain
from eventserver.cli.uploading import check_file
from eventserver.config import Settings


@click.command()
@click.argument("directory", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--type", "bundle_type", required=True, help="bundleTypeId, such as sl_ts_bundle_failed_install.")
@click.option("--type-version", default=1, show_default=True, help="bundleTypeVersion.")
@click.option("--system", type=UuidType(), required=True, help="UUID of the SMRT Link system.")
@click.option("--system-version", help="Version of the SMRT Link system.")
@click.option("--dns-name", default=socket.getfqdn, help="Host of the system. [default: this one]")
@click.option("--user", default=getpass.getuser, help="Who makes the bundle. [default: you]")
@click.option("--comment", help="For whoever reads it.")
@click.option("--field", "fields", multiple=True, metavar="NAME=JSON", help="A further field of the manifest.")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="[default: <type>-<time>.tgz]")
@with_settings
def bundle(
    settings: Settings,
    directory: Path,
    *,
    bundle_type: str,
    type_version: int,
    output: Path | None,
    fields: tuple[str, ...],
    **said: str | None,
) -> None:
    """Pack the files of DIRECTORY into a bundle, with a manifest that lists them, and print its path.

    Links are left out. It is judged as a server judges it; what would be refused is not left behind. Fields that a type
    needs besides are given as JSON: --field jobId=7 --field 'jobTypeId="pbsmrtpipe"'.
    """
    moment = datetime.now().astimezone()
    manifest: dict[str, Any] = {
        "id": str(uuid4()),
        "bundleTypeId": bundle_type,
        "bundleTypeVersion": type_version,
        "createdAt": moment.isoformat(timespec="milliseconds"),
        "smrtLinkSystemId": said["system"],
        "smrtLinkSystemVersion": said["system_version"],
        "dnsName": said["dns_name"],
        "user": said["user"],
        "comment": said["comment"],
    }
    manifest = {name: value for name, value in manifest.items() if value is not None} | _fields(fields)
    target = output or Path(f"{bundle_type}-{moment:%Y%m%dT%H%M%S}.tgz")
    part = target.with_name(f"{target.name}.part")
    try:
        with part.open("wb") as file:
            left_out = pack_bundle(directory, manifest, file)
        check_file(settings, part)
        part.replace(target)
    except OSError as error:
        raise CommandFailed(str(error)) from error
    finally:
        part.unlink(missing_ok=True)
    for name in left_out:
        click.echo(f"left out, as it is no file: {plain(name)}", err=True)
    click.echo(target)


def _fields(texts: tuple[str, ...]) -> dict[str, Any]:
    fields = {}
    for text in texts:
        name, found, value = text.partition("=")
        try:
            fields[name] = json.loads(value)
        except ValueError:
            found = ""
        if not found or not name:
            msg = f"--field {text!r} is not NAME=JSON, such as jobId=7 or 'jobTypeId=\"pbsmrtpipe\"'"
            raise click.UsageError(msg)
    return fields
