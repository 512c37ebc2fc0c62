"""``eventserver serve``: the server itself."""

import click

from backends.errors import DirectoryInUse
from backends.lock import holder_of
from eventserver.cli.invocation import AskedWrongly, CommandFailed, with_settings
from eventserver.config import Settings
from eventserver.logs import configure_logs
from eventserver.schemas import SchemaError
from eventserver.server import serve as run_server


@click.command()
@click.option("--host", "server_host", help="Address to listen on, in place of SMRTFLOW_SERVER_HOST.")
@click.option("--port", "server_port", type=int, help="Port to listen on, in place of SMRTFLOW_SERVER_PORT.")
@with_settings
def serve(settings: Settings) -> None:
    """Start the server, and run it until SIGTERM or SIGINT.

    It then finishes what is in flight and ends with exit code 0. SIGHUP reads the schemas and the listeners again. Exit
    code 2 says that another process owns the data directory, or that the configuration can't be used.
    """
    configure_logs(settings.event_log_format, settings.event_log_level)
    try:
        run_server(settings)
    except SchemaError as error:
        raise AskedWrongly(str(error)) from error
    except OSError as error:
        # A second server on the directory mostly has the same port too; that it is a second one is what to know.
        if holder := holder_of(settings.event_root_dir):
            raise DirectoryInUse(str(settings.event_root_dir), holder) from error
        msg = f"can't listen on {settings.server_host}:{settings.server_port}: {error.strerror}"
        raise CommandFailed(msg) from error
