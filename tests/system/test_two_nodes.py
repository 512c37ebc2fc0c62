"""The tutorial of two nodes: its commands run as they stand there, but for the ports."""

import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from tests.system.server_process import PROJECT, clean_environment, free_port

PAGE = (PROJECT / "docs/tutorial/two-nodes.md").read_text()
BLOCKS = re.findall(r"```sh\n(.*?)```", PAGE, flags=re.DOTALL)


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_each_command_of_the_tutorial_works(tmp_path: Path) -> None:
    """All blocks run in one shell; the failed jobs are told, the kept event arrives, the replay is delivered."""
    script = "set -euo pipefail\n" + "\n".join(BLOCKS)
    for port in ("8070", "8025", "9000"):
        script = script.replace(port, str(free_port()))
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    output = tmp_path / "output"
    with output.open("wb") as file:
        shell = subprocess.Popen(
            ["bash", "-c", script],
            cwd=tmp_path,
            env=clean_environment(PATH=path, PYTHONDONTWRITEBYTECODE="1"),
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
        try:
            code = shell.wait(150)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGKILL)
    told = output.read_text() + (tmp_path / "central.log").read_text()[-2000:]
    assert code == 0, told
    assert "All is well: 2 listeners." in told
    assert "support (webhook): 1 delivered" in told
    assert "2 of 3 stored events would be delivered to support" in told
    assert "SUCCESSFUL" not in (tmp_path / "hook.txt").read_text()
