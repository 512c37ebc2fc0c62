"""``eventserver serve``: the server itself."""

import click

from eventserver.cli.invocation import with_settings
from eventserver.config import Settings
from eventserver.server import serve as run_server


@click.command()
@click.option("--host", "server_host", help="Address to listen on, in place of SMRTFLOW_SERVER_HOST.")
@click.option("--port", "server_port", type=int, help="Port to listen on, in place of SMRTFLOW_SERVER_PORT.")
@with_settings
def serve(settings: Settings) -> None:
    """Start the server, and run it until SIGTERM or SIGINT.

    It then finishes what is in flight and ends with exit code 0. SIGHUP reads the schemas again. Exit code 2 says that
    another process owns the data directory, or that the configuration can't be used.
    """
    run_server(settings)
