"""The server on Cassandra, killed with SIGKILL at one step of what it writes; the environment says at which."""

import os
import signal
from typing import Any

from backends.cassandra.claims import Claims
from backends.cassandra.connection import Connection
from eventserver.cli import main


def die() -> None:
    """End this process as a kill from outside does."""
    os.kill(os.getpid(), signal.SIGKILL)


_write, _make = Connection.write, Claims.make


async def _write_and_die(self: Connection, statement: Any, rows: Any, *, deadline: float) -> Any:
    """Write, and be killed behind the table that the environment names; what is sent together with it is cut short."""
    error = await _write(self, statement, rows, deadline=deadline)
    if f".{os.environ['KILL_BEHIND']} " in statement.query_string:
        die()
    return error


async def _die_before_claim(self: Claims, attempt: Any, deadline: float) -> Any:
    die()
    return await _make(self, attempt, deadline)


async def _die_behind_claim(self: Claims, attempt: Any, deadline: float) -> Any:
    await _make(self, attempt, deadline)
    die()


STEPS = ("months", "shards", "event_types", "events_by_system", "events_by_type", "arrivals", "all rows", "claims")
"""Behind what it is killed."""

if __name__ == "__main__":
    step = os.environ["KILL_BEHIND"]
    if step == "all rows":
        Claims.make = _die_before_claim  # type: ignore[method-assign]
    elif step == "claims":
        Claims.make = _die_behind_claim  # type: ignore[method-assign]
    else:
        Connection.write = _write_and_die  # type: ignore[method-assign]
    main()
