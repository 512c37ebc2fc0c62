"""The OpenAPI document against the running server: schemathesis with all checks finds nothing."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.system.server_process import ServerProcess, clean_environment

HOOKS = Path(__file__).parents[2] / "support" / "schemathesis"
SECONDS = 40


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_schemathesis_finds_nothing(tmp_path: Path) -> None:
    """Requests made from the document, right and wrong ones, are answered as it says."""
    with ServerProcess(tmp_path / "root", tmp_path / "log") as server:
        found = subprocess.run(
            [
                *(
                    str(Path(sys.executable).with_name("schemathesis")),
                    "--config-file",
                    str(HOOKS / "schemathesis.toml"),
                ),
                *("run", f"http://127.0.0.1:{server.port}/api/v1/openapi.json", "--checks", "all", "--no-color"),
                *("--max-time", str(SECONDS)),
            ],
            cwd=tmp_path,
            env=clean_environment(SCHEMATHESIS_HOOKS="openapi_hooks", PYTHONPATH=str(HOOKS)),
            capture_output=True,
            text=True,
            check=False,
        )
        assert found.returncode == 0, found.stdout[-20_000:]
        assert server.process.poll() is None
    assert "defect" not in server.output()
