"""The OpenAPI document against the running server: schemathesis with all checks finds nothing."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from support.soak import share_of
from tests.system.server_process import ServerProcess, clean_environment

HOOKS = Path(__file__).parents[2] / "support" / "schemathesis"
SECONDS = 40


def run_schemathesis(folder: Path, seconds: int, *options: str) -> str:
    """Let schemathesis ask a new server for some seconds, find nothing, and return what it says."""
    command = str(Path(sys.executable).with_name("schemathesis"))
    with ServerProcess(folder / "root", folder / "log") as server:
        found = subprocess.run(
            [
                *(command, "--config-file", str(HOOKS / "schemathesis.toml")),
                *("run", f"http://127.0.0.1:{server.port}/api/v1/openapi.json", "--checks", "all", "--no-color"),
                *("--max-time", str(seconds), *options),
            ],
            cwd=folder,
            env=clean_environment(SCHEMATHESIS_HOOKS="openapi_hooks", PYTHONPATH=str(HOOKS)),
            capture_output=True,
            text=True,
            check=False,
        )
        assert found.returncode == 0, found.stdout[-20_000:]
        assert server.process.poll() is None
    assert "defect" not in server.output()
    return found.stdout


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_schemathesis_finds_nothing(tmp_path: Path) -> None:
    """Requests made from the document, right and wrong ones, are answered as it says."""
    run_schemathesis(tmp_path, SECONDS)


@pytest.mark.soak
def test_schemathesis_finds_nothing_for_long(tmp_path: Path, seed: str, soak_result: Callable[[str], None]) -> None:
    """The same for half an hour."""
    said = run_schemathesis(tmp_path, share_of(1800), "--seed", seed)
    [cases] = re.findall("([0-9]+) generated", said)
    soak_result(f"{int(cases):,} requests made from the OpenAPI document by schemathesis: all answered as it says")
