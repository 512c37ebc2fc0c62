"""Secrets in a configuration: named there, read from the environment or a file, and never printed."""

import os
from pathlib import Path
from typing import Annotated, Final

from pydantic import AfterValidator

_ENVIRONMENT: Final = "env:"
_FILE: Final = "file:"
_LONGEST: Final = 64 * 1024


class SecretUnavailable(Exception):
    """A secret can't be read; the message names where it should be, and never what it is."""


def _require_reference(text: str) -> str:
    kind = next((kind for kind in (_ENVIRONMENT, _FILE) if text.startswith(kind)), None)
    if kind is None or not text.removeprefix(kind):
        # What stands there may be the secret itself, so it is not repeated.
        msg = "it should say where the secret is: env:NAME_OF_A_VARIABLE, or file:/path/to/it"
        raise ValueError(msg)
    return text


SecretReference = Annotated[str, AfterValidator(_require_reference)]
"""``env:NAME`` or ``file:/path``; a file's last line end does not count."""


def read_secret(reference: str) -> str:
    """Read a secret; blocks.

    Args:
        reference: a ``SecretReference``.

    Raises:
        SecretUnavailable: it is not there, empty, or no text.

    """
    if reference.startswith(_ENVIRONMENT):
        secret = os.environ.get(reference.removeprefix(_ENVIRONMENT), "")
    else:
        try:
            with Path(reference.removeprefix(_FILE)).open("rb") as file:
                secret = file.read(_LONGEST).decode().removesuffix("\n").removesuffix("\r")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise SecretUnavailable(f"the secret {reference} can't be read: {reason}") from error
    if not secret:
        raise SecretUnavailable(f"the secret {reference} is empty or not set")
    return secret
