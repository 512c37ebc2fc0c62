"""What every command shares: settings out of options and environment, and errors into one line and an exit code."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path

import click

from backends.errors import DirectoryInUse, InvalidStoreURL, StoreError, UnsupportedLayout
from eventserver.config import ConfigurationError, Settings, load_settings

_ASKED_WRONGLY = (ConfigurationError, DirectoryInUse, InvalidStoreURL, UnsupportedLayout)


class CommandFailed(click.ClickException):
    """A command can't go on; the message says why, in one line or a few. Never a trace."""


class AskedWrongly(CommandFailed):
    """It can't be done so: usage, configuration, or a directory that another process owns."""

    exit_code = 2


@contextmanager
def errors_as_messages() -> Iterator[None]:
    """Turn the errors that an operator can do something about into a message and an exit code.

    Raises:
        AskedWrongly: exit code 2.
        CommandFailed: exit code 1.

    """
    try:
        yield
    except _ASKED_WRONGLY as error:
        raise AskedWrongly(str(error)) from error
    except StoreError as error:
        raise CommandFailed(str(error)) from error


def with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options ``--config`` and ``--root`` and, as its first argument, the settings in force.

    An option that is named like a field of ``Settings`` overrides that setting and is not passed on.
    """

    @click.option(
        "--config",
        "config_file",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="TOML file with settings; the environment comes before it.",
    )
    @click.option(
        "--root",
        "event_root_dir",
        type=click.Path(file_okay=False, path_type=Path),
        help="Data directory, in place of SMRTFLOW_EVENT_ROOT_DIR.",
    )
    @wraps(command)
    def run(*, config_file: Path | None, **options: object) -> None:
        overrides = {name: options.pop(name) for name in Settings.model_fields if name in options}
        with errors_as_messages():
            command(load_settings(config_file, overrides), **options)

    return run
