"""The listeners of a real server, steered by the command line as an operator does."""

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.job_events import job_text
from tests.system.server_process import PROJECT, NotServing, ServerProcess, clean_environment
from tests.system.test_webhook_kill import failing_receiver, wait_for_all
from tests.system.webhook_receiver import SECRET

_TOML = """
[listeners.hook]
type = "webhook"
url = "http://127.0.0.1:{port}/hook"
condition = 'message.state == "FAILED"'
secret = "file:{secret}"
allowed_networks = ["127.0.0.0/8"]
first_wait_seconds = 0.01
longest_wait_seconds = 0.02
tries = 2
"""


class Site:
    """A server, its listeners' file, and commands on its directory."""

    def __init__(self, server: ServerProcess, folder: Path, port: int, taken: Path) -> None:
        self.server, self.folder, self.taken = server, folder, taken
        self.toml = folder / "listeners.toml"
        self.describe(port)

    def describe(self, port: int) -> None:
        """Write the file for a receiver on this port."""
        self.toml.write_text(_TOML.format(port=port, secret=self.folder / "secret"))

    def post(self, body: bytes) -> str:
        """Post an event and return its uuid."""
        url = f"http://127.0.0.1:{self.server.port}/api/v1/events"
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request) as answer:
            uuid: str = json.loads(answer.read())["uuid"]
            return uuid

    def command(self, *words: str, code: int = 0) -> str:
        """Run a command and return what it wrote."""
        environment = clean_environment(SMRTFLOW_EVENT_ROOT_DIR=str(self.server.root))
        command = [sys.executable, "-m", "eventserver", *words]
        done = subprocess.run(command, env=environment, cwd=PROJECT, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def wait_for(self, text: str, *words: str) -> str:
        """Run a command until it writes this."""
        deadline = time.monotonic() + 30
        while True:
            done = self.command(*words, code=self._code_of(*words))
            if text in done:
                return done
            assert time.monotonic() < deadline, done + self.server.output()[-2000:]
            time.sleep(0.1)

    def _code_of(self, *words: str) -> int:
        environment = clean_environment(SMRTFLOW_EVENT_ROOT_DIR=str(self.server.root))
        command = [sys.executable, "-m", "eventserver", *words]
        return subprocess.run(command, env=environment, cwd=PROJECT, capture_output=True, check=False).returncode


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Start a server and a receiver."""
    (tmp_path / "secret").write_text(SECRET.decode() + "\n")
    environment = {"SMRTFLOW_EVENT_LISTENERS": str(tmp_path / "listeners.toml")}
    with failing_receiver(tmp_path, 0) as (port, taken):
        server = ServerProcess(tmp_path / "root", tmp_path / "server.log", **environment)
        site = Site(server, tmp_path, port, taken)
        with server:
            yield site


@pytest.mark.timeout(180)
def test_an_operator_steers_a_listener(site: Site) -> None:
    """A receiver that is away makes dead letters, a reload mends it, a retry delivers them, a replay all of them."""
    first = site.post(job_text(state="FAILED"))
    site.post(job_text(state="RUNNING"))
    wait_for_all(site.taken, {first})
    assert "hook (webhook): 1 delivered" in site.wait_for("1 delivered", "listeners", "status")

    good = site.toml.read_text()
    site.toml.write_text(good.replace("http://127.0.0.1:", "http://127.0.0.1:9/?"))
    site.server.reload()
    time.sleep(1)
    second = site.post(job_text(state="FAILED"))
    text = site.wait_for(second, "listeners", "dead-letters", "list", "hook")
    assert "tries_exhausted" in text
    assert "1 dead letters" in site.command("listeners", "status", code=1)

    site.toml.write_text("nonsense")
    site.server.reload()
    assert "is not in force" in site.wait_for("is not in force", "listeners", "status")

    site.toml.write_text(good)
    site.server.reload()
    time.sleep(1)
    assert "1 will be delivered again" in site.command("listeners", "dead-letters", "retry", "hook", "--all")
    wait_for_all(site.taken, {first, second})
    site.wait_for("0 dead letters", "listeners", "dead-letters", "list", "hook")

    assert "2 of 3 stored events would be delivered" in site.command("replay", "--listener", "hook")
    before = site.taken.read_text().split()
    assert len(before) == 2
    site.command("replay", "--listener", "hook", "--type", "smrtlink_job_change_state", "--yes")
    deadline = time.monotonic() + 20
    while len(site.taken.read_text().split()) < 4:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert "There is no listener" in site.command("replay", "--listener", "nobody", code=1)
    assert site.server.terminate() == 0
    assert SECRET.decode() not in site.server.output()
    assert "no server is running" in site.command("listeners", "status", code=1)


def test_a_server_does_not_start_with_a_wrong_file(tmp_path: Path) -> None:
    """Exit code 2, and the line says what is wrong: events must not go by a listener that was meant to be there."""
    toml = tmp_path / "listeners.toml"
    toml.write_text("[listeners.x]\ntype = 'webhook'")
    server = ServerProcess(tmp_path / "root", tmp_path / "server.log", SMRTFLOW_EVENT_LISTENERS=str(toml))
    with pytest.raises(NotServing, match=r"listeners\.x\.url: Field required"):
        server.start()
    assert server.run_to_its_end() == 2
