"""A server on a real Cassandra: killed between the writes of an event."""

from contextlib import suppress
from pathlib import Path
from random import Random

import pytest

from servers.cassandra import Cassandra
from support.eventserver_killed_between_writes import STEPS
from tests.system.remote_faults import make_server
from tests.system.server_process import ServerProcess
from tests.system.spooled_load import new_ledger
from tests.system.two_servers import lists
from tests.system.wire import exchange, get, post
from tests.system.workload import make_event

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]
KILLED = ("support.eventserver_killed_between_writes", "serve")
HERE = Path(__file__).parents[1]


@pytest.mark.parametrize("step", STEPS)
def test_killed_between_the_writes_no_list_lacks_or_shows_anything(
    tmp_path: Path, cassandra: Cassandra, keyspace: str, step: str
) -> None:
    """Nothing acknowledged is missing, nothing unacknowledged shows; no repair, no sender that tries again."""
    url, random = f"{cassandra.url}/{keyspace}", Random(step)
    system = new_ledger(random).system
    acknowledged = [make_event(random, system) for _ in range(5)]
    where = {"KILL_BEHIND": step, "PYTHONPATH": f"{HERE}:{HERE.parent}", "SMRTFLOW_EVENT_STORE": url}
    with make_server(tmp_path / "well", url) as server:
        for _, body in acknowledged:
            assert exchange(server.port, post(body)).status == 201
    uuid, body = make_event(random, system)
    with ServerProcess(tmp_path / "killed", tmp_path / "killed.log", module=KILLED, **where) as server:
        with suppress(OSError):
            assert exchange(server.port, post(body)).status not in {200, 201}
        assert server.process.wait(20) == -9
    with make_server(tmp_path / "next", url) as server:
        stored = {body for _, body in acknowledged} | ({body} if step == "claims" else set())
        for listed in lists(server, system):
            assert len(listed) == len(stored)
            assert set(listed) == stored
        assert get(server.port, f"/api/v1/events/{uuid}").status == (200 if step == "claims" else 404)
        # A sender that does try again makes no second one.
        assert exchange(server.port, post(body)).status == (200 if step == "claims" else 201)
        for listed in lists(server, system):
            assert sorted(listed) == sorted(stored | {body})
