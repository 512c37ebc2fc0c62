"""The blocks of the page about bundles run as they stand, against a server."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.system.server_process import PROJECT, ServerProcess, clean_environment

PAGE = (PROJECT / "docs/how-to/send-a-bundle.md").read_text()
BLOCKS = re.findall(r"```sh\n(.*?)```", PAGE, flags=re.DOTALL)
LOG = "".join(f"line {number}\n" for number in range(9))
JQ = """jq() { "$PYTHON" -c 'import json, sys; print(json.load(sys.stdin)["uuid"])'; }\n"""
"""A stand-in where there is no jq."""


def test_the_page_does_what_it_says(server: ServerProcess, tmp_path: Path) -> None:
    """One block after the other, in one shell."""
    assert len(BLOCKS) == 4
    (tmp_path / "installation" / "logs").mkdir(parents=True)
    (tmp_path / "installation" / "logs" / "install.log").write_text(LOG)
    script = "".join(BLOCKS).replace("http://localhost:8070", f"http://127.0.0.1:{server.port}")
    script = f'set -eu\neventserver() {{ "$PYTHON" -m eventserver "$@"; }}\n{"" if shutil.which("jq") else JQ}{script}'
    environment = clean_environment() | {"PYTHON": sys.executable, "SMRTFLOW_SERVER_PORT": str(server.port)}
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        env=environment | {"PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("".join(LOG.splitlines(keepends=True)[-5:]))
    assert (tmp_path / "copy.tgz").read_bytes() == (tmp_path / "failed.tgz").read_bytes()
