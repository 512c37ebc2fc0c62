"""What the fixtures of the command line's tests are."""

from collections.abc import Callable, Sequence

from click.testing import Result

from backends.base import Event

Run = Callable[..., Result]
"""Runs a command with these arguments."""
Store = Callable[[Sequence[Event]], None]
"""Stores events, as a server does that then stops."""
