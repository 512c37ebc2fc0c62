"""``eventserver completion``: what a shell needs to complete the commands."""

import click
from click.shell_completion import get_completion_class


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print a script that makes SHELL complete commands and options.

    For bash: eval "$(eventserver completion bash)", in ~/.bashrc to keep it.
    """
    kind = get_completion_class(shell)
    assert kind is not None
    root = click.get_current_context().find_root()
    click.echo(kind(root.command, {}, "eventserver", "_EVENTSERVER_COMPLETE").source())
